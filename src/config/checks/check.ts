/**
 * A check across settings: what it is given, and the words that several of them use.
 */

import type { Config } from '../../config.ts'
import { nearest } from '../problems.ts'
import type { Settings } from '../schema.ts'
import type { MailProtocol } from '../upstreams.ts'
import { DEFAULT_PORTS } from '../upstreams.ts'

/** What a check has to work with: the finished configuration, what was written (for places), and where to complain. */
export interface Check {
  readonly config: Config
  readonly written: Settings
  refuse(path: readonly PropertyKey[], message: string): void
  warn(path: readonly PropertyKey[], message: string): void
}

/** What is odd about TLS on this port, as the beginning of a message; null: nothing. */
export function slipOfTls(on: {
  readonly protocol: MailProtocol
  readonly port: number
  readonly tls: 'implicit' | 'starttls' | 'none'
}): string | null {
  const usual = DEFAULT_PORTS[on.protocol]
  if (on.tls === 'implicit' && on.port === usual.starttls) {
    return `is implicit on port ${on.port}, where one begins in clear (write starttls, or port ${usual.implicit})`
  }
  if (on.tls === 'starttls' && on.port === usual.implicit) {
    return `is starttls on port ${on.port}, where one begins with TLS (write implicit, or port ${usual.starttls})`
  }
  return null
}

/** What a word may have been meant to be, as the end of a message. */
export function suggest(word: string, known: readonly string[]): string {
  const near = nearest(word, known)
  if (near !== null) return `; did you mean ${near}?`
  return known.length === 0 ? '' : `; there ${known.length === 1 ? 'is' : 'are'}: ${known.slice(0, 10).join(', ')}`
}
