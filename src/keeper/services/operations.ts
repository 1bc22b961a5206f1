/**
 * Services for operators: stored upstream secrets, the audit trail, keys, backup, health, and how `check` may log in.
 */

import { stat } from 'node:fs/promises'
import { isAbsolute } from 'node:path'
import type { AuditView, ServiceHandlers } from '../../contract/services.ts'
import { ServiceError } from '../../contract/services.ts'
import { appendAudit, auditSubject, readAudit } from '../../records/audit.ts'
import { checkAudit } from '../../records/audit-chain.ts'
import type { AuditRow } from '../../records/store/store.ts'
import { StoreError } from '../../records/store/store.ts'
import { Secret } from '../../secret.ts'
import { identityFor, UpstreamIdentityError } from '../upstream/identity.ts'
import { routeFor } from '../upstream/routes.ts'
import type { ServiceDeps } from './shared.ts'
import { fitting } from './shared.ts'

type OperationServices = Pick<
  ServiceHandlers,
  | 'secret.set'
  | 'secret.delete'
  | 'audit.list'
  | 'audit.verify'
  | 'keys.status'
  | 'backup'
  | 'health'
  | 'check.identity'
>

export function operationServices(deps: ServiceDeps): OperationServices {
  const { config, names, store, keys, users, secrets, clock, version, serverPid, redisState } = deps

  function demandUpstream(name: string): void {
    if (Object.hasOwn(config().upstreams, name)) return
    throw new ServiceError('not-configured', `there is no upstream "${name}" in the configuration`)
  }

  return {
    async 'secret.set'({ user, upstream, secret }, actor) {
      demandUpstream(upstream)
      const row = await secrets.set(user, upstream, new Secret(secret), actor)
      return { user: row.address, upstream }
    },

    async 'secret.delete'({ user, upstream }, actor) {
      // An upstream that left the configuration may still have secrets to delete.
      const { user: row, deleted } = await secrets.delete(user, upstream, actor)
      return { user: row.address, upstream, deleted }
    },

    async 'audit.list'({ user, sinceMs, order, afterSeq, limit }) {
      const subject = user === undefined ? { userId: null } : await auditSubject(store, user, names())
      const since = sinceMs === undefined ? null : new Date(sinceMs)
      const { entries } = await readAudit(store, { ...subject, since, order, afterSeq, limit })
      const page = fitting(entries.map(auditView))
      return { entries: page, lastSeq: page.at(-1)?.seq ?? afterSeq }
    },

    async 'audit.verify'({ mark = null }) {
      const check = await checkAudit(store, keys, mark)
      return { ok: check.broken === null, ...check }
    },

    async 'keys.status'() {
      const rows = await store.keyUse()
      return {
        file: config().keys.file,
        keys: keys.all.map((key) => ({
          id: key.id,
          createdAt: key.createdAt.toISOString(),
          active: key === keys.active,
          rows: rows.get(key.id) ?? 0,
        })),
      }
    },

    async backup({ file }, actor) {
      if (!isAbsolute(file)) throw new ServiceError('invalid', `"${file}" is not an absolute path`)
      if (await exists(file)) throw new ServiceError('invalid', `${file} exists already: name a new file`)
      await store.backup(file)
      await store.transaction((tx) =>
        appendAudit(tx, { event: 'backup_made', actor, user: null, at: clock(), detail: { file } }),
      )
      return { file, bytes: (await stat(file)).size }
    },

    async health() {
      const redis = redisState()
      const up = await answers(() => store.ping())
      return { ok: up, version, pid: serverPid, keeperPid: process.pid, store: up ? 'up' : 'down', redis }
    },

    async 'check.identity'({ protocol, user: address }) {
      const user = await users.show(address)
      const routed = routeFor(config(), user.address, protocol)
      if (!routed.ok) throw new ServiceError('not-configured', routed.why)
      try {
        const identity = await identityFor(routed.route, user, secrets)
        if (identity.kind !== 'password') throw new ServiceError('not-configured', 'tokens are not checked here')
        const { kind, authcid, authzid, secret } = identity
        return { upstream: routed.route.name, kind, authcid, authzid, secret: secret.reveal() }
      } catch (error) {
        if (error instanceof UpstreamIdentityError) {
          throw new ServiceError('not-configured', error.message, { cause: error })
        }
        throw error
      }
    },
  }
}

function auditView({ seq, at, event, actor, user, detail }: AuditRow): AuditView {
  return { seq, at: at.toISOString(), event, actor, user, detail }
}

async function exists(file: string): Promise<boolean> {
  try {
    await stat(file)
    return true
  } catch {
    return false // or not reachable: making the file will say why
  }
}

async function answers(ask: () => Promise<unknown>): Promise<boolean> {
  try {
    await ask()
    return true
  } catch (error) {
    if (error instanceof StoreError) return false
    throw error
  }
}
