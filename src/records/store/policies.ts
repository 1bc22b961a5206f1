/**
 * Policy that is set while the server runs, as rows: whether app passwords are allowed for everybody and for groups.
 *
 * One counter, the policy epoch, stands for all of them: whoever keeps them in memory sees by it that they have changed. What
 * is set for a single user stands in the user's own row (`UserRow.appPasswords`), so that a login needs no further read.
 */

import { sql } from 'kysely'
import { userRow } from './schema.ts'
import type { Db } from './sql-transaction.ts'
import type { Page, UserRow } from './store.ts'
import { StoreError } from './store.ts'

export interface PolicyRow {
  readonly scope: 'all' | 'group'
  /** The group's name; '' for everybody. */
  readonly subject: string
  readonly appPasswords: boolean
}

export interface PolicyState {
  /** Of these rows and no others. */
  readonly epoch: number
  /** All of them, by scope and subject. */
  readonly rows: readonly PolicyRow[]
}

export interface PolicyRows {
  /** Rows and epoch in one read, so that no change comes between them. */
  read(): Promise<PolicyState>
  /** Users for whom something of their own is set, by address. */
  users(page: Page): Promise<readonly UserRow[]>
  put(row: PolicyRow): Promise<void>
  /** false: nothing was set. */
  delete(scope: PolicyRow['scope'], subject: string): Promise<boolean>
  /**
   * Raises the policy epoch and answers it. First in a transaction that changes rows: on PostgreSQL that makes two of them wait
   * for each other, so that an epoch is never there without the rows of all before it.
   */
  raiseEpoch(): Promise<number>
}

/** Of the one row in `policy_epoch`, as text and not as a parameter. */
export const POLICY_EPOCH_ROW = sql.lit(1)

/** @throws StoreError 'ERR_STORE_CORRUPT' when there is none */
export function demandPolicyEpoch(row: { readonly epoch: number } | undefined): number {
  if (row !== undefined) return row.epoch
  throw new StoreError('ERR_STORE_CORRUPT', 'the store has lost its policy epoch: restore a backup')
}

export function sqlPolicies(db: () => Db): PolicyRows {
  return {
    async read() {
      const found = await db()
        .selectFrom('policy_epoch')
        .leftJoin('policies', (join) => join.onTrue())
        .select(['policy_epoch.epoch', 'policies.scope', 'policies.subject', 'policies.app_passwords'])
        .where('policy_epoch.id', '=', POLICY_EPOCH_ROW)
        .orderBy('policies.scope')
        .orderBy('policies.subject')
        .execute()
      const rows = found.flatMap(({ scope, subject, app_passwords }) =>
        scope === null
          ? []
          : [{ scope: scope as PolicyRow['scope'], subject: subject ?? '', appPasswords: app_passwords === 1 }],
      )
      return { epoch: demandPolicyEpoch(found[0]), rows }
    },

    async users({ after, limit }) {
      const rows = await db()
        .selectFrom('users')
        .selectAll()
        .where('app_passwords', 'is not', null)
        .where('address', '>', after ?? '')
        .orderBy('address')
        .limit(limit)
        .execute()
      return rows.map(userRow)
    },

    async put({ scope, subject, appPasswords }) {
      const content = { app_passwords: appPasswords ? 1 : 0 }
      await db()
        .insertInto('policies')
        .values({ scope, subject, ...content })
        .onConflict((conflict) => conflict.columns(['scope', 'subject']).doUpdateSet(content))
        .execute()
    },

    async delete(scope, subject) {
      const result = await db()
        .deleteFrom('policies')
        .where('scope', '=', scope)
        .where('subject', '=', subject)
        .executeTakeFirst()
      return result.numDeletedRows > 0n
    },

    async raiseEpoch() {
      const row = await db()
        .updateTable('policy_epoch')
        .set((is) => ({ epoch: is('epoch', '+', 1) }))
        .where('id', '=', POLICY_EPOCH_ROW)
        .returning('epoch')
        .executeTakeFirst()
      return demandPolicyEpoch(row)
    },
  }
}
