/**
 * What a request that comes again under its idempotency key is known by: a digest of what was asked.
 *
 * A password in it is compared, too, and no fast digest of one may lie in a store, so that part is made with a key that this process
 * alone has and keeps in memory. Of a request from before its start the password is not compared any more.
 */

import type { KeyObject } from 'node:crypto'
import { createHash, createHmac, createSecretKey, randomBytes } from 'node:crypto'
import type { IdempotencyRow } from '../../records/store/people/idempotency-keys.ts'

export interface RequestMarks {
  of(method: string, params: Readonly<Record<string, unknown>>): string
  /** Whether a request with this mark is the one that was noted. */
  isSame(noted: Pick<IdempotencyRow, 'request' | 'createdAt'>, mark: string): boolean
}

/** Of all services that can be called over HTTP: what a person chose. */
const CHOSEN = 'password'

export function createRequestMarks(startedAt: Date): RequestMarks {
  const key: KeyObject = createSecretKey(randomBytes(32))
  const withoutChosen = (mark: string) => mark.split('.', 1)[0]
  return {
    of(method, { [CHOSEN]: chosen, ...params }) {
      const asked = createHash('sha256')
        .update(JSON.stringify([method, params]))
        .digest('base64url')
      if (chosen === undefined) return asked
      return `${asked}.${createHmac('sha256', key).update(JSON.stringify(chosen)).digest('base64url')}`
    },
    isSame({ request, createdAt }, mark) {
      return request === mark || (createdAt < startedAt && withoutChosen(request) === withoutChosen(mark))
    },
  }
}
