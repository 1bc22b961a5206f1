/**
 * Tokens: random values that open something (a session of the portal, a one-time link, the API). The holder has the value,
 * the store a keyed digest of it, so that whoever reads or writes the store alone can't make one up.
 */

import { randomBytes } from 'node:crypto'
import { Secret } from '../secret.ts'
import type { Keys } from './keys.ts'

/** What a token is for is part of its digest: one kind never opens another. */
export type TokenKind = 'session' | 'invitation' | 'set-up' | 'api'

/** 128 bits where the token stands in an address that somebody may have to type, 256 otherwise. */
const BYTES = { session: 32, invitation: 16, 'set-up': 16, api: 32 } as const satisfies Record<TokenKind, number>
/** Nothing longer was ever made. */
const MAX_LENGTH = 256

export interface NewToken {
  readonly token: Secret
  readonly digest: string
  readonly keyId: string
}

/** `prefix` makes a token that leaked recognisable for scanners; it is part of it. */
export function newToken(keys: Keys, kind: TokenKind, prefix = ''): NewToken {
  const token = prefix + randomBytes(BYTES[kind]).toString('base64url')
  return { token: new Secret(token), digest: digestUnder(keys.active, kind, token), keyId: keys.active.id }
}

/** The digests under which a token may be in the store: one for each key of the key file. */
export function tokenDigests(keys: Keys, kind: TokenKind, token: string): readonly string[] {
  if (token.length > MAX_LENGTH) return ['']
  return keys.all.map((key) => digestUnder(key, kind, token))
}

function digestUnder(key: Keys['active'], kind: TokenKind, token: string): string {
  return key.hmac('token', kind, token).toString('base64url')
}
