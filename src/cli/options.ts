/**
 * Values of options, checked where they are parsed.
 */

import { InvalidArgumentError } from 'commander'
import { isNetwork, parseDuration } from '../config/units.ts'
import type { ProtocolName } from '../contract/admission.ts'
import { PROTOCOL_NAMES } from '../contract/admission.ts'
import type { Language } from '../contract/languages.ts'
import { LANGUAGES } from '../contract/languages.ts'

/** Milliseconds of '90d'. */
export function duration(text: string): number {
  const ms = parseDuration(text)
  if (ms === null || ms === 0) throw new InvalidArgumentError('Write a number with a unit: 30s, 10m, 1h or 90d.')
  return ms
}

/** Commander makes '' of a value that is null: what means nothing is a word until it is asked for. */
export function expiry(text: string): number | 'never' {
  return text === 'never' ? text : duration(text)
}

export function protocols(text: string): ProtocolName[] {
  return list(text).map((word) => {
    const known = PROTOCOL_NAMES.find((name) => name === word.toLowerCase())
    if (known === undefined) throw new InvalidArgumentError(`Write some of ${PROTOCOL_NAMES.join(',')}.`)
    return known
  })
}

export function networks(text: string): string[] {
  return text === 'any'
    ? []
    : list(text).map((word) => {
        if (!isNetwork(word))
          throw new InvalidArgumentError('Write addresses or blocks of addresses: 192.0.2.1,10.0.0.0/8.')
        return word
      })
}

/** 'nl'; 'none' takes it away. */
export function language(text: string): Language | 'none' {
  if (text === 'none') return text
  const known = LANGUAGES.find((code) => code === text.toLowerCase())
  if (known === undefined) throw new InvalidArgumentError(`Write one of ${LANGUAGES.join(', ')}, or none.`)
  return known
}

/** A number of things, at least one. */
export function count(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('Write a whole number, 1 or more.')
  return Number(text)
}

/** An option that can be given several times. */
export function collect(value: string, before: readonly string[] = []): string[] {
  return [...before, value]
}

function list(text: string): string[] {
  const words = text.split(',').map((word) => word.trim())
  if (words.includes('')) throw new InvalidArgumentError('Write words with commas between them.')
  return words
}
