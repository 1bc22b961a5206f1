/**
 * The embedded store: node:sqlite, one file, one process.
 *
 * Whoever opens it migrates it: in one transaction, with a copy put aside first (`<file>.before-<version>`). Calls are
 * synchronous underneath (14 µs a read, 0.35 ms a durable commit on a good disk), so what need not last a power failure is
 * written without waiting for the disk.
 */

import { resolve } from 'node:path'
import { Kysely, sql } from 'kysely'
import { Migrator } from 'kysely/migration'
import type { Migrations } from './migrations.ts'
import { migrationsFor } from './migrations.ts'
import type { Tables } from './schema.ts'
import { createSqlStore } from './sql.ts'
import type { SqlDialect } from './sql-transaction.ts'
import { NodeSqliteDialect, storeErrorOf } from './sqlite-dialect.ts'
import {
  appliedMigrations,
  copyDatabase,
  demandRoom,
  latestMigration,
  MIGRATION_LOCK_TABLE,
  MIGRATION_TABLE,
  openDatabase,
  prepareFile,
} from './sqlite-file.ts'
import type { Store } from './store.ts'
import { StoreError } from './store.ts'

/** A server that is just going down gets this long to let go of the file. The event loop stands meanwhile. */
const LOCK_WAIT_MS = 250

export interface SqliteOptions {
  readonly file: string
  readonly lockWaitMs?: number
  /** The steps of the schema; default: those of this version. */
  readonly migrations?: Migrations
  /** Sees each text of SQL once, when it is first used. */
  readonly onStatement?: (sql: string) => void
}

/** @throws StoreError */
export async function openSqlite(options: SqliteOptions): Promise<Store> {
  const file = resolve(options.file)
  const migrations = options.migrations ?? migrationsFor('sqlite')
  prepareFile(file)
  const database = openDatabase(file, options.lockWaitMs ?? LOCK_WAIT_MS)
  const db = new Kysely<Tables>({ dialect: new NodeSqliteDialect(database, file, options.onStatement) })
  try {
    const applied = appliedMigrations(database, file, migrations)
    if (applied.length < Object.keys(migrations).length) {
      const version = latestMigration(migrations)
      if (applied.length > 0) await copyDatabase(database, `${file}.before-${version}`, true)
      await migrate(db, file, migrations)
    }
  } catch (error) {
    database.close()
    throw error
  }

  const set = (synchronous: 'normal' | 'full') => {
    try {
      database.exec(`pragma synchronous = ${synchronous}`)
    } catch (error) {
      throw storeErrorOf(error, file)
    }
  }
  const dialect: SqlDialect = {
    name: 'sqlite',
    uses: (json) => sql`(
      select value ->> 'id' as id, value ->> 'at' as at, value ->> 'protocol' as protocol, value ->> 'ip' as ip,
        value ->> 'agent' as agent
      from json_each(${json})) as u`,
    async relaxed(on, work) {
      // Inside a transaction it is the transaction that says how durable it is.
      if (on.isTransaction) return await work(on)
      return await on.connection().execute(async (connection) => {
        // The next full commit syncs what this one left to the operating system.
        set('normal')
        try {
          return await work(connection)
        } finally {
          if (database.isOpen) set('full')
        }
      })
    },
    room: () => demandRoom(file),
    backup: (to) => copyDatabase(database, resolve(to), false),
    close() {
      if (database.isOpen) database.close()
    },
  }
  return createSqlStore(db, dialect)
}

async function migrate(db: Kysely<Tables>, file: string, migrations: Migrations): Promise<void> {
  const migrator = new Migrator({
    db,
    provider: { getMigrations: async () => ({ ...migrations }) },
    migrationTableName: MIGRATION_TABLE,
    migrationLockTableName: MIGRATION_LOCK_TABLE,
  })
  const { error, results } = await migrator.migrateToLatest()
  if (error === undefined) return
  if (error instanceof StoreError) throw error
  const failed = results?.find((result) => result.status === 'Error')?.migrationName ?? 'unknown'
  const why = error instanceof Error ? error.message : String(error)
  throw new StoreError(
    'ERR_STORE_SCHEMA',
    `the store ${file} could not be brought to schema version ${failed} and is as it was: ${why}`,
    { cause: error },
  )
}
