/**
 * Guessing at the portal, in the lanes of the throttle that the mail protocols use (threats H10, B12).
 *
 * What a person chose or a short code can be guessed, so a delay is served before the check and nothing exempts from it. An
 * attempt that comes much too early is told when to come back, and was not looked at.
 */

import type { Refusal } from '../../contract/portal/client.ts'
import { Secret } from '../../secret.ts'
import type { Throttle } from '../throttle.ts'

export type Judged = { readonly ok: true } | { readonly ok: false; readonly refusal: Refusal }

/** Something that can be guessed. */
export interface Guess {
  /** Whose it is said to be: canonical name, known or not. */
  readonly name: string
  readonly ip: string
  /** 'factor': a second step, which has five tries and then its own delays. */
  readonly step: 'password' | 'factor'
  /** What was typed; null: nothing that could be the same again. */
  readonly typed: string | null
}

export interface Guesses {
  /** Runs a check, which answers whether it was right; when it throws, nothing was judged and nothing is charged. */
  judge(guess: Guess, check: () => Promise<boolean>): Promise<Judged>
}

/** A person looks at a page that does not come; longer delays are told. */
const PATIENCE_MS = 3000

export function createGuesses(throttle: Throttle): Guesses {
  return {
    async judge({ name, ip, step, typed }, check) {
      const turn = await throttle.primary(name, ip, step, PATIENCE_MS)
      if (!turn.go) {
        return { ok: false, refusal: { next: 'refused', why: 'throttled', retryAfterMs: turn.wait.waitMs } }
      }
      try {
        if (await check()) return { ok: true }
        await turn.failed(typed === null ? null : new Secret(typed))
        return { ok: false, refusal: { next: 'refused', why: 'bad-credentials' } }
      } finally {
        turn.refund() // changes nothing once it is decided
      }
    },
  }
}
