/**
 * What is under way and not worth storing: flows of signing in, seeds not yet confirmed, challenges of passkeys.
 *
 * In memory, for ten minutes, bounded in all and for each owner. A newcomer never pushes out what is under way: it is
 * refused instead, so nobody can end other people's flows by beginning many.
 */

const PENDING_MS = 10 * 60_000
const MAX_PENDING = 20_000
const MAX_PER_OWNER = 40

export interface PendingOptions {
  /** Monotonic, milliseconds. */
  readonly now: () => number
  readonly maxPerOwner?: number
  readonly ttlMs?: number
}

export interface Pending<T> {
  /** false: the table, or this owner's part of it, is full. A key that is there is replaced. */
  put(key: string, owner: string, value: T): boolean
  /** null: unknown or over. */
  get(key: string): T | null
  /** As `get`, and it is gone. */
  take(key: string): T | null
  drop(key: string): void
}

interface Entry<T> {
  readonly owner: string
  readonly value: T
  readonly until: number
}

export function createPending<T>(options: PendingOptions): Pending<T> {
  const { now, maxPerOwner = MAX_PER_OWNER, ttlMs = PENDING_MS } = options
  // In order of their end, since all live equally long.
  const entries = new Map<string, Entry<T>>()
  const owners = new Map<string, number>()

  function drop(key: string): void {
    const entry = entries.get(key)
    if (entry === undefined) return
    entries.delete(key)
    const left = (owners.get(entry.owner) ?? 1) - 1
    if (left > 0) owners.set(entry.owner, left)
    else owners.delete(entry.owner)
  }

  function dropOver(): void {
    const at = now()
    for (const [key, entry] of entries) {
      if (entry.until > at) return
      drop(key)
    }
  }

  function get(key: string): T | null {
    const entry = entries.get(key)
    if (entry === undefined) return null
    if (entry.until > now()) return entry.value
    drop(key)
    return null
  }

  return {
    put(key, owner, value) {
      dropOver()
      drop(key)
      const held = owners.get(owner) ?? 0
      if (entries.size >= MAX_PENDING || held >= maxPerOwner) return false
      owners.set(owner, held + 1)
      entries.set(key, { owner, value, until: now() + ttlMs })
      return true
    },
    get,
    take(key) {
      const value = get(key)
      drop(key)
      return value
    },
    drop,
  }
}
