/** Adding a method (R32): one list of kinds, then a page for each. */

import { encode } from 'uqr'
import { setUpKinds } from '../../../contract/published.ts'
import type { Html } from '../html.ts'
import { html } from '../html.ts'
import { paths } from '../paths.ts'
import type { Visit } from '../visit.ts'
import { stepsOf } from './enrol.ts'
import { layout } from './layout.ts'
import { alert, button, field, form, hidden, passkeyForm, steps } from './parts.ts'

export function addMethod(visit: Visit, allowed: boolean): Html {
  const { add, common } = visit.words
  const choice = (to: string, title: string, text: string): Html =>
    html`<li><a href="${to}"><strong>${title}</strong><span>${text}</span></a></li>`
  return layout(
    visit,
    { title: add.title, here: 'home' },
    html`<h1>${add.title}</h1>
<ul class="choices">
${choice('/add/authenticator', add.totp, add.totpText)}
${choice('/add/passkey', add.passkey, add.passkeyText)}
${choice('/recovery-codes', add.recoveryCodes, add.recoveryCodesText)}
${allowed && choice(paths.newAppPassword(), add.appPassword, add.appPasswordText)}
${allowed && setUpKinds({ ports: visit.settings.mail, activeSync: visit.settings.mail.activeSync }).length > 0 && choice(paths.setUp(), add.setUp, add.setUpText)}
</ul>
<p><a class="button quiet" href="/">${common.cancel}</a></p>`,
  )
}

export interface TotpPage {
  readonly id: string
  readonly secret: string
  readonly uri: string
  readonly name: string
  readonly problem: string | null
  /** It is the first method of somebody who is enrolling: no name is asked for. */
  readonly enrolling: { readonly allowed: boolean } | null
}

export function totp(visit: Visit, page: TotpPage): Html {
  const { totp: t, common } = visit.words
  const key = page.secret.replace(/(.{4})(?=.)/g, '$1 ')
  return layout(
    visit,
    { title: t.title, here: 'home' },
    html`${page.enrolling && steps(visit, 1, stepsOf(page.enrolling.allowed))}
<h1>${t.title}</h1>
<ol class="how">
<li><p>${t.install}</p></li>
<li><p>${t.scan}</p>
${qrCode(page.uri, t.scanAlt)}
<p class="hint">${t.cantScan}</p>
<p><code class="key" id="key" translate="no">${key}</code></p>
<p class="hint"><a href="${page.uri}">${t.openApp}</a></p></li>
<li><p>${t.enter}</p>
${form(
  visit,
  '/add/authenticator',
  hidden('id', page.id),
  hidden('secret', page.secret),
  hidden('uri', page.uri),
  field({
    name: 'code',
    label: t.code,
    autocomplete: 'one-time-code',
    inputmode: 'numeric',
    maxlength: 16,
    code: true,
    problem: page.problem,
    focus: page.problem !== null,
  }),
  page.enrolling === null
    ? field({ name: 'name', label: t.name, value: page.name, maxlength: 64 })
    : hidden('name', page.name),
  html`<p class="buttons">${button(t.submit)}<a class="button quiet" href="${page.enrolling ? '/enrol' : '/'}">${page.enrolling ? common.back : common.cancel}</a></p>`,
)}</li>
</ol>`,
  )
}

/** Drawn in the page itself, so that the key is in no address and no second answer. */
function qrCode(text: string, label: string): Html {
  const { data, size } = encode(text, { border: 2, ecc: 'M' })
  const path = data.map((row, y) => row.map((isDark, x) => (isDark ? `M${x} ${y}h1v1h-1z` : '')).join('')).join('')
  return html`<svg class="qr" role="img" aria-label="${label}" viewBox="0 0 ${size} ${size}" shape-rendering="crispEdges"><path d="${path}"/></svg>`
}

export function passkey(
  visit: Visit,
  page: { readonly problem: string | null; readonly enrolling: { readonly allowed: boolean } | null },
): Html {
  const { passkey: t, common } = visit.words
  return layout(
    visit,
    { title: t.title, here: 'home', passkeys: true },
    html`${page.enrolling && steps(visit, 1, stepsOf(page.enrolling.allowed))}
<h1>${t.title}</h1>
${alert(page.problem)}
<p>${t.intro}</p>
${passkeyForm(
  visit,
  { action: '/add/passkey', begin: '/add/passkey/begin', use: 'create', submit: t.submit },
  field({ name: 'name', label: t.name, value: t.defaultName, hint: t.nameHint, maxlength: 64 }),
)}
<p><a href="${page.enrolling ? '/add/authenticator' : '/'}">${page.enrolling ? t.instead : common.cancel}</a></p>`,
  )
}

export function renewCodes(visit: Visit): Html {
  const { recoveryCodes: t, common } = visit.words
  return layout(
    visit,
    { title: t.title, here: 'home' },
    html`<h1>${t.title}</h1>
<p>${t.text}</p>
${form(visit, '/recovery-codes', html`<p class="buttons">${button(t.submit)}<a class="button quiet" href="/">${common.cancel}</a></p>`)}`,
  )
}
