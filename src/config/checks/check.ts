/**
 * A check across settings: what it is given, and the words that several of them use.
 */

import type { Config } from '../../config.ts'
import { nearest } from '../problems.ts'
import type { Settings } from '../schema.ts'

/** What a check has to work with: the finished configuration, what was written (for places), and where to complain. */
export interface Check {
  readonly config: Config
  readonly written: Settings
  refuse(path: readonly PropertyKey[], message: string): void
  warn(path: readonly PropertyKey[], message: string): void
}

/** What a word may have been meant to be, as the end of a message. */
export function suggest(word: string, known: readonly string[]): string {
  const near = nearest(word, known)
  if (near !== null) return `; did you mean ${near}?`
  return known.length === 0 ? '' : `; there ${known.length === 1 ? 'is' : 'are'}: ${known.slice(0, 10).join(', ')}`
}
