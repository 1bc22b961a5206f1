/** The first sign-in (R20, R21): the invitation, the choice of a second step, recovery codes, and on to the first app password. */

import type { InvitationView } from '../../../contract/portal/sign-in.ts'
import type { Html } from '../html.ts'
import { html } from '../html.ts'
import { paths } from '../paths.ts'
import type { Visit } from '../visit.ts'
import { layout, token } from './layout.ts'
import { alert, button, codeList, form, steps } from './parts.ts'

export function invitation(visit: Visit, link: string, view: InvitationView, problem: string | null): Html {
  const t = visit.words.invitation
  return layout(
    visit,
    { title: t.title(view.name ?? view.user) },
    html`<h1>${t.title(view.name ?? view.user)}</h1>
${alert(problem)}
<p>${view.why === 'reset' ? t.reset(view.user) : t.intro(view.user)}</p>
<p>${t.need}</p>
${form(visit, paths.invitation(link), button(t.start))}
<p class="hint">${t.validUntil(visit.format.until(view.expiresAt))}</p>`,
  )
}

export function invitationGone(visit: Visit): Html {
  const t = visit.words.invitation
  return layout(
    visit,
    { title: t.gone },
    html`<h1>${t.gone}</h1>
<p>${t.goneText}</p>
<p><a class="button" href="/sign-in">${visit.words.nav.signIn}</a></p>`,
  )
}

/** How many steps there are to see: without app passwords (R29) there is one less, and nobody learns of it. */
export const stepsOf = (allowed: boolean): number => (allowed ? 3 : 2)

export function chooseSecondStep(
  visit: Visit,
  allowed: boolean,
  providers: readonly { readonly id: string; readonly name: string }[],
): Html {
  const t = visit.words
  return layout(
    visit,
    { title: t.enrol.title },
    html`${steps(visit, 1, stepsOf(allowed))}
<h1>${t.enrol.title}</h1>
<p>${t.enrol.intro}</p>
<ul class="choices">
<li><a href="/add/authenticator"><strong>${t.add.totp}</strong> <span class="tag">${t.add.recommended}</span><span>${t.add.totpText}</span></a></li>
<li><a href="/add/passkey"><strong>${t.add.passkey}</strong><span>${t.add.passkeyText}</span></a></li>
${providers.map(({ id, name }) => html`<li>${form(visit, paths.linkProvider(id), html`<button class="choice"><strong>${t.add.provider(name)}</strong><span>${t.add.providerText}</span></button>`)}</li>`)}
</ul>`,
  )
}

export interface CodesPage {
  readonly codes: readonly string[]
  /** null: not the first sign-in; then 'Done' goes home. */
  readonly step: { readonly at: number; readonly of: number } | null
}

/** The only page that ever shows them. */
export function recoveryCodes(visit: Visit, { codes, step }: CodesPage): Html {
  const t = visit.words
  const title = step === null ? t.recoveryCodes.newTitle : t.enrol.codesTitle
  return layout(
    visit,
    { title },
    html`${step && steps(visit, step.at, step.of)}
<h1>${title}</h1>
<p>${t.enrol.codesIntro}</p>
<p class="once">${t.enrol.codesOnce}</p>
${codeList(visit, codes)}
${
  step === null
    ? html`<p><a class="button" href="/">${t.common.done}</a></p>`
    : html`<form method="post" action="/enrol">${token(visit)}
<p class="check"><input type="checkbox" id="saved" name="saved" value="yes" required><label for="saved">${t.enrol.codesSaved}</label></p>
${button(t.common.next)}</form>`
}`,
  )
}

/** Somebody whose page with the codes was lost, or who never had any. */
export function recoveryCodesMissing(visit: Visit, allowed: boolean): Html {
  const t = visit.words.enrol
  return layout(
    visit,
    { title: t.codesTitle },
    html`${steps(visit, 2, stepsOf(allowed))}
<h1>${t.codesTitle}</h1>
<p>${t.codesMissing}</p>
${form(visit, '/recovery-codes', button(t.codesMake))}`,
  )
}
