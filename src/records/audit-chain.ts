/**
 * The chain of the audit trail: making the code of an entry, and checking all of them (threat J3).
 */

import { timingSafeEqual } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import type { Keys } from './keys.ts'
import type { AuditMark, AuditSealer, SealedColumns } from './store/sql-audit.ts'
import type { Store } from './store/store.ts'

export function createAuditSealer(keys: Keys): AuditSealer {
  return (before, entry) => ({ keyId: keys.active.id, code: codeOf(keys, keys.active.id, before, entry) ?? '' })
}

/** null: the key file does not hold that key any more. */
function codeOf(keys: Keys, keyId: string, before: string, entry: SealedColumns): string | null {
  const { seq, at, event, actor, user_id, address, detail } = entry
  const text = JSON.stringify([seq, at, event, actor, user_id, address, detail])
  return keys.byId(keyId)?.hmac('audit', before, text).toString('base64url') ?? null
}

export interface AuditCheck {
  /** Entries whose code is right. */
  readonly sound: number
  /** Entries from before the chain began. */
  readonly older: number
  /** Entries made with a key that the key file does not hold any more: they can't be checked by themselves. */
  readonly unknownKey: number
  /** The end of the chain, to be noted elsewhere; null: it has not begun. */
  readonly mark: AuditMark | null
  /** The first thing that is wrong; null: nothing is. */
  readonly broken: { readonly seq: number; readonly why: string } | null
}

const ENTRIES_A_TURN = 200

/**
 * Checks every entry, from the first on. `noted` is a mark of an earlier check or log line: the entry must still be there.
 */
export async function checkAudit(store: Store, keys: Keys, noted: AuditMark | null): Promise<AuditCheck> {
  const mark = await store.auditChain.mark()
  let [sound, older, unknownKey, seq, before, wasNoted] = [0, 0, 0, 0, '', false]
  const broken = (at: number, why: string): AuditCheck => ({ sound, older, unknownKey, mark, broken: { seq: at, why } })

  for (;;) {
    const links = await store.auditChain.links(seq, ENTRIES_A_TURN)
    for (const { key_id: keyId, code, ...entry } of links) {
      seq = entry.seq
      // What was written while we read is for the next check.
      if (mark !== null && seq > mark.seq) break
      if (keyId === null || code === null) {
        if (sound + unknownKey > 0) return broken(seq, 'the entry has no code')
        older += 1
        continue
      }
      const wanted = codeOf(keys, keyId, before, entry)
      if (wanted === null) unknownKey += 1
      else if (isSame(wanted, code)) sound += 1
      else
        return broken(seq, 'its code does not fit: this entry was changed, or one before it was changed or taken out')
      before = code
      if (noted?.seq === seq && isSame(noted.code, code)) wasNoted = true
    }
    if (links.length < ENTRIES_A_TURN || (mark !== null && seq >= mark.seq)) break
    await setImmediate()
  }
  if (mark === null && sound + unknownKey > 0) return broken(seq, 'the end of the chain is not noted')
  if (mark !== null && (sound + unknownKey === 0 || !isSame(mark.code, before))) {
    return broken(mark.seq, 'the last entries are missing')
  }
  if (noted !== null && !wasNoted) return broken(noted.seq, 'the entry of the mark is not there as it was')
  return { sound, older, unknownKey, mark, broken: null }
}

function isSame(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)]
  return a.length === b.length && timingSafeEqual(a, b)
}

/** 'SEQ:CODE', as it is printed and logged. */
export function markText({ seq, code }: AuditMark): string {
  return `${seq}:${code}`
}
