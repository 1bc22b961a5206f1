/**
 * The queries of a login and of what many of them leave behind, compiled once when the store is opened: building one costs more than running it.
 */

import type { Compilable, CompiledQuery, Kysely, Selectable } from 'kysely'
import { sql } from 'kysely'
import type { AppPasswordsTable, StoredSecretsTable, Tables, TombstonesTable, UsersTable } from './schema.ts'

import type { AuditMark } from './sql-audit.ts'

/** A query whose text is made once; parameters are given in the order in which they stand in it. */
type Prepared<R> = (...parameters: readonly unknown[]) => CompiledQuery<R>

function prepared<R>(query: Compilable<R>): Prepared<R> {
  const compiled = query.compile()
  return (...parameters) => ({ ...compiled, parameters })
}

export const APP_PASSWORD_COLUMNS = [
  'id',
  'user_id',
  'name',
  'selector',
  'hash',
  'key_id',
  'protocols',
  'networks',
  'created_at',
  'expires_at',
  'last_used_at',
  'last_used_protocol',
  'last_used_ip',
  'last_used_agent',
  'tombstone_digest',
] as const satisfies readonly (keyof AppPasswordsTable)[]

/** A user's columns, and those of an app password behind a prefix, all null when there is none. */
type LiveCheckColumns = Selectable<UsersTable> & {
  [C in keyof AppPasswordsTable as `ap_${C}`]: AppPasswordsTable[C] | null
}

type Nobody = { readonly [C in keyof UsersTable]: null }
type NoAppPassword = { readonly [C in keyof AppPasswordsTable]: null }

/** Queries that a login runs. The values in them are place-holders. */
export function prepareQueries(db: Kysely<Tables>) {
  const users = db.selectFrom('users').selectAll()
  const head = db.selectFrom('audit_head').select(['seq', 'code']).where('id', '=', 1)
  return {
    userById: prepared<Selectable<UsersTable>>(users.where('id', '=', '')),
    /**
     * Always answers a row, all null for an address that is nobody's: making one takes longer than finding none, and that
     * would tell who exists (invariant 6).
     */
    userByAddress: prepared<Selectable<UsersTable> | Nobody>(
      db
        .selectFrom(sql<{ wanted: string }>`(select cast(${''} as text) as wanted)`.as('asked'))
        .leftJoin('users', 'users.address', 'asked.wanted')
        .selectAll('users') as unknown as Compilable<Selectable<UsersTable> | Nobody>,
    ),
    /** Likewise: whether there is a row would tell who is in the wrong network. Parameters: user, selector. */
    bySelector: prepared<Selectable<AppPasswordsTable> | NoAppPassword>(
      db
        .selectFrom(
          sql<{
            wanted: string
            wanted_selector: number
          }>`(select cast(${''} as text) as wanted, cast(${0} as integer) as wanted_selector)`.as('asked'),
        )
        .leftJoin('app_passwords', (join) =>
          join
            .onRef('app_passwords.user_id', '=', 'asked.wanted')
            .onRef('app_passwords.selector', '=', 'asked.wanted_selector'),
        )
        .selectAll('app_passwords') as unknown as Compilable<Selectable<AppPasswordsTable> | NoAppPassword>,
    ),
    /** Parameters: app password, user. */
    liveCheck: prepared<LiveCheckColumns>(
      db
        .selectFrom('users')
        .leftJoin('app_passwords', (join) =>
          join.onRef('app_passwords.user_id', '=', 'users.id').on('app_passwords.id', '=', ''),
        )
        .selectAll('users')
        .select(APP_PASSWORD_COLUMNS.map((column) => `app_passwords.${column} as ap_${column}` as const))
        .where('users.id', '=', '') as unknown as Compilable<LiveCheckColumns>,
    ),
    tombstone: prepared<Selectable<TombstonesTable>>(
      db.selectFrom('tombstones').selectAll().where('user_id', '=', '').where('digest', '=', ''),
    ),
    /** Parameters: tries, at, ip, protocol, user, digest. */
    noteTombstoneTries: prepared(
      db
        .updateTable('tombstones')
        .set((is) => ({
          tries: is('tries', '+', 0),
          last_tried_at: 0,
          last_tried_ip: '',
          last_tried_protocol: '',
        }))
        .where('user_id', '=', '')
        .where('digest', '=', ''),
    ),
    /** Parameters: type, agent, version of the protocol, at, ip, user, device. */
    sightDevice: prepared(
      db
        .updateTable('devices')
        .set({ type: '', agent: '', protocol_version: '', last_seen: 0, last_ip: '' })
        .where('user_id', '=', '')
        .where('id', '=', ''),
    ),
    /** Parameters: id, user, and twice kind, detail, at. */
    putNotice: prepared(
      db
        .insertInto('notices')
        .values({ id: '', user_id: '', kind: '', detail: '', at: 0 })
        .onConflict((conflict) => conflict.column('id').doUpdateSet({ kind: '', detail: '', at: 0 })),
    ),
    storedSecret: prepared<Selectable<StoredSecretsTable>>(
      db.selectFrom('stored_secrets').selectAll().where('user_id', '=', '').where('upstream', '=', ''),
    ),
    /** Parameter: 1. */
    auditHead: prepared<AuditMark>(head),
    /** On PostgreSQL two entries at once would follow the same one. */
    auditHeadLocked: prepared<AuditMark>(head.forUpdate()),
    /** Parameters: at, event, actor, user, address, detail. */
    insertAudit: prepared<{ seq: number }>(
      db
        .insertInto('audit')
        .values({ at: 0, event: '', actor: '', user_id: '', address: '', detail: '' })
        .returning('seq'),
    ),
    /** Parameters: key, code, number. */
    sealAudit: prepared(db.updateTable('audit').set({ key_id: '', code: '' }).where('seq', '=', 0)),
    /** Parameters: 1, number, code, number, code. */
    putAuditHead: prepared(
      db
        .insertInto('audit_head')
        .values({ id: 1, seq: 0, code: '' })
        .onConflict((conflict) => conflict.column('id').doUpdateSet({ seq: 0, code: '' })),
    ),
    cachedLogin: prepared<{ value: string }>(
      db.selectFrom('cached_logins').select('value').where('key', '=', '').where('expires_at', '>', 0),
    ),
  }
}

export type Queries = ReturnType<typeof prepareQueries>
