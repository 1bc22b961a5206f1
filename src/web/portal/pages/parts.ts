/** Pieces that many pages are made of: fields, forms, secrets that are shown once. */

import type { Html, HtmlValue } from '../html.ts'
import { html } from '../html.ts'
import type { Visit } from '../visit.ts'
import { token } from './layout.ts'

export interface FieldOptions {
  readonly name: string
  readonly label: string
  readonly type?: 'text' | 'password' | 'email' | 'search'
  readonly value?: string | null
  readonly hint?: string
  /** What is wrong with what was typed. */
  readonly problem?: string | null
  readonly autocomplete?: string
  readonly inputmode?: 'numeric' | 'email' | 'text'
  readonly maxlength?: number
  readonly focus?: boolean
  readonly optional?: boolean
  readonly code?: boolean
}

/** A label, a text field, its hint and what is wrong with it, tied together for screen readers. */
export function field(options: FieldOptions): Html {
  const {
    name,
    label,
    type = 'text',
    value,
    hint,
    problem,
    autocomplete = 'off',
    inputmode,
    maxlength,
    focus,
  } = options
  const described = [hint && `${name}-hint`, problem && `${name}-problem`].filter(Boolean).join(' ')
  return html`<div class="field">
<label for="${name}">${label}</label>
${hint && html`<p class="hint" id="${name}-hint">${hint}</p>`}
${problem && html`<p class="problem" id="${name}-problem">${problem}</p>`}
<input id="${name}" name="${name}" type="${type}" value="${value}" autocomplete="${autocomplete}"${[
    inputmode && html` inputmode="${inputmode}"`,
    maxlength && html` maxlength="${maxlength}"`,
    !options.optional && html` required`,
    focus && html` autofocus`,
    options.code && html` class="code"`,
    described !== '' && html` aria-describedby="${described}"`,
    problem && html` aria-invalid="true"`,
    html` autocapitalize="none" spellcheck="false"`,
  ]}>
</div>`
}

export function form(visit: Visit, action: string, ...content: readonly HtmlValue[]): Html {
  return html`<form method="post" action="${action}">${token(visit)}
${content}
</form>`
}

export const hidden = (name: string, value: string): Html => html`<input type="hidden" name="${name}" value="${value}">`

export const button = (text: string, kind: 'primary' | 'quiet' | 'danger' = 'primary'): Html =>
  html`<button class="${kind}">${text}</button>`

/** Something that went wrong with a form as a whole. */
export const alert = (text: string | null): Html | null =>
  text === null ? null : html`<p class="alert" role="alert">${text}</p>`

export const steps = ({ words }: Visit, at: number, of: number): Html =>
  html`<p class="step">${words.common.step(at, of)}</p>`

/** A button that copies what is in the element with this id. Only scripts can; the text can be selected as well. */
export function copyButton({ words }: Visit, id: string): Html {
  const { copy, copied, copyFailed } = words.common
  return html`<button type="button" class="primary needs-js" data-copy="${id}" data-copied="${copied}" data-failed="${copyFailed}">${copy}</button>`
}

/** A page that asks before something is taken away for good (R24, R27). */
export function confirmation(
  visit: Visit,
  options: { action: string; title: string; text: string; submit: string; back: string; hidden?: Html },
): Html {
  return html`<h1>${options.title}</h1>
<p>${options.text}</p>
${form(visit, options.action, options.hidden, html`<p class="buttons">${button(options.submit, 'danger')}<a class="button quiet" href="${options.back}">${visit.words.common.cancel}</a></p>`)}`
}

/**
 * The way to a confirmation: a link to its page, which scripts turn into a dialog on this one.
 *
 * `named` is what a screen reader says, since a list has many buttons that are called the same.
 */
export function deleteLink(options: {
  page: string
  title: string
  text: string
  submit: string
  label: string
  named: string
}): Html {
  return html`<a class="button quiet small" href="${options.page}" data-confirm data-title="${options.title}" data-text="${options.text}" data-submit="${options.submit}" aria-label="${options.named}">${options.label}</a>`
}

/** The dialog that `deleteLink` opens, once on a page that has such links. */
export function confirmDialog(visit: Visit): Html {
  return html`<dialog id="confirm" aria-labelledby="confirm-title" aria-describedby="confirm-text">
<h2 id="confirm-title"></h2>
<p id="confirm-text"></p>
<form method="post">${token(visit)}<p class="buttons"><button class="danger" id="confirm-submit"></button><button class="quiet" type="button" data-close>${visit.words.common.cancel}</button></p></form>
</dialog>`
}

/** Ten codes, to be copied or printed. */
export function codeList(visit: Visit, codes: readonly string[]): Html {
  return html`<div class="secret">
<ol class="codes" id="codes" translate="no">${codes.map((code) => html`<li><code>${code}</code></li>`)}</ol>
<p class="buttons">${copyButton(visit, 'codes')}<button type="button" class="quiet needs-js" data-print>${visit.words.common.print}</button></p>
<p class="copy-status" role="status" data-copy-status></p>
</div>`
}

/** A form whose submit asks the browser for a passkey (assets/portal.js). */
export function passkeyForm(
  visit: Visit,
  options: {
    readonly action: string
    readonly begin: string
    readonly use: 'get' | 'create'
    readonly submit: string
    readonly kind?: 'primary' | 'quiet'
  },
  ...content: readonly HtmlValue[]
): Html {
  const { passkeys } = visit.words
  return html`<div class="passkey">
<form method="post" action="${options.action}" class="needs-js" data-passkey="${options.use}" data-begin="${options.begin}" data-cancelled="${passkeys.cancelled}" data-failed="${passkeys.failed}" data-exists="${passkeys.exists}">${token(visit)}
<input type="hidden" name="response">
${content}
${button(options.submit, options.kind ?? 'primary')}
<p class="problem" role="alert" data-problem></p>
</form>
<p class="hint" data-unsupported hidden>${passkeys.unsupported}</p>
<noscript><p class="hint">${passkeys.needScripts}</p></noscript>
</div>`
}
