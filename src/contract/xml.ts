/**
 * Text for XML documents. The one place where text that came from elsewhere is made safe to stand in one.
 */

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
}

/**
 * Text as the content of an element or the value of an attribute.
 *
 * What no XML 1.0 document may hold (XML §2.2: most control characters, lone surrogates, U+FFFE and U+FFFF), not even as a
 * reference, becomes U+FFFD.
 */
export function xmlText(text: string): string {
  return text
    .toWellFormed()
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '\ufffd')
    .replace(/[&<>"']/g, (character) => ESCAPES[character] ?? '')
}

/** One element with text in it: `<port>993</port>`. `name` is ours. */
export function xmlElement(name: string, text: string | number): string {
  return `<${name}>${xmlText(String(text))}</${name}>`
}
