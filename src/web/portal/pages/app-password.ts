/** Making an app password (R13–R18), the guided way at the limit (R9), and taking one away (R23–R27). */

import type { PortalAppPassword } from '../../../contract/portal/methods.ts'
import type { PortalSessionView } from '../../../contract/portal/session.ts'
import type { IssuedAppPassword } from '../../../contract/services.ts'
import type { Html } from '../html.ts'
import { html } from '../html.ts'
import { paths } from '../paths.ts'
import type { Visit } from '../visit.ts'
import { stepsOf } from './enrol.ts'
import { layout } from './layout.ts'
import { alert, button, confirmation, copyButton, field, form, hidden, steps } from './parts.ts'
import { appPasswordFacts } from './security-info.ts'

/** What was typed, to be shown again. */
export interface AppPasswordForm {
  readonly name: string
  readonly protocols: readonly string[]
  /** Days; '' for what the policy says, 'never'. */
  readonly expiry: string
  readonly networks: string
  /** Sent twice, it counts once. */
  readonly once: string
}

export const EXPIRY_DAYS = [7, 30, 90, 365] as const

export function newAppPassword(
  visit: Visit,
  session: PortalSessionView,
  typed: AppPasswordForm,
  problem: string | null,
): Html {
  const { appPassword: t, protocols, enrol, common } = visit.words
  const isFirst = session.stage === 'enrolling'
  const isNarrowed =
    typed.expiry !== '' || typed.networks !== '' || typed.protocols.length < session.appPasswords.protocols.length
  const title = isFirst ? t.firstTitle : t.newTitle
  const option = (value: string, text: string): Html =>
    html`<option value="${value}"${typed.expiry === value && html` selected`}>${text}</option>`
  return layout(
    visit,
    { title, here: 'home' },
    html`${isFirst && steps(visit, 3, stepsOf(true))}
<h1>${title}</h1>
${isFirst && html`<p>${enrol.appPasswordIntro}</p>`}
${alert(problem)}
${form(
  visit,
  '/app-passwords/new',
  hidden('once', typed.once),
  field({ name: 'name', label: t.name, value: typed.name, hint: t.nameHint, maxlength: 64, focus: true }),
  html`<details${isNarrowed && html` open`}><summary>${t.more}</summary>
<fieldset><legend>${t.protocols}</legend>${session.appPasswords.protocols.map(
    (protocol) =>
      html`<p class="check"><input type="checkbox" id="protocol-${protocol}" name="protocols" value="${protocol}"${typed.protocols.includes(protocol) && html` checked`}><label for="protocol-${protocol}">${protocols[protocol] ?? protocol}</label></p>`,
  )}</fieldset>
<div class="field"><label for="expiry">${t.expiry}</label>
<select id="expiry" name="expiry">${option('', t.expiryDefault)}${EXPIRY_DAYS.map((days) => option(String(days), t.expiryDays(days)))}${
    session.appPasswords.expiryMs === null && option('never', t.expiryNever)
  }</select></div>
${field({ name: 'networks', label: t.networks, value: typed.networks, hint: t.networksHint, maxlength: 2048, optional: true })}
</details>
<p class="buttons">${button(common.next)}${!isFirst && html`<a class="button quiet" href="/">${common.cancel}</a>`}</p>`,
)}`,
  )
}

/** The only page that ever shows it (R15, R16). */
export function issued(visit: Visit, made: IssuedAppPassword, isFirst: boolean): Html {
  const { appPassword: t, common } = visit.words
  return layout(
    visit,
    { title: t.shownTitle(made.name), here: 'home' },
    html`${isFirst && steps(visit, 3, stepsOf(true))}
<h1>${t.shownTitle(made.name)}</h1>
<p>${t.shownIntro}</p>
<div class="secret">
<p class="label" id="password-label">${t.label}</p>
<p class="password"><code id="password" aria-labelledby="password-label" role="group" tabindex="0" translate="no">${made.password}</code></p>
<p class="buttons">${copyButton(visit, 'password')}</p>
<p class="copy-status" role="status" data-copy-status></p>
<p class="hint">${t.spaces}</p>
</div>
<p class="once">${t.once}</p>
${form(
  visit,
  isFirst ? '/enrol/finish' : '/app-passwords/done',
  html`<p class="buttons">${button(common.done)}<a class="button quiet" href="${paths.help()}#set-up" target="_blank" rel="noopener">${t.how}</a></p>`,
)}`,
  )
}

/** At the limit: those unused the longest first, each with a way to delete it, and the name kept (R9). */
export function atTheCap(
  visit: Visit,
  session: PortalSessionView,
  list: readonly PortalAppPassword[],
  name: string,
): Html {
  const { appPassword: t, common } = visit.words
  const lastSeen = (each: PortalAppPassword): number => new Date(each.lastUsed?.at ?? each.createdAt).getTime()
  const byAge = [...list].sort((a, b) => lastSeen(a) - lastSeen(b))
  return layout(
    visit,
    { title: t.capTitle(session.appPasswords.cap), here: 'home' },
    html`<h1>${t.capTitle(session.appPasswords.cap)}</h1>
<p>${t.capIntro(name)}</p>
<ul class="list">${byAge.map(
      (
        each,
      ) => html`<li><div><strong class="name">${each.name}</strong>${appPasswordFacts(visit, each).map((fact) => html`<p class="facts">${fact}</p>`)}</div>
<a class="button quiet small" href="${paths.deleteAppPassword(each.id)}?for=${encodeURIComponent(name)}" aria-label="${common.deleteNamed(each.name)}">${common.delete}</a></li>`,
    )}</ul>
<p><a class="button quiet" href="/">${common.cancel}</a></p>`,
  )
}

/** `resume`: the name of the app password that there is no room for yet. */
export function confirmDelete(
  visit: Visit,
  { id, name }: { readonly id: string; readonly name: string },
  resume: string | null,
): Html {
  const { appPassword: t } = visit.words
  return layout(
    visit,
    { title: t.deleteTitle(name), here: 'home' },
    confirmation(visit, {
      action: paths.deleteAppPassword(id),
      title: t.deleteTitle(name),
      text: t.deleteText(name),
      submit: t.deleteSubmit,
      back: '/',
      ...(resume !== null && { hidden: hidden('for', resume) }),
    }),
  )
}

export function confirmDeleteAll(visit: Visit, count: number): Html {
  const { appPassword: t } = visit.words
  return layout(
    visit,
    { title: t.deleteAllTitle, here: 'home' },
    confirmation(visit, {
      action: '/app-passwords/delete-all',
      title: t.deleteAllTitle,
      text: t.deleteAllText(count),
      submit: t.deleteAllSubmit,
      back: '/',
    }),
  )
}

export function rename(
  visit: Visit,
  { id, name }: { readonly id: string; readonly name: string },
  typed: string,
  problem: string | null,
): Html {
  const { appPassword: t, common } = visit.words
  return layout(
    visit,
    { title: t.renameTitle(name), here: 'home' },
    html`<h1>${t.renameTitle(name)}</h1>
${form(
  visit,
  paths.renameAppPassword(id),
  field({ name: 'name', label: t.renameName, value: typed, maxlength: 64, focus: true, problem }),
  html`<p class="buttons">${button(common.save)}<a class="button quiet" href="/">${common.cancel}</a></p>`,
)}`,
  )
}
