/**
 * Which language a page is in: what the person has chosen in the profile, else on this browser, else what the browser asks for.
 */

import type { Language } from '../../contract/languages.ts'

interface Wishes {
  /** The user's setting, when signed in. */
  readonly user: Language | null
  readonly cookie: string | null
  /** Accept-Language (RFC 9110 §12.5.4). */
  readonly header: string | undefined
}

/** Browsers send a few; more is noise. */
const MAX_RANGES = 20

export function chooseLanguage(offered: readonly Language[], { user, cookie, header }: Wishes): Language {
  for (const wish of [user, cookie]) {
    const found = offered.find((language) => language === wish)
    if (found !== undefined) return found
  }
  return fromHeader(offered, header ?? '') ?? offered[0] ?? 'en'
}

function fromHeader(offered: readonly Language[], header: string): Language | null {
  let best: { readonly language: Language; readonly weight: number } | null = null
  for (const range of header.split(',').slice(0, MAX_RANGES)) {
    const [tag = '', ...parameters] = range.split(';').map((piece) => piece.trim().toLowerCase())
    const language = offered.find((each) => tag === each || tag.startsWith(`${each}-`))
    if (language === undefined) continue
    const q = parameters.find((parameter) => parameter.startsWith('q='))
    const weight = q === undefined ? 1 : Number(q.slice(2))
    if (weight > (best?.weight ?? 0)) best = { language, weight }
  }
  return best?.language ?? null
}
