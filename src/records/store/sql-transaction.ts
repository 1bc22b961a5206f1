/**
 * The primitive reads and writes over SQL: one text for SQLite and PostgreSQL, written with Kysely, a file for each table.
 */

import type { Kysely, RawBuilder } from 'kysely'
import { sqlAppPasswords } from './app-passwords.ts'
import { sqlDevices } from './devices.ts'
import { sqlKeyIds } from './key-ids.ts'
import type { DialectName } from './migrations.ts'
import { sqlPeople } from './people.ts'
import { sqlPolicies } from './policies.ts'
import type { Tables } from './schema.ts'
import type { AuditSealer } from './sql-audit.ts'
import { insertAudit, selectAudit } from './sql-audit.ts'
import type { Queries } from './sql-prepared.ts'
import type { StoreTransaction } from './store.ts'
import { sqlStoredSecrets } from './stored-secrets.ts'
import { sqlTombstones } from './tombstones.ts'
import { sqlUsers } from './users.ts'

export type Db = Kysely<Tables>

/** What SQL has two spellings for. */
export interface SqlDialect {
  readonly name: DialectName
  /** The elements of a JSON array of objects, as rows `u(id, at, protocol, ip, agent)`. */
  uses(json: string): RawBuilder<unknown>
  /** Runs writes that may be lost at a power failure, and so need not wait for the disk. */
  relaxed<T>(db: Db, work: (db: Db) => Promise<T>): Promise<T>
  /** A consistent copy in a file of its own. */
  backup(file: string): Promise<void>
  /** @throws StoreError when there is no room for more */
  room(): Promise<void>
  /** Closes what Kysely has not: it closes nothing that it has not used yet. */
  close(): void
}

/** How entries of the audit trail get their codes; null until the keys are there. */
export interface AuditSeal {
  sealer: AuditSealer | null
}

/** Every method by itself, or all of them inside one transaction: the difference is `db`, which is asked at each use. */
export function sqlTransaction(db: () => Db, dialect: SqlDialect, queries: Queries, seal: AuditSeal): StoreTransaction {
  return {
    ...sqlUsers(db, queries),
    ...sqlAppPasswords(db, dialect, queries),
    ...sqlTombstones(db, queries),
    ...sqlStoredSecrets(db, queries),
    ...sqlKeyIds(db),
    policies: sqlPolicies(db),
    devices: sqlDevices(db, queries),
    people: sqlPeople(db, queries),

    appendAudit: async (entry) => await insertAudit(db(), dialect, queries, seal.sealer, entry),
    listAudit: async (filter) => await selectAudit(db(), filter),
  }
}
