/** Signing in: name and password, the second step, and the way over an OpenID provider. */

import type { SecondStep } from '../../../contract/portal/client.ts'
import type { SignInOptions } from '../../../contract/portal/sign-in.ts'
import type { Html } from '../html.ts'
import { html } from '../html.ts'
import { paths } from '../paths.ts'
import type { Visit } from '../visit.ts'
import { layout } from './layout.ts'
import { alert, button, field, form, hidden, passkeyForm } from './parts.ts'

export interface SignInPage {
  readonly options: SignInOptions
  readonly next: string | null
  readonly user: string
  readonly problem: string | null
}

export function signIn(visit: Visit, { options, next, user, problem }: SignInPage): Html {
  const { words } = visit
  const t = words.signIn
  const keepNext = next !== null && hidden('next', next)
  const others = [
    options.passkey &&
      passkeyForm(
        visit,
        {
          action: '/sign-in/passkey',
          begin: '/sign-in/passkey/begin',
          use: 'get',
          submit: t.passkey,
          kind: options.password ? 'quiet' : 'primary',
        },
        keepNext,
      ),
    options.providers.map(({ id, name }) =>
      form(visit, paths.signInProvider(id), keepNext, button(t.provider(name), options.password ? 'quiet' : 'primary')),
    ),
  ]
  const hasOthers = options.passkey || options.providers.length > 0
  return layout(
    visit,
    { title: t.title, passkeys: options.passkey },
    html`<h1>${t.title}</h1>
<p>${t.intro}</p>
${alert(problem)}
${
  options.password &&
  form(
    visit,
    '/sign-in',
    keepNext,
    field({
      name: 'user',
      label: t.user,
      value: user,
      autocomplete: 'username',
      inputmode: 'email',
      maxlength: 254,
      focus: user === '',
    }),
    field({
      name: 'password',
      label: t.password,
      type: 'password',
      autocomplete: 'current-password',
      maxlength: 1024,
      focus: user !== '',
    }),
    button(t.submit),
  )
}
${options.password && hasOthers && html`<p class="or"><span>${words.common.or}</span></p>`}
<div class="ways">${others}</div>
${!options.password && !hasOthers && html`<p>${t.nobody}</p>`}
${options.enrolment === 'invitation' && options.password && html`<p class="hint">${t.withInvitation}</p>`}`,
  )
}

export interface SecondStepPage {
  readonly by: SecondStep
  readonly methods: readonly SecondStep[]
  readonly problem: string | null
}

export function secondStep(visit: Visit, page: SecondStepPage): Html {
  const { words } = visit
  const others = page.methods.filter((method) => method !== page.by)
  return layout(
    visit,
    { title: words.secondStep.title, passkeys: page.by === 'passkey' },
    html`<h1>${words.secondStep.title}</h1>
${alert(page.problem)}
${stepForm(visit, page.by, '/sign-in')}
${otherWays(visit, others, (by) => paths.secondStep(by))}
<p><a href="/sign-in">${words.secondStep.startOver}</a></p>`,
  )
}

/** The form of one second step, for signing in and for step-up, which differ in where it goes. */
export function stepForm(visit: Visit, by: SecondStep, under: '/sign-in' | '/step-up', ...more: readonly Html[]): Html {
  const t = visit.words.secondStep
  switch (by) {
    case 'totp':
      return html`<p>${t.totp}</p>
${form(
  visit,
  `${under}/code`,
  more,
  field({
    name: 'code',
    label: t.totpLabel,
    autocomplete: 'one-time-code',
    inputmode: 'numeric',
    maxlength: 16,
    focus: true,
    code: true,
  }),
  button(t.submit),
)}`
    case 'passkey':
      return html`<p>${t.passkey}</p>
${passkeyForm(visit, { action: `${under}/passkey`, begin: `${under}/passkey/begin`, use: 'get', submit: t.passkeySubmit }, more)}`
    case 'recovery-code':
      return html`<p>${t.recovery}</p>
${form(
  visit,
  `${under}/recovery-code`,
  more,
  field({ name: 'code', label: t.recoveryLabel, maxlength: 64, focus: true, code: true }),
  button(t.submit),
)}`
  }
}

export function otherWays(visit: Visit, methods: readonly SecondStep[], to: (by: SecondStep) => string): Html | null {
  if (methods.length === 0) return null
  const t = visit.words.secondStep
  const text = { totp: t.byTotp, passkey: t.byPasskey, 'recovery-code': t.byRecoveryCode }
  return html`<section aria-labelledby="other-ways">
<h2 id="other-ways">${t.otherWay}</h2>
<ul class="plain">${methods.map((method) => html`<li><a href="${to(method)}">${text[method]}</a></li>`)}</ul>
</section>`
}

/** Somebody who is signed in, and whom a provider would not take along. */
export function refusedByProvider(visit: Visit, problem: string): Html {
  const { signIn: t, errors } = visit.words
  return layout(
    visit,
    { title: t.title },
    html`<h1>${t.title}</h1>
${alert(problem)}
<p><a class="button" href="/">${errors.goHome}</a></p>`,
  )
}

/**
 * On to a provider. A page and not a redirect: the policy that keeps forms on this site (CSP form-action) holds for where a
 * form is redirected to as well.
 */
export function forwarding(visit: Visit, name: string, url: string): Html {
  const t = visit.words.signIn
  return html`<!doctype html>
<html lang="${visit.language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="refresh" content="0;url=${url}">
<title>${t.forwarding(name)}</title>
<link rel="stylesheet" href="${visit.portal.assets.style}">
</head>
<body>
<main id="content">
<h1>${t.forwarding(name)}</h1>
<p>${t.forwardingText}</p>
<p><a class="button" href="${url}">${t.forwardingLink(name)}</a></p>
</main>
</body>
</html>
`
}
