/**
 * Services for operators: stored upstream secrets, the audit trail, keys, backup, health.
 */

import { z } from 'zod'
import { PROTOCOL_NAMES } from '../admission.ts'
import { address, method, secret, text64 } from './method.ts'

/** Which entry comes first. To follow what happens, 'oldest'. */
export const AUDIT_ORDERS = ['oldest', 'newest'] as const

export interface AuditView {
  readonly seq: number
  readonly at: string
  readonly event: string
  readonly actor: string
  readonly user: string | null
  readonly detail: Readonly<Record<string, string | number | boolean | null>>
}

/** What the chain of the audit trail says. */
export interface AuditVerdict {
  readonly ok: boolean
  readonly sound: number
  /** From before there was a chain. */
  readonly older: number
  /** Made with a key that the key file does not hold any more. */
  readonly unknownKey: number
  /** The end of the chain, to be noted where nobody who can write to the store can write. */
  readonly mark: { readonly seq: number; readonly code: string } | null
  readonly broken: { readonly seq: number; readonly why: string } | null
}

export interface KeyView {
  readonly id: string
  readonly createdAt: string
  /** New rows are made with it. */
  readonly active: boolean
  readonly rows: number
}

export const OPERATION_METHODS = {
  'secret.set': method<{ user: string; upstream: string }>()(
    z.strictObject({ user: address, upstream: text64, secret }),
  ),
  'secret.delete': method<{ user: string; upstream: string; deleted: boolean }>()(
    z.strictObject({ user: address, upstream: text64 }),
  ),
  /** `lastSeq` is the next page's `afterSeq`, in the same order. A page may be shorter than asked for; the end is an empty one. */
  'audit.list': method<{ entries: readonly AuditView[]; lastSeq: number }>()(
    z.strictObject({
      /** Also of somebody who was deleted. */
      user: address.optional(),
      sinceMs: z.number().int().optional(),
      order: z.enum(AUDIT_ORDERS).default('oldest'),
      /** Entries that follow this one in that order; 0: from the first on. */
      afterSeq: z.number().int().min(0).default(0),
      limit: z.number().int().min(1).max(200).default(100),
    }),
  ),
  /** Checks the codes of all entries; `mark` is one that was noted before. */
  'audit.verify': method<AuditVerdict>()(
    z.strictObject({
      mark: z.strictObject({ seq: z.number().int().positive(), code: z.string().min(1).max(64) }).optional(),
    }),
  ),
  'keys.status': method<{ file: string; keys: readonly KeyView[] }>()(z.strictObject({})),
  /** `file` is absolute and must not exist yet. */
  backup: method<{ file: string; bytes: number }>()(z.strictObject({ file: z.string().min(1).max(4096) })),
  /** `pid` is the server's, to send signals to; `keeperPid` the keeper's, which is another process unless `workers` is 0. */
  health: method<{
    ok: boolean
    version: string
    pid: number
    keeperPid: number
    store: 'up' | 'down'
    redis: 'up' | 'down' | 'none'
  }>()(z.strictObject({})),
  /** How `sallyport check` may log in upstream as a user. Never offered on any socket but the control socket. */
  'check.identity': method<{ upstream: string; kind: 'password'; authcid: string; authzid: string; secret: string }>()(
    z.strictObject({ protocol: z.enum(PROTOCOL_NAMES), user: address }),
  ),
} as const
