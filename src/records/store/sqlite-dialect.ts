/**
 * Kysely on node:sqlite: the adapter between the two, and nothing else.
 *
 * Kysely's own SQLite driver takes any object shaped like better-sqlite3. Prepared statements are kept by their text, and
 * an error of SQLite becomes a `StoreError` unless it is a bug of ours (a wrong statement, a broken constraint).
 */

import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'
import type { DialectAdapter, SqliteDatabase, SqliteStatement } from 'kysely'
import { SqliteAdapter, SqliteDialect } from 'kysely'
import type { StoreErrorCode } from './store.ts'
import { StoreError } from './store.ts'

/** More texts than sql.ts can make; a bound all the same. */
const MAX_STATEMENTS = 256

/** Primary result codes of SQLite (https://www.sqlite.org/rescode.html). */
const CODES: Readonly<Record<number, StoreErrorCode>> = {
  3: 'ERR_STORE_UNAVAILABLE', // PERM
  5: 'ERR_STORE_LOCKED', // BUSY
  6: 'ERR_STORE_LOCKED', // LOCKED
  7: 'ERR_STORE_UNAVAILABLE', // NOMEM
  8: 'ERR_STORE_UNAVAILABLE', // READONLY
  10: 'ERR_STORE_UNAVAILABLE', // IOERR
  11: 'ERR_STORE_CORRUPT', // CORRUPT
  13: 'ERR_STORE_UNAVAILABLE', // FULL
  14: 'ERR_STORE_UNAVAILABLE', // CANTOPEN
  22: 'ERR_STORE_UNAVAILABLE', // NOLFS
  23: 'ERR_STORE_UNAVAILABLE', // AUTH
  26: 'ERR_STORE_CORRUPT', // NOTADB
}

const ADVICE: Readonly<Record<StoreErrorCode, string>> = {
  ERR_STORE_LOCKED:
    'another process has it open: a server that runs or is just starting? Two can not share a dataDirectory',
  ERR_STORE_CORRUPT: 'it is not a database or is damaged; restore a backup',
  ERR_STORE_UNAVAILABLE: 'check the disk, its free space and the permissions of the file and its directory',
  ERR_STORE_SCHEMA: 'it belongs to another version',
}

/** What an error of node:sqlite means for the store in `file`; anything else comes back as it is. */
export function storeErrorOf(error: unknown, file: string): unknown {
  if (!(error instanceof Error) || !('code' in error)) return error
  if (error.code === 'ERR_INVALID_STATE') {
    return new StoreError('ERR_STORE_UNAVAILABLE', `the store ${file} has been closed`, { cause: error })
  }
  if (error.code !== 'ERR_SQLITE_ERROR' || !('errcode' in error)) return error
  const code = CODES[Number(error.errcode) & 0xff]
  if (!code) return error
  return new StoreError(code, `store ${file}: ${error.message}; ${ADVICE[code]}`, { cause: error })
}

class NodeStatement implements SqliteStatement {
  readonly reader: boolean
  readonly #statement: StatementSync
  readonly #file: string

  constructor(statement: StatementSync, file: string) {
    this.#statement = statement
    this.#file = file
    this.reader = statement.columns().length > 0
  }

  all(parameters: readonly unknown[]): unknown[] {
    try {
      return this.#statement.all(...(parameters as SQLInputValue[]))
    } catch (error) {
      throw storeErrorOf(error, this.#file)
    }
  }

  run(parameters: readonly unknown[]): { changes: number | bigint; lastInsertRowid: number | bigint } {
    try {
      return this.#statement.run(...(parameters as SQLInputValue[]))
    } catch (error) {
      throw storeErrorOf(error, this.#file)
    }
  }

  iterate(parameters: readonly unknown[]): IterableIterator<unknown> {
    return this.#statement.iterate(...(parameters as SQLInputValue[]))
  }
}

class NodeDatabase implements SqliteDatabase {
  readonly #database: DatabaseSync
  readonly #file: string
  readonly #statements = new Map<string, NodeStatement>()
  readonly #onStatement: ((sql: string) => void) | undefined

  constructor(database: DatabaseSync, file: string, onStatement?: (sql: string) => void) {
    this.#database = database
    this.#file = file
    this.#onStatement = onStatement
  }

  prepare(sql: string): SqliteStatement {
    // A failed commit may have rolled back by itself (disk full): what is not open can't be rolled back again.
    if (sql === 'rollback' && !this.#database.isTransaction) return NOTHING
    const known = this.#statements.get(sql)
    if (known) return known
    let statement: NodeStatement
    try {
      statement = new NodeStatement(this.#database.prepare(sql), this.#file)
    } catch (error) {
      throw storeErrorOf(error, this.#file)
    }
    this.#onStatement?.(sql)
    if (this.#statements.size >= MAX_STATEMENTS) {
      for (const oldest of this.#statements.keys()) {
        this.#statements.delete(oldest)
        break
      }
    }
    this.#statements.set(sql, statement)
    return statement
  }

  close(): void {
    this.#statements.clear()
    if (this.#database.isOpen) this.#database.close()
  }
}

const NOTHING: SqliteStatement = {
  reader: false,
  all: () => [],
  run: () => ({ changes: 0, lastInsertRowid: 0 }),
  iterate: () => [][Symbol.iterator](),
}

/** Kysely migrates SQLite outside a transaction by default, and a step that fails half-way then stays half-done. */
class TransactionalAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true
  }
}

/** Takes over `database`: destroying the Kysely object closes it. `onStatement` sees each new text of SQL once. */
export class NodeSqliteDialect extends SqliteDialect {
  constructor(database: DatabaseSync, file: string, onStatement?: (sql: string) => void) {
    super({ database: new NodeDatabase(database, file, onStatement) })
  }

  override createAdapter(): DialectAdapter {
    return new TransactionalAdapter()
  }
}
