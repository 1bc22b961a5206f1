/**
 * The queries of a login and of what many of them leave behind, compiled once when the store is opened: building one costs more than running it.
 */

import type { Compilable, CompiledQuery, Kysely, Selectable } from 'kysely'
import { sql } from 'kysely'
import { POLICY_EPOCH_ROW } from './policies.ts'
import type { AppPasswordsTable, Tables, UsersTable } from './schema.ts'

/** A query whose text is made once; parameters are given in the order in which they stand in it. */
type Prepared<R> = (...parameters: readonly unknown[]) => CompiledQuery<R>

function prepared<R>(query: Compilable<R>): Prepared<R> {
  const compiled = query.compile()
  return (...parameters) => ({ ...compiled, parameters })
}

/** The row that a query answers which finds one at the most. */
export async function first<R>(db: Kysely<Tables>, query: CompiledQuery<R>): Promise<R | undefined> {
  return (await db.executeQuery(query)).rows[0]
}

/** The columns of a table behind a left join: all of them null where there was no row to join. */
type Joined<T> = { readonly [C in keyof Selectable<T>]: Selectable<T>[C] | null }
type JoinedAppPassword = Joined<AppPasswordsTable>
type Prefixed<T> = { readonly [C in keyof T & string as `ap_${C}`]: T[C] }

/** Of the table's own rows none is without a key, so that tells which of the two it is. */
export function isUser(row: Joined<UsersTable>): row is Selectable<UsersTable> {
  return row.id !== null
}

/** As `isUser`. */
export function isAppPassword(row: JoinedAppPassword): row is Selectable<AppPasswordsTable> {
  return row.id !== null
}

/** The columns of the app password in an answer to `liveCheck`. */
export function withoutPrefix(row: Prefixed<JoinedAppPassword>): JoinedAppPassword {
  return {
    id: row.ap_id,
    user_id: row.ap_user_id,
    name: row.ap_name,
    selector: row.ap_selector,
    hash: row.ap_hash,
    key_id: row.ap_key_id,
    protocols: row.ap_protocols,
    networks: row.ap_networks,
    created_at: row.ap_created_at,
    expires_at: row.ap_expires_at,
    last_used_at: row.ap_last_used_at,
    last_used_protocol: row.ap_last_used_protocol,
    last_used_ip: row.ap_last_used_ip,
    last_used_agent: row.ap_last_used_agent,
    tombstone_digest: row.ap_tombstone_digest,
  }
}

/** Queries that a login runs. The values in them are place-holders. */
export function prepareQueries(db: Kysely<Tables>) {
  const users = db.selectFrom('users').selectAll()
  const head = db.selectFrom('audit_head').select(['seq', 'code']).where('id', '=', 1)
  return {
    userById: prepared(users.where('id', '=', '')),
    /**
     * Always answers a row, all null for an address that is nobody's: making one takes longer than finding none, and that
     * would tell who exists (invariant 6).
     */
    userByAddress: prepared(
      db
        .selectFrom(sql<{ wanted: string }>`(select cast(${''} as text) as wanted)`.as('asked'))
        .leftJoin('users', 'users.address', 'asked.wanted')
        .selectAll('users'),
    ),
    /** Likewise: whether there is a row would tell who is in the wrong network. Parameters: user, selector. */
    bySelector: prepared(
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
        .selectAll('app_passwords'),
    ),
    /** Parameters: app password, user. The columns of the app password have a prefix (`withoutPrefix`). */
    liveCheck: prepared(
      db
        .selectFrom('users')
        .innerJoin('policy_epoch', (join) => join.on('policy_epoch.id', '=', POLICY_EPOCH_ROW))
        .leftJoin('app_passwords', (join) =>
          join.onRef('app_passwords.user_id', '=', 'users.id').on('app_passwords.id', '=', ''),
        )
        .selectAll('users')
        .select([
          'policy_epoch.epoch as policy_epoch',
          'app_passwords.id as ap_id',
          'app_passwords.user_id as ap_user_id',
          'app_passwords.name as ap_name',
          'app_passwords.selector as ap_selector',
          'app_passwords.hash as ap_hash',
          'app_passwords.key_id as ap_key_id',
          'app_passwords.protocols as ap_protocols',
          'app_passwords.networks as ap_networks',
          'app_passwords.created_at as ap_created_at',
          'app_passwords.expires_at as ap_expires_at',
          'app_passwords.last_used_at as ap_last_used_at',
          'app_passwords.last_used_protocol as ap_last_used_protocol',
          'app_passwords.last_used_ip as ap_last_used_ip',
          'app_passwords.last_used_agent as ap_last_used_agent',
          'app_passwords.tombstone_digest as ap_tombstone_digest',
        ])
        .where('users.id', '=', ''),
    ),
    policyEpoch: prepared(db.selectFrom('policy_epoch').select('epoch').where('id', '=', POLICY_EPOCH_ROW)),
    tombstone: prepared(db.selectFrom('tombstones').selectAll().where('user_id', '=', '').where('digest', '=', '')),
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
    storedSecret: prepared(
      db.selectFrom('stored_secrets').selectAll().where('user_id', '=', '').where('upstream', '=', ''),
    ),
    /** Parameter: 1. */
    auditHead: prepared(head),
    /** On PostgreSQL two entries at once would follow the same one. */
    auditHeadLocked: prepared(head.forUpdate()),
    /** Parameters: at, event, actor, user, address, detail. */
    insertAudit: prepared(
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
    cachedLogin: prepared(
      db.selectFrom('cached_logins').select('value').where('key', '=', '').where('expires_at', '>', 0),
    ),
  }
}

export type Queries = ReturnType<typeof prepareQueries>
