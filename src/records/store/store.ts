/**
 * What must last, as rows, and the primitive reads and writes on it.
 *
 * The services beside this folder (`users.ts`, `app-passwords.ts` …) compose these inside `transaction`; nothing else calls
 * a mutating method. One implementation text (`sql.ts`) serves SQLite and PostgreSQL. All times are Dates, all lists are
 * arrays; how they are laid out in columns is the implementation's business.
 *
 * Every method rejects with `StoreError` when the store can't be reached or is corrupt.
 */

import type { ProtocolName } from '../../contract/admission.ts'
import type { Language } from '../../contract/languages.ts'
import type { AppPasswordRows } from './app-passwords.ts'
import type { DeviceRows } from './devices.ts'
import type { KeyIdRows } from './key-ids.ts'
import type { PeopleRecords } from './people.ts'
import type { PolicyRows } from './policies.ts'
import type { AuditChain, AuditFilter, AuditSealer } from './sql-audit.ts'
import type { StoredSecretRows } from './stored-secrets.ts'
import type { TombstoneRows, TombstoneTries } from './tombstones.ts'
import type { UserRows } from './users.ts'

export type StoreErrorCode = 'ERR_STORE_UNAVAILABLE' | 'ERR_STORE_LOCKED' | 'ERR_STORE_SCHEMA' | 'ERR_STORE_CORRUPT'

/** The store did not do what was asked. The message names the file or server and what to do. */
export class StoreError extends Error {
  readonly code: StoreErrorCode
  constructor(code: StoreErrorCode, message: string, options?: { readonly cause: unknown }) {
    super(message, options)
    this.name = 'StoreError'
    this.code = code
  }
}

export interface UserRow {
  readonly id: string
  /** Canonical address (`contract/names.ts`), unique for ever: a deleted user's name stays reserved. */
  readonly address: string
  readonly name: string | null
  readonly groups: readonly string[]
  readonly admin: boolean
  readonly enabled: boolean
  /** Raised by whatever may take away or change this user’s access (policy for many has one of its own: `PolicyRows`); sealed into cached logins, which it makes worthless. */
  readonly epoch: number
  /** When two-step was first set up; never null again afterwards. */
  readonly enrolledAt: Date | null
  /** PHC argon2id of the primary password of a local user; null when it has none. */
  readonly passwordHash: string | null
  /** The key of the key file that peppers `passwordHash`; null when there is none. */
  readonly passwordKeyId: string | null
  readonly createdAt: Date
  /** Whether this user may have app passwords, if that was set for this one user; null: as the groups and the rest say. */
  readonly appPasswords: boolean | null
  /** What refusals are worded in for this user; null: never said. */
  readonly language: Language | null
}

export interface LastUse {
  readonly at: Date
  readonly protocol: ProtocolName
  readonly ip: string
  readonly agent: string | null
}

export interface AppPasswordRow {
  readonly id: string
  readonly userId: string
  /** 1–64 characters, chosen by the user: which device this is for. */
  readonly name: string
  /** 16 bits of a keyed digest of user and secret: finds the row without trying every hash. */
  readonly selector: number
  /** PHC argon2id, peppered. */
  readonly hash: string
  /** The key of the key file that selector and pepper come from. */
  readonly keyId: string
  readonly protocols: readonly ProtocolName[]
  /** CIDR blocks; empty: from anywhere. */
  readonly networks: readonly string[]
  readonly createdAt: Date
  readonly expiresAt: Date | null
  readonly lastUsed: LastUse | null
  /** Keyed 128-bit digest of user and secret, kept when the row is deleted: the old phone is recognised by it. Base64url. */
  readonly tombstoneDigest: string
}

export interface TombstoneRow {
  readonly userId: string
  readonly digest: string
  /** The key that made the digest. */
  readonly keyId: string
  readonly appPasswordId: string
  readonly name: string
  readonly deletedAt: Date
  /** null: nobody has tried it since. */
  readonly lastTried: TombstoneTries | null
}

export type NewTombstone = Omit<TombstoneRow, 'lastTried'>

export interface StoredSecretRow {
  readonly userId: string
  /** Name of the upstream in the configuration. */
  readonly upstream: string
  /** Envelope of `vault.ts`; bound to user and upstream. */
  readonly sealed: string
  readonly keyId: string
  readonly updatedAt: Date
}

export interface AuditRow {
  /** Ascending; the order things happened in. */
  readonly seq: number
  readonly at: Date
  /** A name of `AUDIT_EVENTS` (records/audit.ts). */
  readonly event: string
  /** Who did it: 'cli:root', 'user:<id>', 'system'. */
  readonly actor: string
  readonly userId: string | null
  /** The user's address at that time. */
  readonly user: string | null
  readonly detail: Readonly<Record<string, string | number | boolean | null>>
}

/** A verified login of the embedded level 2 cache: sealed by the keeper, opaque here. */
export interface CachedLoginRow {
  readonly key: string
  readonly value: string
  readonly expiresAt: Date
}

export interface NewUser {
  readonly id: string
  readonly address: string
  readonly name: string | null
  readonly groups: readonly string[]
  readonly admin: boolean
  readonly passwordHash: string | null
  readonly passwordKeyId: string | null
  readonly createdAt: Date
}

export interface UserPatch {
  readonly name?: string | null
  readonly groups?: readonly string[]
  readonly admin?: boolean
  readonly enabled?: boolean
  readonly enrolledAt?: Date
  /** With its key; null takes the password away. */
  readonly password?: { readonly hash: string; readonly keyId: string } | null
  readonly appPasswords?: boolean | null
}

/** What may be changed of an app password. */
export type AppPasswordPatch = Partial<Pick<AppPasswordRow, 'name' | 'protocols' | 'networks' | 'expiresAt'>>

/** One page of a listing: rows after `after` (exclusive, by the listing's own order), at most `limit`. */
export interface Page {
  readonly after: string | null
  readonly limit: number
}

/** Everything inside one transaction sees one state; a rejection rolls all of it back. */
export interface StoreTransaction extends UserRows, AppPasswordRows, TombstoneRows, StoredSecretRows, KeyIdRows {
  readonly policies: PolicyRows
  readonly devices: DeviceRows
  /** Two-step, links, sessions of the portal, tokens of the API. */
  readonly people: PeopleRecords

  appendAudit(entry: Omit<AuditRow, 'seq'>): Promise<number>
  /** In the order asked for, by seq. `userId` null: all users. */
  listAudit(filter: AuditFilter): Promise<readonly AuditRow[]>
}

/** What a login needs to know of a user and a credential, in one indexed read. */
export interface LiveCheck {
  readonly user: UserRow
  readonly appPassword: AppPasswordRow | null
  /** Whoever judges by what is set for everybody or a group knows by this whether it still is (`PolicyRows`). */
  readonly policyEpoch: number
}

export interface Store extends StoreTransaction {
  readonly auditChain: AuditChain
  /** From here on entries of the audit trail get codes. */
  sealAudit(sealer: AuditSealer): void

  /**
   * Runs `work` in one transaction. It uses `tx` alone (the store itself would wait for the transaction to end) and waits
   * for nothing else: on SQLite everybody else waits meanwhile.
   */
  transaction<T>(work: (tx: StoreTransaction) => Promise<T>): Promise<T>
  /** User and credential as they are now; null when the user is gone. */
  liveCheck(userId: string, appPasswordId: string): Promise<LiveCheck | null>

  /** Embedded level 2 cache of verified logins. Not part of a backup. */
  cachedLogin(key: string, now: Date): Promise<string | null>
  putCachedLogin(row: CachedLoginRow): Promise<void>
  deleteCachedLogin(key: string): Promise<void>
  deleteExpiredCachedLogins(now: Date): Promise<number>

  /** Writes a consistent copy to a file that must not exist yet, mode 0600, without the login cache. */
  backup(file: string): Promise<void>
  /** Reads one row, the policy epoch, and answers it: whether the store answers. */
  ping(): Promise<number>
  /** Writes, durably, what is there already, and looks whether there is room for more: whether the store takes a write. */
  pingWrite(): Promise<void>
  close(): Promise<void>
}
