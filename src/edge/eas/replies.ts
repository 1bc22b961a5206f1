/**
 * Our words to an ActiveSync client: a status for each reason of a failed login, and the answers that a waiting poll gets when
 * nobody else can give one (pure).
 *
 * A phone that is told 401 asks its owner for another password, and one that is told 500 again and again throws its mail away
 * (Apple documents this), so neither is ever said for a fault of ours or of the upstream.
 */

import type { LoginFailureReason } from '../../contract/failure.ts'

const UNAVAILABLE = 503

/** What each reason is. 401 comes with a challenge, 429 and 503 with a Retry-After. */
export const STATUS_OF: Readonly<Record<LoginFailureReason, 401 | 403 | 429 | 503>> = {
  'bad-credentials': 401,
  'app-password-deleted': 401,
  'app-password-expired': 401,
  'not-on-this-protocol': 401,
  'use-app-password': 401,
  'device-refused': 403,
  'tls-required': 403,
  throttled: 429,
  'too-many-sessions': UNAVAILABLE,
  'store-unavailable': UNAVAILABLE,
  'keeper-unavailable': UNAVAILABLE,
  'upstream-unreachable': UNAVAILABLE,
  'upstream-protocol': UNAVAILABLE,
  'upstream-refused': UNAVAILABLE,
  'token-unavailable': UNAVAILABLE,
  busy: UNAVAILABLE,
}

/** RFC 7617 §2.1: what is asked for, and in which encoding. */
export const CHALLENGE = 'Basic realm="Mail", charset="UTF-8"'

/** Phones come back by themselves; this keeps them from coming back at once. */
export const RETRY_AFTER_SECONDS = '30'
/** For somebody whose poll was ended: the next request is the one that tells. */
export const RETRY_SOON_SECONDS = '5'

export const WBXML_TYPE = 'application/vnd.ms-sync.wbxml'

/**
 * MS-ASCMD §2.2.3.177.11: Ping status 1, the heartbeat is over and nothing has happened, so ping again. Header 03 01 6A 00, page 13,
 * <Ping><Status>1</Status></Ping>.
 */
export const PING_OVER = Buffer.from([0x03, 0x01, 0x6a, 0x00, 0x00, 0x0d, 0x45, 0x47, 0x03, 0x31, 0x00, 0x01, 0x01])

/** Every answer on this path: whatever a mail holds, no browser ever renders it in our origin. */
export const ANSWER_HEADERS = {
  'x-content-type-options': 'nosniff',
  'content-security-policy': "sandbox; default-src 'none'; frame-ancestors 'none'",
  'content-disposition': 'attachment',
} as const
