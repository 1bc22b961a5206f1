/**
 * Times, numbers and lists in the words of a language.
 *
 * A page does not know the reader's time zone, and works without scripts: so what is near is told as a distance ("5 minutes
 * ago"), which is true everywhere, and what is further away as a day. Administrators read UTC, which says so.
 */

import type { Language } from '../../contract/languages.ts'

export interface Format {
  /** 'just now', '5 minutes ago', 'yesterday', '12 Nov 2026'. */
  when(at: string | Date): string
  /** 'in 3 days', '12 Nov 2026'. */
  until(at: string | Date): string
  day(at: string | Date): string
  /** To the second, with its zone. */
  utc(at: string | Date): string
  number(value: number): string
  /** 'a, b and c' */
  list(items: readonly string[]): string
}

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
/** Further away than this, a distance says less than a date. */
const NEAR_MS = 7 * DAY

const LOCALES = { en: 'en-GB', nl: 'nl-NL' } as const satisfies Record<Language, string>

function createFormat(language: Language): Format {
  const locale = LOCALES[language]
  const days = new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeZone: 'UTC' })
  const seconds = new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'medium', timeZone: 'UTC' })
  const distances = new Intl.RelativeTimeFormat(locale, { numeric: 'auto' })
  const numbers = new Intl.NumberFormat(locale)
  const lists = new Intl.ListFormat(locale, { type: 'conjunction' })
  const format: Format = {
    when(at) {
      // A clock that is a little ahead must not make a last use lie in the future.
      const ms = Math.min(0, new Date(at).getTime() - Date.now())
      return -ms > NEAR_MS ? format.day(at) : distance(distances, ms)
    },
    until(at) {
      const ms = new Date(at).getTime() - Date.now()
      return ms > NEAR_MS ? format.day(at) : distance(distances, ms)
    },
    day: (at) => days.format(new Date(at)),
    utc: (at) => `${seconds.format(new Date(at))} UTC`,
    number: (value) => numbers.format(value),
    list: (items) => lists.format(items),
  }
  return format
}

function distance(distances: Intl.RelativeTimeFormat, ms: number): string {
  const size = Math.abs(ms)
  if (size < MINUTE) return distances.format(0, 'second')
  // What lies ahead is rounded: a link that was made for three days a second ago is one for three days.
  const whole = ms > 0 ? Math.round : Math.trunc
  if (size < HOUR) return distances.format(whole(ms / MINUTE), 'minute')
  if (size < DAY) return distances.format(whole(ms / HOUR), 'hour')
  return distances.format(whole(ms / DAY), 'day')
}

const FORMATS: Readonly<Record<Language, Format>> = { en: createFormat('en'), nl: createFormat('nl') }

export const formatOf = (language: Language): Format => FORMATS[language]
