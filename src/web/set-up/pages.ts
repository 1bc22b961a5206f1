/** Setting up an Apple device in one step (M10): making the link, and what is seen on the device that opens it. */

import { encode } from 'uqr'
import type { SetUpKind, SetUpView } from '../../contract/portal/set-up.ts'
import type { PortalAnswer } from '../../contract/portal.ts'
import type { Html } from '../portal/html.ts'
import { html } from '../portal/html.ts'
import { layout, token } from '../portal/pages/layout.ts'
import { alert, button, copyButton, field, form } from '../portal/pages/parts.ts'
import { paths } from '../portal/paths.ts'
import type { Visit } from '../portal/visit.ts'

type MadeLink = PortalAnswer<'set-up.list'>[number]

export interface NewSetUp {
  /** What can be set up here; at least one. */
  readonly kinds: readonly SetUpKind[]
  readonly typed: { readonly name: string; readonly kind: SetUpKind }
  readonly problem: string | null
  /** What became of the links of the last day. */
  readonly made: readonly MadeLink[]
}

export function newSetUp(visit: Visit, { kinds, typed, problem, made }: NewSetUp): Html {
  const { deviceSetUp: t, common } = visit.words
  const choice = (kind: SetUpKind): Html =>
    html`<p class="check"><input type="radio" id="kind-${kind}" name="kind" value="${kind}"${typed.kind === kind && html` checked`}><label for="kind-${kind}">${t.kinds[kind]}</label></p>`
  return layout(
    visit,
    { title: t.title, here: 'home' },
    html`<h1>${t.title}</h1>
<p>${t.intro}</p>
${alert(problem)}
${form(
  visit,
  paths.setUp(),
  field({ name: 'name', label: t.name, value: typed.name, hint: t.nameHint, maxlength: 64, focus: true }),
  kinds.length > 1
    ? html`<fieldset><legend>${t.kind}</legend>${kinds.map(choice)}</fieldset>`
    : html`<input type="hidden" name="kind" value="${kinds[0]}">`,
  html`<p class="buttons">${button(t.make)}<a class="button quiet" href="/">${common.cancel}</a></p>`,
)}
${made.length > 0 && html`<h2>${t.made}</h2><ul class="list">${made.map((link) => madeLink(visit, link))}</ul>`}`,
  )
}

function madeLink(visit: Visit, { id, name, createdAt, usedAt, usedIp, appPassword }: MadeLink): Html {
  const { words, format } = visit
  const { deviceSetUp: t } = words
  const isOpen = usedAt === null && new Date(createdAt).getTime() + LINK_MS > Date.now()
  const state =
    usedAt !== null ? t.used(format.when(usedAt), usedIp ?? '') : isOpen ? t.waiting(format.when(createdAt)) : t.runOut
  const way =
    appPassword !== null
      ? html`<a class="button danger small" href="${paths.deleteAppPassword(appPassword)}">${words.notices.setUpNotMe}</a>`
      : isOpen &&
        html`<form method="post" action="${paths.cancelSetUp(id)}">${token(visit)}${button(t.cancel, 'quiet')}</form>`
  return html`<li><div><strong class="name">${name}</strong><p class="facts">${state}</p></div>
${way}</li>`
}

/** Only said of a link whose state is not known better: the keeper decides. */
const LINK_MS = 10 * 60_000

/** The link, once. It is drawn in the page itself, so that no other address knows it. */
export function link(
  visit: Visit,
  made: { readonly url: string; readonly path: string; readonly name: string; readonly expiresAt: string },
): Html {
  const { deviceSetUp: t, common } = visit.words
  return layout(
    visit,
    { title: t.linkTitle(made.name), here: 'home' },
    html`<h1>${t.linkTitle(made.name)}</h1>
<ol class="how">
<li><p>${t.scan}</p>
${qrCode(made.url, t.scanAlt)}</li>
<li><p>${t.orOpen}</p>
<p><a id="link" href="${made.path}" translate="no">${made.url}</a></p>
<p class="buttons">${copyButton(visit, 'link')}</p>
<p class="copy-status" role="status" data-copy-status></p></li>
</ol>
<p class="once">${t.once(visit.format.until(made.expiresAt))}</p>
<p><a class="button" href="/">${common.done}</a></p>`,
  )
}

function qrCode(text: string, label: string): Html {
  const { data, size } = encode(text, { border: 2, ecc: 'M' })
  const path = data.map((row, y) => row.map((isDark, x) => (isDark ? `M${x} ${y}h1v1h-1z` : '')).join('')).join('')
  return html`<svg class="qr" role="img" aria-label="${label}" viewBox="0 0 ${size} ${size}" shape-rendering="crispEdges"><path d="${path}"/></svg>`
}

/** What the device sees. Looking at it uses nothing up. */
export function install(visit: Visit, setUp: string, { user, name, expiresAt }: SetUpView): Html {
  const t = visit.words.deviceSetUp
  return layout(
    visit,
    { title: t.installTitle },
    html`<h1>${t.installTitle}</h1>
<p>${t.installIntro(user, name)}</p>
${form(visit, paths.profile(setUp), button(t.install))}
<ol class="how">
<li><p>${t.thenAllow}</p></li>
<li><p>${t.thenPhone}</p></li>
<li><p>${t.thenMac}</p></li>
</ol>
<p class="hint">${t.validUntil(visit.format.until(expiresAt))}</p>`,
  )
}

export function gone(visit: Visit): Html {
  const t = visit.words.deviceSetUp
  return layout(visit, { title: t.gone }, html`<h1>${t.gone}</h1><p>${t.goneText}</p>`)
}

/** It was used, and nothing came of it: there was no room for another app password any more. */
export function failed(visit: Visit): Html {
  const t = visit.words.deviceSetUp
  return layout(visit, { title: t.gone }, html`<h1>${t.gone}</h1><p>${t.failedText}</p>`)
}
