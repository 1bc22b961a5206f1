/**
 * Looks for secrets in text (pure): as they are, as JSON and percent-encoding write them, and inside base64.
 */

/** Needles are found by their first characters; none is shorter. */
const PREFIX = 6

export interface SecretHit {
  /** Which secret, counted from 1 in the order given: reports never repeat the value. */
  readonly secret: number
  readonly form: string
  /** From 1. */
  readonly line: number
  /** The line with the secret blanked, cut to 160 characters. */
  readonly excerpt: string
}

/** The forms in which a secret would be printed by accident. */
export function formsOf(secret: string): { form: string; text: string }[] {
  const forms = [
    { form: 'as it is', text: secret },
    { form: 'in JSON', text: JSON.stringify(secret).slice(1, -1) },
    { form: 'percent-encoded', text: encodeURIComponent(secret) },
    { form: 'in hexadecimal', text: Buffer.from(secret).toString('hex') },
  ]
  // Base64 of something that holds the secret: its characters depend on where in a group of three the secret begins.
  for (const shift of [0, 1, 2]) {
    const encoded = Buffer.concat([Buffer.alloc(shift), Buffer.from(secret)]).toString('base64')
    const from = shift === 0 ? 0 : shift + 1
    const to = encoded.replace(/=+$/, '').length - (encoded.endsWith('=') ? 1 : 0)
    forms.push({ form: 'in base64', text: encoded.slice(from, to) })
  }
  const seen = new Set<string>()
  return forms.filter(({ text }) => text.length >= PREFIX && !seen.has(text) && seen.add(text))
}

/** A scanner for these secrets; values shorter than six characters are left out. */
export function createSecretScan(secrets: readonly string[]): (text: string) => SecretHit[] {
  const byPrefix = new Map<string, { secret: number; form: string; text: string }[]>()
  secrets.forEach((secret, index) => {
    if (secret.length < PREFIX) return
    for (const { form, text } of formsOf(secret)) {
      const prefix = text.slice(0, PREFIX)
      const needles = byPrefix.get(prefix)
      const needle = { secret: index + 1, form, text }
      if (needles) needles.push(needle)
      else byPrefix.set(prefix, [needle])
    }
  })
  return (text) => {
    const hits: SecretHit[] = []
    const found = new Set<string>()
    for (let at = 0; at + PREFIX <= text.length; at++) {
      for (const needle of byPrefix.get(text.slice(at, at + PREFIX)) ?? []) {
        if (found.has(needle.text) || !text.startsWith(needle.text, at)) continue
        found.add(needle.text)
        const start = text.lastIndexOf('\n', at) + 1
        const end = text.indexOf('\n', at)
        const excerpt = text.slice(start, end < 0 ? text.length : end).replaceAll(needle.text, '█████')
        hits.push({
          secret: needle.secret,
          form: needle.form,
          line: text.slice(0, at).split('\n').length,
          excerpt: excerpt.slice(0, 160),
        })
      }
    }
    return hits
  }
}
