/**
 * TLS sessions with upstreams, to be taken up again: saves a third of what a connection to an upstream costs us.
 *
 * A resumed session is one whose certificate was verified before (RFC 8446 §2.2), so a session is kept for one server name, one
 * address and one set of authorities only, and for no longer than an hour after a certificate has been seen. A server that
 * takes none of ours up (one process per connection, each with keys of its own) is not offered any for a while: whatever is
 * offered stays in memory as long as its connection.
 */

import type { TLSSocket } from 'node:tls'

/** A certificate counts as seen for so long. */
const MAX_AGE_MS = 60 * 60_000
/** Connections of one minute share one session, and the buffer that it is in. */
const RENEW_MS = 60_000
const MAX_REFUSALS = 3
const REST_MS = 10 * 60_000

/** Sessions with one server. Times are monotonic milliseconds. */
export class Resumption {
  #session: Buffer | null = null
  #keptAt = 0
  #verifiedAt = 0
  #refusals = 0
  #restsUntil = 0
  readonly #now: () => number

  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  /** What to offer to the server; null: nothing. */
  get session(): Buffer | null {
    const now = this.#now()
    if (now < this.#restsUntil || now - this.#verifiedAt > MAX_AGE_MS) return null
    return this.#session
  }

  /** Call when a handshake is over and the server is verified. `offered` is what `session` was before it. */
  use(socket: TLSSocket, offered: Buffer | null): void {
    const now = this.#now()
    if (socket.isSessionReused()) this.#refusals = 0
    else {
      this.#verifiedAt = now
      if (offered !== null) {
        this.#session = null
        this.#refusals += 1
        if (this.#refusals >= MAX_REFUSALS) {
          this.#refusals = 0
          this.#restsUntil = now + REST_MS
        }
      }
    }
    if (now < this.#restsUntil || (this.#session !== null && now - this.#keptAt < RENEW_MS)) return
    // TLS 1.3 sends its tickets after the handshake.
    if (socket.getProtocol() === 'TLSv1.3') socket.once('session', this.#keep)
    else {
      const session = socket.getSession()
      if (session) this.#keep(session)
    }
  }

  /** Call when a handshake failed: perhaps the server can't stand what it was offered. */
  forget(): void {
    this.#session = null
  }

  readonly #keep = (session: Buffer): void => {
    this.#session = session
    this.#keptAt = this.#now()
  }
}
