/**
 * The services for administrators, over HTTP: proof, scope, step-up, idempotency, audit; then the very service that the
 * command line calls, with the caller as its actor (threats H8).
 */

import type { AdminMethod, ApiScope } from '../../contract/portal/admin.ts'
import { ADMIN_METHODS, API_SCOPES } from '../../contract/portal/admin.ts'
import type { PortalClient } from '../../contract/portal/client.ts'
import type { PortalHandlers, PortalParams } from '../../contract/portal.ts'
import type { ServiceErrorCode } from '../../contract/services.ts'
import { SERVICE_METHODS, ServiceError } from '../../contract/services.ts'
import { printable } from '../../log.ts'
import type { ApiTokens } from '../../records/api-tokens.ts'
import { IDEMPOTENCY_MS } from '../../records/api-tokens.ts'
import { appendAudit } from '../../records/audit.ts'
import { userAt } from '../../records/lookup.ts'
import type { ApiTokenRow } from '../../records/store/people/api-tokens.ts'
import type { IdempotencyRow } from '../../records/store/people/idempotency-keys.ts'
import { Secret } from '../../secret.ts'
import type { PortalDeps } from './deps.ts'
import type { Presence } from './presence.ts'
import { createRequestMarks } from './request-marks.ts'

type Proof = PortalParams<'admin.call'>['as']
type Asked = { readonly method: AdminMethod; readonly params: Readonly<Record<string, unknown>> }
type Answer = { readonly answer: unknown; readonly replayed: boolean }

/** What another node has begun is over after so long, one way or the other: the slowest is a mail server that hangs. */
const LONGEST_CALL_MS = 120_000

/** The name under which wrong tokens are counted. No user can have it. */
const TOKEN_LANE = 'api token'

export interface AdminParts {
  readonly presence: Presence
  readonly apiTokens: ApiTokens
}

export function adminHandlers(
  deps: PortalDeps,
  { presence, apiTokens }: AdminParts,
): Pick<PortalHandlers, 'admin.call'> {
  const { store, names, services, throttle, log, clock } = deps
  const startedAt = clock()
  const marks = createRequestMarks(startedAt)
  /** Claims of calls that run here, now. */
  const underWay = new Set<string>()

  /** The token that this is. Wrong ones are counted like wrong passwords; a right one is never refused for them. */
  async function tokenOf(bearer: string, { ip }: PortalClient): Promise<ApiTokenRow> {
    const typed = new Secret(bearer)
    const charge = throttle.charge(TOKEN_LANE, ip, typed)
    const found = await apiTokens.find(bearer).catch((error: unknown) => {
      charge.refund()
      throw error
    })
    if (found !== null) {
      // One that is over is no guess either: whoever holds it may know.
      charge.refund()
      if (!found.isOver) return found.row
      throw new ServiceError(
        'unauthorised',
        `this token ran out at ${found.row.expiresAt.toISOString()}: make a new one`,
      )
    }
    const { throttled } = await charge.failed(typed)
    const reason = throttled ? 'throttled' : 'bad-credentials'
    log.event('info', 'sign_in_refused', 'a token of the API was refused', { remote_ip: ip, reason, protocol: 'api' })
    if (throttled) throw new ServiceError('throttled', 'too many wrong tokens from there: wait a moment')
    throw new ServiceError('unauthorised', 'this token is unknown, or was deleted')
  }

  /** Who calls, for the audit trail; may it? */
  async function callerOf(as: Proof, client: PortalClient, { method, params }: Asked): Promise<string> {
    const scope = ADMIN_METHODS[method]
    if ('bearer' in as) {
      const token = await tokenOf(as.bearer, client)
      for (const needed of [scope, ...(await scopesBesides(method, params))]) {
        if (!token.scopes.includes(needed)) throw new ServiceError('forbidden', `this token lacks the scope ${needed}`)
      }
      return `token:${token.id}`
    }
    const { user } = isWrite(scope) ? await presence.demandFresh(as.session) : await presence.demand(as.session)
    if (!user.admin) throw new ServiceError('forbidden', 'this takes the administrator role')
    return `user:${user.id}`
  }

  /**
   * What a token could use to become more than it is (threats H8): who makes an administrator, or gets hold of one, could do
   * everything in the portal; who makes a token gives it no scope that the caller lacks.
   */
  async function scopesBesides(method: AdminMethod, params: Asked['params']): Promise<readonly ApiScope[]> {
    if (method === 'token.create') return API_SCOPES.filter((scope) => isListed(params.scopes, scope))
    if (ADMIN_METHODS[method] !== 'users:write') return []
    const isRole = params.admin === true || (await isAdministrator(params.address))
    return isRole ? ['administrators:write'] : []
  }

  async function isAdministrator(address: unknown): Promise<boolean> {
    if (typeof address !== 'string') return false
    try {
      return (await userAt(store, address, names())).admin
    } catch (error) {
      if (error instanceof ServiceError) return false // the service has the words for a user who is not there
      throw error
    }
  }

  async function run(method: AdminMethod, params: unknown, actor: string): Promise<unknown> {
    const parsed = SERVICE_METHODS[method].request.safeParse(params)
    if (!parsed.success) {
      const [issue] = parsed.error.issues
      const where = issue?.path.join('.') || 'the request'
      throw new ServiceError('invalid', `${where}: ${issue?.message ?? 'is not what is asked for'}`)
    }
    const handler = services[method] as (params: unknown, actor: string) => Promise<unknown>
    return await handler(parsed.data, actor)
  }

  /** Each writing call leaves its own mark, done or refused, beside that of the change itself. */
  async function noteCall(
    method: AdminMethod,
    actor: string,
    client: PortalClient,
    result: 'done' | ServiceErrorCode,
  ): Promise<void> {
    const detail = { method, ip: client.ip, result }
    await store.transaction((tx) => appendAudit(tx, { event: 'admin_called', actor, user: null, at: clock(), detail }))
  }

  /** What an earlier call with this key has answered; null: there was none, and the key is this call's. */
  async function earlier(actor: string, key: string, request: string): Promise<Answer | null> {
    const at = clock()
    const claim = { caller: actor, key, request, answer: null, createdAt: at }
    let known = await store.people.claimIdempotencyKey(claim)
    if (known !== null && at.getTime() - known.createdAt.getTime() >= IDEMPOTENCY_MS) {
      await store.people.dropIdempotencyKey(actor, key)
      known = await store.people.claimIdempotencyKey(claim)
    }
    if (known === null) return null
    if (!marks.isSame(known, request)) {
      throw new ServiceError('invalid', 'this Idempotency-Key was used for another request')
    }
    if (known.answer === null) {
      if (isUnderWay(known, at)) {
        throw new ServiceError('unavailable', 'the first request with this Idempotency-Key is still under way')
      }
      throw new ServiceError(
        'outcome-unknown',
        'the first request with this Idempotency-Key was cut off, and may have been done: look, and if it was not, ask with another key',
      )
    }
    return { answer: JSON.parse(known.answer) as unknown, replayed: true }
  }

  /** A claim without an answer is of a call that runs: here, or, where several nodes share the store, elsewhere for a while. */
  function isUnderWay({ caller, key, createdAt }: IdempotencyRow, at: Date): boolean {
    if (underWay.has(claimOf(caller, key))) return true
    // Claimed by a keeper that was there before this one, and died.
    if (createdAt < startedAt) return false
    return at.getTime() - createdAt.getTime() < LONGEST_CALL_MS
  }

  /** Does it, and keeps the answer for replays. A failure leaves the key free. */
  async function runOnce(method: AdminMethod, params: unknown, actor: string, key: string): Promise<unknown> {
    const claim = claimOf(actor, key)
    underWay.add(claim)
    try {
      const answer = await run(method, params, actor).catch(async (error: unknown) => {
        await store.people.dropIdempotencyKey(actor, key)
        throw error
      })
      await store.people.keepAnswer(actor, key, JSON.stringify(withoutSecrets(answer)))
      return answer
    } finally {
      underWay.delete(claim)
    }
  }

  return {
    async 'admin.call'({ client, as, method: name, params, idempotencyKey }) {
      if (!Object.hasOwn(ADMIN_METHODS, name)) {
        throw new ServiceError('not-found', `there is no method ${printable(name, 64)}`)
      }
      const method = name as AdminMethod
      const actor = await callerOf(as, client, { method, params })
      if (!isWrite(ADMIN_METHODS[method])) return { answer: await run(method, params, actor), replayed: false }

      const request = marks.of(method, params)
      const replay = idempotencyKey === null ? null : await earlier(actor, idempotencyKey, request)
      if (replay !== null) return replay
      const doing =
        idempotencyKey === null ? run(method, params, actor) : runOnce(method, params, actor, idempotencyKey)
      const answer = await doing.catch(async (error: unknown) => {
        if (error instanceof ServiceError) await noteCall(method, actor, client, error.code)
        throw error
      })
      await noteCall(method, actor, client, 'done')
      return { answer, replayed: false }
    },
  }
}

/** The key of one caller: no actor holds a line break. */
function claimOf(caller: string, key: string): string {
  return `${caller}\n${key}`
}

function isListed(list: unknown, item: string): boolean {
  return Array.isArray(list) && list.includes(item)
}

function isWrite(scope: ApiScope): boolean {
  return scope.endsWith(':write')
}

/** Shown once means once: what is kept for a replay has null in the place of a password, a token, a link. */
function withoutSecrets(answer: unknown): unknown {
  if (typeof answer !== 'object' || answer === null || Array.isArray(answer)) return answer
  const hidden = new Set(['password', 'token', 'url'])
  return Object.fromEntries(Object.entries(answer).map(([key, value]) => [key, hidden.has(key) ? null : value]))
}
