/**
 * The SQLite file as a file: making and opening it for this process alone, copying it, looking at what is in it.
 *
 * SQLite holds POSIX record locks, which belong to the process: opening and closing the same file by any other means would
 * drop them. So nothing here (or elsewhere) opens an existing store file but SQLite itself.
 */

import { randomBytes } from 'node:crypto'
import { chmodSync, closeSync, fsyncSync, linkSync, openSync, rmSync, statSync } from 'node:fs'
import { open, statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import { backup, DatabaseSync } from 'node:sqlite'
import { setImmediate } from 'node:timers/promises'
import { makeDirectory } from '../../ipc/directory.ts'
import type { Migrations } from './migrations.ts'
import { storeErrorOf } from './sqlite-dialect.ts'
import { StoreError } from './store.ts'

/** 'SPRT' in the header of the file: tells our store from any other SQLite database. */
const APPLICATION_ID = 0x53505254
export const MIGRATION_TABLE = 'schema_migrations'
export const MIGRATION_LOCK_TABLE = 'schema_migrations_lock'
/** Pages of 4 KiB copied at a time, by another thread: while it copies, the store waits. */
const BACKUP_PAGES = 64
/** Rows taken out of a copy in one turn: some 2 ms. */
const STRIPPED_A_TURN = 500
/** Room that a store should have for what is written next. A write into pages that it has already says nothing of that. */
const ROOM_BYTES = 1024 * 1024

/**
 * Makes the file when it is not there, closes it to others when it is. Files that SQLite puts beside it get its mode.
 *
 * @throws StoreError
 */
export function prepareFile(file: string): void {
  try {
    makeDirectory(dirname(file))
    const found = statSync(file, { throwIfNoEntry: false })
    if (!found) {
      closeSync(openSync(file, 'wx', 0o600))
      syncDirectory(file)
      return
    }
    if (!found.isFile())
      throw new StoreError('ERR_STORE_SCHEMA', `the store ${file} is not a regular file: name one with store.sqlite`)
    for (const path of [file, `${file}-wal`, `${file}-journal`]) {
      const mode = statSync(path, { throwIfNoEntry: false })?.mode ?? 0
      if ((mode & 0o077) !== 0) chmodSync(path, 0o600)
    }
  } catch (error) {
    if (error instanceof StoreError) throw error
    const why = error instanceof Error ? error.message : String(error)
    throw new StoreError(
      'ERR_STORE_UNAVAILABLE',
      `can't prepare the store ${file} (wanted: own it, mode 600): ${why}`,
      {
        cause: error,
      },
    )
  }
}

/**
 * Opens a file that exists and keeps it to this process until it is closed. `name` is what messages call it.
 *
 * @throws StoreError 'ERR_STORE_LOCKED' after `lockWaitMs`, during which the event loop stands
 */
export function openDatabase(file: string, lockWaitMs: number, name: string = file): DatabaseSync {
  let database: DatabaseSync | null = null
  try {
    database = new DatabaseSync(file, { timeout: lockWaitMs, enableForeignKeyConstraints: true, defensive: true })
    database.exec(`
      pragma locking_mode = exclusive;
      pragma journal_mode = wal;
      pragma synchronous = full;
      pragma secure_delete = on;
      pragma trusted_schema = off;
      pragma cell_size_check = on;
      begin exclusive; commit;`)
    return database
  } catch (error) {
    database?.close()
    throw storeErrorOf(error, name)
  }
}

/**
 * The schema steps that the database has had, none for a new one; marks a new one as ours.
 *
 * @throws StoreError 'ERR_STORE_SCHEMA' when it is not ours, or knows steps that this version doesn't
 */
export function appliedMigrations(database: DatabaseSync, file: string, migrations: Migrations): readonly string[] {
  const tables = database
    .prepare("select name from sqlite_master where type = 'table' and name not like 'sqlite~_%' escape '~'")
    .all()
    .map((row) => String(row.name))
  const { application_id: id } = database.prepare('pragma application_id').get() as { application_id: number }
  if (tables.length === 0 && id === 0) database.exec(`pragma application_id = ${APPLICATION_ID}`)
  else if (id !== APPLICATION_ID) {
    throw new StoreError('ERR_STORE_SCHEMA', `${file} is an SQLite database, but not a store of sallyport`)
  }
  if (!tables.includes(MIGRATION_TABLE)) return []
  const applied = database
    .prepare(`select name from ${MIGRATION_TABLE} order by name`)
    .all()
    .map((row) => String(row.name))
  const newer = applied.find((name) => !Object.hasOwn(migrations, name))
  if (newer !== undefined) {
    throw new StoreError(
      'ERR_STORE_SCHEMA',
      `the store ${file} has schema version ${newer}, and this version of sallyport knows none after ` +
        `${latestMigration(migrations)}: use the version that made it, or restore an older backup`,
    )
  }
  return applied
}

/** The version that a store has once all steps are taken. */
export function latestMigration(migrations: Migrations): string {
  return Object.keys(migrations).sort().at(-1) ?? 'none'
}

/** What opens something and is not worth keeping: a copy that is lost must open nothing. */
export const NOT_IN_A_BACKUP = ['cached_logins', 'portal_sessions', 'idempotency_keys'] as const

/**
 * Writes a consistent copy of an open database without cached logins and sessions of the portal, mode 0600. The file appears whole or not at all.
 *
 * @param replace whether `to` may be there already
 */
export async function copyDatabase(from: DatabaseSync, to: string, replace: boolean): Promise<void> {
  const partial = `${to}.partial-${randomBytes(6).toString('hex')}`
  try {
    await copyPages(from, partial)
    await stripCopy(partial)
    await syncLater(partial)
    if (replace) rmSync(to, { force: true })
    linkSync(partial, to)
    await syncLater(dirname(to))
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') {
      throw new StoreError('ERR_STORE_UNAVAILABLE', `${to} is there already; give the name of a new file`, {
        cause: error,
      })
    }
    const why = storeErrorOf(error, to)
    if (why instanceof StoreError) throw why
    const message = error instanceof Error ? error.message : String(error)
    throw new StoreError('ERR_STORE_UNAVAILABLE', `can't write ${to}: ${message}`, { cause: error })
  } finally {
    removeDatabase(partial)
  }
}

/** Takes out of a copy what is not worth keeping, a piece at a time. It is nobody's yet, and reaches the disk afterwards. */
async function stripCopy(file: string): Promise<void> {
  const copy = new DatabaseSync(file, { defensive: true })
  try {
    // A copy is one file: no log beside it that could be forgotten.
    copy.exec(`
      pragma locking_mode = exclusive;
      pragma journal_mode = delete;
      pragma journal_mode = memory;
      pragma synchronous = off;
      pragma secure_delete = on;
      pragma trusted_schema = off;`)
    for (const table of NOT_IN_A_BACKUP) {
      const [only, more] = copy.prepare(`select name from pragma_table_info('${table}') where pk > 0 order by pk`).all()
      if (only === undefined) continue // an older schema's
      const key = [only, ...(more ? [more] : [])].map(({ name }) => `"${String(name)}"`).join(', ')
      const some = copy.prepare(
        `delete from ${table} where (${key}) in (select ${key} from ${table} limit ${STRIPPED_A_TURN})`,
      )
      while (Number(some.run().changes) === STRIPPED_A_TURN) await setImmediate()
    }
  } finally {
    copy.close()
  }
}

/** What syncs the file or directory does so elsewhere than in the event loop. */
async function syncLater(path: string): Promise<void> {
  await using handle = await open(path, 'r')
  await handle.sync()
}

/** SQLITE_OK, SQLITE_BUSY, SQLITE_LOCKED: nothing is wrong with either file. */
const TRANSIENT: ReadonlySet<unknown> = new Set([0, 5, 6])
const COPY_ATTEMPTS = 20
const COPY_PAUSE_MS = 10

/** Copies into a new private file. */
async function copyPages(from: DatabaseSync, to: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    closeSync(openSync(to, 'wx', 0o600))
    try {
      await backup(from, to, { rate: BACKUP_PAGES })
      return
    } catch (error) {
      // quirk: node:sqlite gives up when a step meets a write of the same connection, and then may say "not an error".
      const { errcode } = error as { readonly errcode?: unknown }
      const isTransient = TRANSIENT.has(errcode) || (error instanceof Error && error.message === 'not an error')
      if (!isTransient || attempt === COPY_ATTEMPTS) throw error
    }
    removeDatabase(to)
    await new Promise((resolve) => setTimeout(resolve, COPY_PAUSE_MS * attempt))
  }
}

/** Removes a database file that nobody has open, with what SQLite left beside it. */
export function removeDatabase(file: string): void {
  for (const suffix of ['', '-wal', '-shm', '-journal']) rmSync(file + suffix, { force: true })
}

export function syncFile(file: string): void {
  const descriptor = openSync(file, 'r+')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

/** Makes the directory entry of `file` last. */
export function syncDirectory(file: string): void {
  const descriptor = openSync(dirname(file), 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

/** @throws StoreError when the disk is as good as full */
export async function demandRoom(file: string): Promise<void> {
  let free: number
  try {
    const { bavail, bsize } = await statfs(dirname(file))
    free = bavail * bsize
  } catch (error) {
    throw storeErrorOf(error, file)
  }
  if (free < ROOM_BYTES) {
    throw new StoreError(
      'ERR_STORE_UNAVAILABLE',
      `the disk of the store ${file} is full (${free} bytes left): make room`,
    )
  }
}
