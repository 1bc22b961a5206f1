/**
 * What the bench asks of its load generator, and what comes back: plain values over the ipc channel of a forked process.
 */

/** Name and password of one login. */
export type Account = readonly [user: string, password: string]

interface Door {
  readonly port: number
  readonly tls: boolean
}

export type Job =
  /** Log in and out `count` times, `concurrency` at once, taking the accounts in turn. */
  | (Door & {
      readonly kind: 'login'
      readonly count: number
      readonly concurrency: number
      readonly accounts: readonly Account[]
      /** Offer one TLS session ticket at every handshake. */
      readonly resume: boolean
    })
  /** Log in `connections` times and fetch the big message `fetches` times in all. */
  | (Door & {
      readonly kind: 'fetch'
      readonly fetches: number
      readonly connections: number
      readonly account: Account
    })
  /** Send `messages` of so many octets in all, over `connections` at once; each sends so many before it is made anew. */
  | (Door & {
      readonly kind: 'send'
      readonly messages: number
      readonly octets: number
      readonly connections: number
      readonly perConnection: number
      readonly accounts: readonly Account[]
    })
  /** Log in `count` times and stay, until 'release'. */
  | (Door & {
      readonly kind: 'hold'
      readonly count: number
      readonly concurrency: number
      readonly accounts: readonly Account[]
    })
  /** How many held sessions are still open. */
  | { readonly kind: 'held' }
  | { readonly kind: 'release' }

export interface JobResult {
  /** Sessions or transfers that went as they should. */
  readonly done: number
  /** What went wrong, with how often. */
  readonly errors: Readonly<Record<string, number>>
  readonly wallMs: number
  /** From connect to the tagged OK of the login. */
  readonly p50Ms: number
  readonly p99Ms: number
  /** TLS handshakes that resumed a session. */
  readonly resumed: number
  /** Octets of message content that arrived, and were compared with what was sent. */
  readonly bytes: number
}

export const MESSAGE_BYTES = 20_000_000
export const SMALL_MESSAGE_BYTES = 10_000
/** A prime, so that a chunk that arrives twice or at the wrong place never looks right. */
const PERIOD = 65_521
const LONGEST_CHUNK = 1 << 20

/** Text whose octet at position n depends on n modulo a prime; long enough to compare any chunk with. */
export function messagePattern(): Buffer {
  const pattern = Buffer.alloc(PERIOD + LONGEST_CHUNK)
  let state = 1
  for (let i = 0; i < PERIOD; i++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    pattern[i] = i % 78 === 76 ? 13 : i % 78 === 77 ? 10 : 33 + ((state >>> 16) % 94)
  }
  for (let i = PERIOD; i < pattern.length; i++) pattern[i] = pattern[i - PERIOD] ?? 0
  return pattern
}

/** Whether `chunk` is what stands at `offset` of the message. */
export function isMessageAt(pattern: Buffer, offset: number, chunk: Buffer): boolean {
  for (let at = 0; at < chunk.length; at += LONGEST_CHUNK) {
    const part = chunk.subarray(at, at + LONGEST_CHUNK)
    const start = (offset + at) % PERIOD
    if (!pattern.subarray(start, start + part.length).equals(part)) return false
  }
  return true
}

/** The message that is fetched and sent; a small one is its beginning. No line of it is a dot alone. */
export function bigMessage(): Buffer {
  const message = Buffer.alloc(MESSAGE_BYTES)
  const pattern = messagePattern()
  for (let at = 0; at < MESSAGE_BYTES; at += PERIOD) pattern.copy(message, at, 0, Math.min(PERIOD, MESSAGE_BYTES - at))
  return message
}
