/**
 * The primitive reads and writes over SQL: one text for SQLite and PostgreSQL, written with Kysely.
 */

import type { CompiledQuery, Kysely, RawBuilder, Selectable } from 'kysely'
import { sql } from 'kysely'
import type { Language } from '../../contract/languages.ts'
import { countAppPasswordsOf } from './app-password-counts.ts'
import { msOf, truthOf } from './columns.ts'
import { deleteInPieces } from './delete-in-pieces.ts'
import type { DeviceRows } from './devices.ts'
import { sqlDevices } from './devices.ts'
import type { DialectName } from './migrations.ts'
import type { PeopleRecords } from './people.ts'
import { sqlPeople } from './people.ts'
import type { PolicyRows } from './policies.ts'
import { sqlPolicies } from './policies.ts'
import type { Tables, UsersTable } from './schema.ts'
import { appPasswordColumns, appPasswordRow, storedSecretRow, tombstoneRow, userRow } from './schema.ts'
import type { AuditFilter, AuditSealer } from './sql-audit.ts'
import { insertAudit, selectAudit } from './sql-audit.ts'
import type { Queries } from './sql-prepared.ts'
import { isAppPassword, isUser } from './sql-prepared.ts'
import type {
  AppPasswordPatch,
  AppPasswordRow,
  AuditRow,
  LastUse,
  NewTombstone,
  NewUser,
  Page,
  StoredSecretRow,
  StoreTransaction,
  TombstoneRow,
  UserPatch,
  UserRow,
} from './store.ts'
import type { TombstoneNote } from './tombstones.ts'
import { listTombstones, noteTombstoneTries } from './tombstones.ts'
import { administratorBesides, noteUserWords, searchUsers } from './user-words.ts'

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

/** Read for an address that is nobody's, so that it takes as long as for a user (invariant 6). */
const NO_USER: Selectable<UsersTable> = {
  id: '',
  address: '',
  name: null,
  groups: '[]',
  admin: 0,
  enabled: 0,
  epoch: 0,
  enrolled_at: null,
  password_hash: null,
  password_key_id: null,
  created_at: 0,
  app_passwords: null,
  language: null,
}

/** Every method by itself, or all of them inside one transaction: the difference is `db`. */
export class SqlTransaction implements StoreTransaction {
  readonly #db: () => Db
  readonly #dialect: SqlDialect
  readonly #queries: Queries
  readonly policies: PolicyRows
  readonly devices: DeviceRows
  readonly people: PeopleRecords

  readonly #seal: AuditSeal

  constructor(db: () => Db, dialect: SqlDialect, queries: Queries, seal: AuditSeal) {
    this.#db = db
    this.#seal = seal
    this.policies = sqlPolicies(db)
    this.devices = sqlDevices(db, queries)
    this.#dialect = dialect
    this.#queries = queries
    this.people = sqlPeople(db, queries)
  }

  async #first<R>(query: CompiledQuery<R>): Promise<R | undefined> {
    return (await this.#db().executeQuery(query)).rows[0]
  }

  async insertUser(user: NewUser): Promise<UserRow | null> {
    const db = this.#db()
    const reserved = await db
      .selectFrom('reserved_names')
      .select('address')
      .where('address', '=', user.address)
      .executeTakeFirst()
    if (reserved) return null
    const row = await db
      .insertInto('users')
      .values({
        id: user.id,
        address: user.address,
        name: user.name,
        groups: JSON.stringify(user.groups),
        admin: user.admin ? 1 : 0,
        enabled: 1,
        epoch: 1,
        enrolled_at: null,
        password_hash: user.passwordHash,
        password_key_id: user.passwordKeyId,
        created_at: user.createdAt.getTime(),
      })
      .onConflict((conflict) => conflict.column('address').doNothing())
      .returningAll()
      .executeTakeFirst()
    if (!row) return null
    const inserted = userRow(row)
    await noteUserWords(db, inserted)
    return inserted
  }

  async userById(id: string): Promise<UserRow | null> {
    const row = await this.#first(this.#queries.userById(id))
    return row ? userRow(row) : null
  }

  async userByAddress(address: string): Promise<UserRow | null> {
    const row = await this.#first(this.#queries.userByAddress(address))
    if (row === undefined) return null
    const isThere = isUser(row)
    const user = userRow(isThere ? row : NO_USER)
    return isThere ? user : null
  }

  async listUsers(page: Page): Promise<readonly UserRow[]> {
    const rows = await this.#db()
      .selectFrom('users')
      .selectAll()
      .where('address', '>', page.after ?? '')
      .orderBy('address')
      .limit(page.limit)
      .execute()
    return rows.map(userRow)
  }

  async updateUser(id: string, patch: UserPatch): Promise<UserRow | null> {
    const row = await this.#db()
      .updateTable('users')
      .set((is) => ({
        epoch: is('epoch', '+', 1),
        ...(patch.name !== undefined && { name: patch.name }),
        ...(patch.groups !== undefined && { groups: JSON.stringify(patch.groups) }),
        ...(patch.admin !== undefined && { admin: patch.admin ? 1 : 0 }),
        ...(patch.enabled !== undefined && { enabled: patch.enabled ? 1 : 0 }),
        ...(patch.enrolledAt !== undefined && { enrolled_at: patch.enrolledAt.getTime() }),
        ...(patch.password !== undefined && {
          password_hash: patch.password?.hash ?? null,
          password_key_id: patch.password?.keyId ?? null,
        }),
        ...(patch.appPasswords !== undefined && { app_passwords: truthOf(patch.appPasswords) }),
      }))
      .where('id', '=', id)
      .returningAll()
      .executeTakeFirst()
    if (!row) return null
    const updated = userRow(row)
    if (patch.name !== undefined) await noteUserWords(this.#db(), updated)
    return updated
  }

  searchUsers(words: readonly string[], page: Page): Promise<readonly UserRow[]> {
    return searchUsers(this.#db(), words, page)
  }

  administratorBesides(userId: string): Promise<boolean> {
    return administratorBesides(this.#db(), userId)
  }

  async deleteUser(id: string, at: Date): Promise<boolean> {
    const row = await this.#db().deleteFrom('users').where('id', '=', id).returning('address').executeTakeFirst()
    if (!row) return false
    await this.#db()
      .insertInto('reserved_names')
      .values({ address: row.address, deleted_at: at.getTime() })
      .onConflict((conflict) => conflict.column('address').doNothing())
      .execute()
    return true
  }

  async setUserLanguage(id: string, language: Language | null): Promise<boolean> {
    const result = await this.#db().updateTable('users').set({ language }).where('id', '=', id).executeTakeFirst()
    return result.numUpdatedRows > 0n
  }

  async raiseUserEpoch(id: string): Promise<number | null> {
    const row = await this.#db()
      .updateTable('users')
      .set((is) => ({ epoch: is('epoch', '+', 1) }))
      .where('id', '=', id)
      .returning('epoch')
      .executeTakeFirst()
    return row?.epoch ?? null
  }

  async raiseAllEpochs(): Promise<void> {
    await this.#db()
      .updateTable('users')
      .set((is) => ({ epoch: is('epoch', '+', 1) }))
      .execute()
  }

  async replaceAppPasswordHash(id: string, hash: string): Promise<void> {
    await this.#db().updateTable('app_passwords').set({ hash }).where('id', '=', id).execute()
  }

  async appPasswordTotals(now: Date): Promise<{ readonly live: number; readonly expired: number }> {
    const row = await this.#db()
      .selectFrom('app_passwords')
      .select((is) => [
        is.fn.countAll<number>().as('all'),
        is.fn.countAll<number>().filterWhere('expires_at', '<=', now.getTime()).as('expired'),
      ])
      .executeTakeFirstOrThrow()
    const expired = Number(row.expired)
    return { live: Number(row.all) - expired, expired }
  }

  async countAppPasswords(userId: string, now: Date): Promise<number> {
    const row = await this.#db()
      .selectFrom('app_passwords')
      .select((of) => of.fn.countAll<number>().as('count'))
      .where('user_id', '=', userId)
      .where((is) => is.or([is('expires_at', 'is', null), is('expires_at', '>', now.getTime())]))
      .executeTakeFirstOrThrow()
    return row.count
  }

  countAppPasswordsOf(userIds: readonly string[], now: Date): Promise<ReadonlyMap<string, number>> {
    return countAppPasswordsOf(this.#db(), userIds, now)
  }

  async insertAppPassword(row: AppPasswordRow): Promise<void> {
    await this.#db().insertInto('app_passwords').values(appPasswordColumns(row)).execute()
  }

  async appPasswordById(id: string): Promise<AppPasswordRow | null> {
    const row = await this.#db().selectFrom('app_passwords').selectAll().where('id', '=', id).executeTakeFirst()
    return row ? appPasswordRow(row) : null
  }

  async appPasswordsOf(userId: string): Promise<readonly AppPasswordRow[]> {
    const rows = await this.#db()
      .selectFrom('app_passwords')
      .selectAll()
      .where('user_id', '=', userId)
      .orderBy('created_at', 'desc')
      .orderBy('id')
      .execute()
    return rows.map(appPasswordRow)
  }

  async appPasswordsBySelector(userId: string, selector: number): Promise<readonly AppPasswordRow[]> {
    const { rows } = await this.#db().executeQuery(this.#queries.bySelector(userId, selector))
    return rows.filter(isAppPassword).map(appPasswordRow)
  }

  async appPasswordsUnusedSince(before: Date, limit: number): Promise<readonly AppPasswordRow[]> {
    // Written as in the index that serves it.
    const idleSince = sql<number>`coalesce(last_used_at, created_at)`
    const rows = await this.#db()
      .selectFrom('app_passwords')
      .selectAll()
      .where(idleSince, '<', before.getTime())
      .orderBy(idleSince)
      .limit(limit)
      .execute()
    return rows.map(appPasswordRow)
  }

  async updateAppPassword(id: string, patch: AppPasswordPatch): Promise<boolean> {
    const changes = {
      ...(patch.name !== undefined && { name: patch.name }),
      ...(patch.protocols !== undefined && { protocols: JSON.stringify(patch.protocols) }),
      ...(patch.networks !== undefined && { networks: JSON.stringify(patch.networks) }),
      ...(patch.expiresAt !== undefined && { expires_at: msOf(patch.expiresAt) }),
    }
    const result = await this.#db().updateTable('app_passwords').set(changes).where('id', '=', id).executeTakeFirst()
    return result.numUpdatedRows > 0n
  }

  async deleteAppPassword(id: string): Promise<boolean> {
    const result = await this.#db().deleteFrom('app_passwords').where('id', '=', id).executeTakeFirst()
    return result.numDeletedRows > 0n
  }

  async noteLastUsed(uses: ReadonlyMap<string, LastUse>): Promise<void> {
    const all = [...uses].map(([id, { at, protocol, ip, agent }]) => ({ id, at: at.getTime(), protocol, ip, agent }))
    await this.#dialect.relaxed(this.#db(), async (db) => {
      await sql`
        update app_passwords
        set last_used_at = u.at, last_used_protocol = u.protocol, last_used_ip = u.ip, last_used_agent = u.agent
        from ${this.#dialect.uses(JSON.stringify(all))}
        where app_passwords.id = u.id
          and (app_passwords.last_used_at is null or app_passwords.last_used_at <= u.at)`.execute(db)
    })
  }

  listTombstones(userId: string): Promise<readonly TombstoneRow[]> {
    return listTombstones(this.#db(), userId)
  }

  noteTombstoneTries(notes: readonly TombstoneNote[]): Promise<void> {
    return noteTombstoneTries(this.#db(), this.#queries, notes)
  }

  async putTombstone(row: NewTombstone): Promise<void> {
    const content = {
      key_id: row.keyId,
      app_password_id: row.appPasswordId,
      name: row.name,
      deleted_at: row.deletedAt.getTime(),
    }
    await this.#db()
      .insertInto('tombstones')
      .values({ user_id: row.userId, digest: row.digest, ...content })
      .onConflict((conflict) => conflict.columns(['user_id', 'digest']).doUpdateSet(content))
      .execute()
  }

  async tombstone(userId: string, digest: string): Promise<TombstoneRow | null> {
    const row = await this.#first(this.#queries.tombstone(userId, digest))
    return row ? tombstoneRow(row) : null
  }

  async deleteTombstonesBefore(before: Date): Promise<number> {
    const old = sql`deleted_at < ${before.getTime()}`
    return await deleteInPieces(this.#db(), 'tombstones', ['user_id', 'digest'], old)
  }

  async trimTombstones(userId: string, keep: number): Promise<void> {
    await this.#db()
      .deleteFrom('tombstones')
      .where('user_id', '=', userId)
      .where('deleted_at', '<=', (of) =>
        of
          .selectFrom('tombstones')
          .select('deleted_at')
          .where('user_id', '=', userId)
          .orderBy('deleted_at', 'desc')
          .limit(1)
          .offset(keep),
      )
      .execute()
  }

  async putStoredSecret(row: StoredSecretRow): Promise<void> {
    const content = { sealed: row.sealed, key_id: row.keyId, updated_at: row.updatedAt.getTime() }
    await this.#db()
      .insertInto('stored_secrets')
      .values({ user_id: row.userId, upstream: row.upstream, ...content })
      .onConflict((conflict) => conflict.columns(['user_id', 'upstream']).doUpdateSet(content))
      .execute()
  }

  async storedSecret(userId: string, upstream: string): Promise<StoredSecretRow | null> {
    const row = await this.#first(this.#queries.storedSecret(userId, upstream))
    return row ? storedSecretRow(row) : null
  }

  async deleteStoredSecret(userId: string, upstream: string): Promise<boolean> {
    const result = await this.#db()
      .deleteFrom('stored_secrets')
      .where('user_id', '=', userId)
      .where('upstream', '=', upstream)
      .executeTakeFirst()
    return result.numDeletedRows > 0n
  }

  async appendAudit(entry: Omit<AuditRow, 'seq'>): Promise<number> {
    return await insertAudit(this.#db(), this.#dialect, this.#queries, this.#seal.sealer, entry)
  }

  async listAudit(filter: AuditFilter): Promise<readonly AuditRow[]> {
    return await selectAudit(this.#db(), filter)
  }

  async keyChecks(): Promise<ReadonlyMap<string, string>> {
    const rows = await this.#db().selectFrom('key_checks').selectAll().execute()
    return new Map(rows.map((row) => [row.key_id, row.check_value]))
  }

  async putKeyCheck(keyId: string, check: string): Promise<void> {
    await this.#db().insertInto('key_checks').values({ key_id: keyId, check_value: check }).execute()
  }

  async keyUse(): Promise<ReadonlyMap<string, number>> {
    const { rows } = await sql<{ key_id: string; count: number }>`
      select key_id, sum(n) as count from (
        select key_id, count(*) as n from app_passwords group by key_id
        union all select key_id, count(*) from tombstones group by key_id
        union all select key_id, count(*) from stored_secrets group by key_id
        union all select key_id, count(*) from authenticator_apps group by key_id
        union all select key_id, count(*) from recovery_codes group by key_id
        union all select key_id, count(*) from one_time_links group by key_id
        union all select key_id, count(*) from portal_sessions group by key_id
        union all select key_id, count(*) from api_tokens group by key_id
        union all select password_key_id, count(*) from users where password_key_id is not null group by password_key_id
      ) as used group by key_id`.execute(this.#db())
    return new Map(rows.map((row) => [row.key_id, Number(row.count)]))
  }
}
