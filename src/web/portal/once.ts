/**
 * Forms that make something count once: going back and sending them again, or reloading the page that came of it, makes no
 * second one. What was sent is remembered for as long as such a page is likely to stay open.
 */

import { randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'

export interface Once {
  /** For a hidden field of the form. */
  readonly mark: () => string
  /** Whether a form with this mark has done its work. */
  isDone(mark: string): boolean
  done(mark: string): void
}

const MAX = 5000
const KEPT_MS = 60 * 60_000

export function createOnce(): Once {
  const marks = new LRUCache<string, true>({ max: MAX, ttl: KEPT_MS })
  return {
    mark: () => randomBytes(12).toString('base64url'),
    isDone: (mark) => marks.has(mark),
    done(mark) {
      marks.set(mark, true)
    },
  }
}
