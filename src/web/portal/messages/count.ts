import type { Language } from '../../../contract/languages.ts'

/** `3 codes`, `1 code`: a number and what there are so many of. For languages with two forms. */
export function countIn(language: Language): (n: number, one: string, other: string) => string {
  const plural = new Intl.PluralRules(language)
  return (n, one, other) => `${n} ${plural.select(n) === 'one' ? one : other}`
}
