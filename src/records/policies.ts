/**
 * Policy that is set while the server runs: app passwords allowed or forbidden for everybody, a group or (`users.ts`) a user.
 *
 * It goes before what the configuration says about the same. Each change is one transaction: the policy epoch, the row, the
 * audit entry; then the bus. However many users it concerns, none of their rows is touched: what is remembered of their logins
 * stays true, and whoever judges them sees by the epoch that the settings are to be read again (docs/decisions/0023). Nothing
 * here ends a session: whoever called does.
 */

import type { Actor } from '../contract/services.ts'
import { appendAudit } from './audit.ts'
import type { Bus } from './bus.ts'
import type { Page, Store, StoreTransaction, UserRow } from './store/store.ts'

/** What is set for everybody and for groups. */
export interface PolicySettings {
  /** The store's policy epoch when it was like that. */
  readonly epoch: number
  /** null: nothing is. */
  readonly all: boolean | null
  readonly groups: ReadonlyMap<string, boolean>
}

export type PolicyScope = { readonly scope: 'all' } | { readonly scope: 'group'; readonly group: string }

/** All reject with StoreError. */
export interface Policies {
  read(): Promise<PolicySettings>
  /** Users who have a setting of their own, by address; `after` is the last address of the page before. */
  users(page: Page): Promise<readonly UserRow[]>
  /** `allowed` null takes the setting away. false: it was like that already, and nothing was written. */
  set(scope: PolicyScope, allowed: boolean | null, actor: Actor): Promise<boolean>
}

/** How a setting is called in the audit trail. */
export function settingName(allowed: boolean | null): 'allowed' | 'forbidden' | 'default' {
  return allowed === null ? 'default' : allowed ? 'allowed' : 'forbidden'
}

export function createPolicies(options: {
  readonly store: Store
  readonly bus: Bus
  readonly now?: () => Date
}): Policies {
  const { store, bus } = options
  const now = options.now ?? (() => new Date())

  return {
    read: () => readSettings(store),
    users: (page) => store.policies.users(page),

    async set(scope, allowed, actor) {
      const subject = scope.scope === 'group' ? scope.group : ''
      const epoch = await store.transaction(async (tx) => {
        const before = await readSettings(tx)
        const was = (scope.scope === 'all' ? before.all : before.groups.get(scope.group)) ?? null
        if (was === allowed) return null
        const epoch = await tx.policies.raiseEpoch()
        if (allowed === null) await tx.policies.delete(scope.scope, subject)
        else await tx.policies.put({ scope: scope.scope, subject, appPasswords: allowed })
        const detail = { scope: scope.scope, group: subject || null, appPasswords: settingName(allowed) }
        await appendAudit(tx, { event: 'policy_set', actor, user: null, at: now(), detail })
        return epoch
      })
      if (epoch !== null) bus.publish({ kind: 'policy-changed', epoch })
      return epoch !== null
    },
  }
}

async function readSettings(store: StoreTransaction): Promise<PolicySettings> {
  const { epoch, rows } = await store.policies.read()
  return {
    epoch,
    all: rows.find(({ scope }) => scope === 'all')?.appPasswords ?? null,
    groups: new Map(rows.flatMap((row) => (row.scope === 'group' ? [[row.subject, row.appPasswords] as const] : []))),
  }
}
