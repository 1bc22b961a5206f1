/**
 * Markup that can't be mixed up with text: the `html` template escapes whatever is put into it, unless it is markup itself.
 *
 * The one place of the portal where text becomes HTML (threats H3, H6). A value may stand between tags or in an attribute in
 * double quotes, nowhere else: attributes that are code (`onclick`, `style`) are not used at all, and addresses come from
 * `paths.ts`. Pages are typed functions, so a page that lacks a value does not compile.
 */

/** Made by `html` alone: the private field keeps anything else from having this type. */
export class Html {
  readonly #markup: string

  constructor(parts: readonly string[], values: readonly HtmlValue[]) {
    let markup = parts[0] ?? ''
    for (const [index, value] of values.entries()) markup += escaped(value) + (parts[index + 1] ?? '')
    this.#markup = markup
  }

  toString(): string {
    return this.#markup
  }
}

/** `false`, null and undefined are nothing, so that `condition && html…` can be written. */
export type HtmlValue = Html | string | number | false | null | undefined | readonly HtmlValue[]

/** html`<p>${text}</p>` */
export function html(parts: TemplateStringsArray, ...values: readonly HtmlValue[]): Html {
  return new Html(parts, values)
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

function escaped(value: HtmlValue): string {
  if (value instanceof Html) return value.toString()
  if (value === null || value === undefined || value === false) return ''
  if (Array.isArray(value)) return value.map(escaped).join('')
  return String(value).replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '')
}
