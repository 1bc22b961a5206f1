/**
 * Putting a backup back in place of the embedded store.
 *
 * The backup is copied, looked through and changed beside the target; only then does it take its place, in one rename. The
 * old store stays as `<target>.before-restore-<time>`. Every epoch, the policy's too, rises to where no lost history can have
 * been: nothing that was sealed before (a cached login in Redis, say) speaks for a user any more.
 */

import { randomBytes } from 'node:crypto'
import { constants, copyFileSync, linkSync, renameSync, rmSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { migrationsFor } from './migrations.ts'
import type { AuditSealer, SealedColumns } from './sql-audit.ts'
import { storeErrorOf } from './sqlite-dialect.ts'
import {
  appliedMigrations,
  NOT_IN_A_BACKUP,
  openDatabase,
  prepareFile,
  removeDatabase,
  syncDirectory,
  syncFile,
} from './sqlite-file.ts'
import { StoreError } from './store.ts'

export interface RestoreOptions {
  /** The backup. It is only read. */
  readonly file: string
  /** Where the store belongs. No server may be running on it. */
  readonly target: string
  /** For the audit trail. */
  readonly actor: string
  readonly now?: () => Date
  /** Sees the check values of the keys that the backup was made under; throws when they are not ours. */
  readonly checkKeys?: (checks: ReadonlyMap<string, string>) => void
  /** Gives the entry of the audit trail about this its code. */
  readonly sealer?: AuditSealer | null
}

export interface Restored {
  readonly users: number
  /** Where the old store is now; null when there was none. */
  readonly aside: string | null
}

/**
 * Restores a backup. A failure leaves the target as it was.
 *
 * @throws StoreError 'ERR_STORE_LOCKED' when a server runs, 'ERR_STORE_CORRUPT', 'ERR_STORE_SCHEMA' for a backup of a newer
 *   version; whatever `checkKeys` throws
 */
export function restoreStore(options: RestoreOptions): Restored {
  const file = resolve(options.file)
  const target = resolve(options.target)
  const now = options.now?.() ?? new Date()
  const partial = `${target}.restoring-${randomBytes(6).toString('hex')}`
  try {
    copyBackup(file, target, partial)
    const users = prepareCopy(partial, file, now, options)
    return { users, aside: replace(target, partial, now) }
  } catch (error) {
    throw storeErrorOf(error, file)
  } finally {
    removeDatabase(partial)
  }
}

function copyBackup(file: string, target: string, partial: string): void {
  const backup = statSync(file, { throwIfNoEntry: false })
  if (!backup?.isFile()) throw new StoreError('ERR_STORE_UNAVAILABLE', `there is no backup ${file}`)
  const current = statSync(target, { throwIfNoEntry: false })
  // Besides being senseless: opening the target by other means than SQLite would drop a running server's lock on it.
  if (current && current.dev === backup.dev && current.ino === backup.ino) {
    throw new StoreError('ERR_STORE_UNAVAILABLE', `${file} is the store itself, not a backup of it`)
  }
  try {
    // Made empty and private first, because a copy takes over the mode of its original.
    prepareFile(partial)
    copyFileSync(file, partial, constants.COPYFILE_FICLONE)
    prepareFile(partial)
  } catch (error) {
    if (error instanceof StoreError) throw error
    const why = error instanceof Error ? error.message : String(error)
    throw new StoreError('ERR_STORE_UNAVAILABLE', `can't copy ${file} to ${partial}: ${why}`, { cause: error })
  }
}

/** Proves that the copy is sound and makes it fit to be the store. Answers how many users it has. */
function prepareCopy(partial: string, file: string, now: Date, options: RestoreOptions): number {
  const database = openDatabase(partial, 0, file)
  try {
    const [verdict] = database.prepare('pragma integrity_check(1)').all()
    const orphan = database.prepare('pragma foreign_key_check').get()
    if (verdict?.integrity_check !== 'ok' || orphan) {
      throw new StoreError('ERR_STORE_CORRUPT', `the backup ${file} is damaged: ${String(verdict?.integrity_check)}`)
    }
    if (appliedMigrations(database, file, migrationsFor('sqlite')).length === 0) {
      throw new StoreError('ERR_STORE_SCHEMA', `${file} is not a backup of a sallyport store`)
    }
    options.checkKeys?.(keyChecksIn(database))
    changeCopy(database, file, now, options)
    const { users } = database.prepare('select count(*) as users from users').get() as { users: number }
    database.exec('pragma journal_mode = delete')
    return users
  } finally {
    database.close()
  }
}

function keyChecksIn(database: DatabaseSync): ReadonlyMap<string, string> {
  const rows = database.prepare('select key_id, check_value from key_checks').all()
  return new Map(rows.map((row) => [String(row.key_id), String(row.check_value)]))
}

function changeCopy(database: DatabaseSync, file: string, now: Date, { actor, sealer }: RestoreOptions): void {
  database.exec('begin')
  // Seconds since 1970 are beyond what counting can have reached in the history that is given up, and beyond what an
  // earlier restore set.
  const beyond = Math.floor(now.getTime() / 1000)
  for (const table of ['users', 'policy_epoch']) {
    if (hasTable(database, table)) database.prepare(`update ${table} set epoch = max(epoch + 1, ?)`).run(beyond)
  }
  for (const table of NOT_IN_A_BACKUP) if (hasTable(database, table)) database.exec(`delete from ${table}`)
  // A link that is unused in the backup may have been used since.
  if (hasTable(database, 'one_time_links')) database.exec('delete from one_time_links where used_at is null')
  const entry = { at: now.getTime(), event: 'store_restored', actor, detail: JSON.stringify({ file }) }
  const { lastInsertRowid } = database
    .prepare('insert into audit (at, event, actor, detail) values (:at, :event, :actor, :detail)')
    .run(entry)
  if (sealer) sealEntry(database, sealer, { ...entry, seq: Number(lastInsertRowid), user_id: null, address: null })
  database.exec('commit')
}

/** As `sql-audit.ts` does it. A backup of a version without a chain gets one when it is opened. */
function sealEntry(database: DatabaseSync, sealer: AuditSealer, entry: SealedColumns): void {
  if (!hasTable(database, 'audit_head')) return
  const head = database.prepare('select code from audit_head').get()
  const { keyId, code } = sealer(typeof head?.code === 'string' ? head.code : '', entry)
  database.prepare('update audit set key_id = ?, code = ? where seq = ?').run(keyId, code, entry.seq)
  database.prepare('insert or replace into audit_head (id, seq, code) values (1, ?, ?)').run(entry.seq, code)
}

/** A backup of an earlier version has fewer. */
function hasTable(database: DatabaseSync, name: string): boolean {
  return database.prepare('select 1 from sqlite_master where type = ? and name = ?').get('table', name) !== undefined
}

/** Puts the copy in place of the target, which stays aside. */
function replace(target: string, partial: string, now: Date): string | null {
  syncFile(partial)
  if (!statSync(target, { throwIfNoEntry: false })) {
    renameSync(partial, target)
    syncDirectory(target)
    return null
  }
  const aside = asideOf(target, now)
  // Held until the new one is in place, so that no server can open the old one in between.
  const old = openOld(target)
  try {
    // Everything into the one file: a log left behind would be taken for the new store's.
    old?.exec('pragma journal_mode = delete; begin exclusive')
    linkSync(target, aside)
    if (!old) moveLogs(target, aside)
    renameSync(partial, target)
    syncDirectory(target)
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new StoreError('ERR_STORE_UNAVAILABLE', `can't put the backup in place of ${target}: ${why}`, {
      cause: error,
    })
  } finally {
    old?.close()
  }
  return aside
}

/** A name that nothing has: there may have been another restore in the same second. */
function asideOf(target: string, now: Date): string {
  const name = `${target}.before-restore-${now.toISOString().replace(/[-:]|\.\d+/g, '')}`
  for (let n = 1; ; n++) {
    const aside = n === 1 ? name : `${name}-${n}`
    if (statSync(aside, { throwIfNoEntry: false }) === undefined) return aside
  }
}

/** null when it is too damaged to be opened, which may be why there is a restore. */
function openOld(target: string): DatabaseSync | null {
  try {
    return openDatabase(target, 250)
  } catch (error) {
    if (error instanceof StoreError && error.code === 'ERR_STORE_CORRUPT') return null
    throw error
  }
}

function moveLogs(target: string, aside: string): void {
  for (const suffix of ['-wal', '-journal']) {
    if (statSync(target + suffix, { throwIfNoEntry: false })) renameSync(target + suffix, aside + suffix)
  }
  rmSync(`${target}-shm`, { force: true })
}
