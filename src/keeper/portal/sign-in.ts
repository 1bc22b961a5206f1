/**
 * Signing in with a password and a second step, or with a passkey alone.
 *
 * A flow is what the first factor leaves behind: ten minutes, five tries at the second step, gone when it has served. A
 * wrong name, a wrong password and a disabled user are one answer in one time (invariant 6).
 */

import { randomBytes } from 'node:crypto'
import { canonicalName } from '../../contract/names.ts'
import type { Factor, PortalClient, Refusal, SignInAnswer } from '../../contract/portal/client.ts'
import type { PortalHandlers } from '../../contract/portal.ts'
import { passkeyRequest } from '../../records/passkeys.ts'
import type { FactorRow } from '../../records/store/people/portal-sessions.ts'
import type { UserRow } from '../../records/store/store.ts'
import { Secret } from '../../secret.ts'
import { nameForLog } from '../log-names.ts'
import { addressBlocks } from '../networks.ts'
import type { FirstFactor } from '../sign-in/first-factor.ts'
import type { PortalDeps } from './deps.ts'
import type { Guesses } from './guesses.ts'
import { createPending } from './pending.ts'
import { factorNow, secondStepsOf } from './presence.ts'
import type { ProvenPasskeys } from './proven-passkeys.ts'
import { demandParty } from './proven-passkeys.ts'
import type { SigningIn } from './signing-in.ts'

type SignInHandlers = Pick<
  PortalHandlers,
  'sign-in.password' | 'sign-in.totp' | 'sign-in.recovery-code' | 'sign-in.passkey-begin' | 'sign-in.passkey-finish'
>

interface Flow {
  /** null: a passkey alone, whose user is known when it has signed. */
  readonly first: { readonly user: UserRow; readonly factor: FactorRow } | null
  challenge: string | null
  tries: number
}

const MAX_TRIES = 5
const FLOW_OVER: Refusal = { next: 'refused', why: 'flow-over' }
const FULL: Refusal = { next: 'refused', why: 'throttled', retryAfterMs: 60_000 }

export interface SignInParts {
  readonly guesses: Guesses
  readonly signingIn: SigningIn
  readonly passkeys: ProvenPasskeys
  readonly firstFactor: FirstFactor
}

export function signInHandlers(deps: PortalDeps, parts: SignInParts): SignInHandlers {
  const { config, names, store, keys, notifier, twoStep, clock, now } = deps
  const { guesses, signingIn, passkeys, firstFactor } = parts
  const flows = createPending<Flow>({ now })

  function begin(client: PortalClient, flow: Omit<Flow, 'tries'>): string | null {
    const name = randomBytes(24).toString('base64url')
    return flows.put(name, addressBlocks(client.ip).host, { ...flow, tries: 0 }) ? name : null
  }

  /** One try at the second step of a flow; the fifth wrong one ends it. */
  async function secondStep(
    name: string,
    client: PortalClient,
    factor: Factor,
    typed: string | null,
    check: (user: UserRow) => Promise<boolean>,
  ): Promise<SignInAnswer> {
    const flow = flows.get(name)
    if (flow === null || flow.first === null || flow.tries >= MAX_TRIES) {
      flows.drop(name)
      return FLOW_OVER
    }
    const { factor: first } = flow.first
    const user = await store.userById(flow.first.user.id)
    // What began with a password that has been changed since is over.
    if (user === null || user.passwordHash !== flow.first.user.passwordHash) {
      flows.drop(name)
      return FLOW_OVER
    }
    if (flow.tries >= MAX_TRIES) return FLOW_OVER // others may have come in between
    // Counted before the check, so that tries made at once don't see each other's zero.
    flow.tries += 1
    const judged = await guesses.judge({ name: user.address, ip: client.ip, step: 'factor', typed }, () => check(user))
    if (!judged.ok) {
      if (judged.refusal.why === 'throttled') flow.tries -= 1
      return signingIn.refuse(judged.refusal, user.address, client, factor)
    }
    // Of two right ones at once only the first finds the flow.
    if (flows.take(name) === null) return FLOW_OVER
    return await signingIn.accept(user, [first, factorNow(factor, clock())], 'full', client)
  }

  return {
    async 'sign-in.password'({ client, user: typedName, password: typed }) {
      const canonical = canonicalName(typedName, names())
      const name = canonical.ok ? canonical.name : ''
      const found: { user: UserRow | null; factor: Factor } = { user: null, factor: 'password' }
      const judged = await guesses.judge({ name, ip: client.ip, step: 'password', typed }, async () => {
        const user = canonical.ok ? await store.userByAddress(name) : null
        const factor = await firstFactor.verify(user, name, new Secret(typed))
        if (user === null || factor === null || !user.enabled) return false
        found.user = user
        found.factor = factor
        return true
      })
      const { user, factor } = found
      if (!judged.ok || user === null) {
        const refusal: Refusal = judged.ok ? { next: 'refused', why: 'bad-credentials' } : judged.refusal
        const known = canonical.ok ? await store.userByAddress(name) : null
        return signingIn.refuse(refusal, nameForLog(keys, name, known, names().domains), client, factor)
      }

      const first = factorNow(factor, clock())
      const methods = secondStepsOf(await twoStep.methodsOf(user.id))
      if (methods.length > 0) {
        const flow = begin(client, { first: { user, factor: first }, challenge: null })
        return flow === null ? FULL : { next: 'second-step', flow, methods }
      }
      // One-way: who has enrolled before is let in to enrol again by an invitation only.
      if (config().enrolment === 'password' && user.enrolledAt === null) {
        notifier.enrolling(user, client.ip)
        return await signingIn.accept(user, [first], 'enrolling', client)
      }
      return signingIn.refuse({ next: 'refused', why: 'needs-invitation' }, user.address, client, factor)
    },

    'sign-in.totp': ({ client, flow, code }) =>
      secondStep(flow, client, 'totp', code, (user) => twoStep.verifyCode(user.id, code)),

    'sign-in.recovery-code': ({ client, flow, code }) =>
      secondStep(flow, client, 'recovery-code', code, async (user) => {
        return (await twoStep.useRecoveryCode(user, code)) !== null
      }),

    async 'sign-in.passkey-begin'({ client, flow: given }) {
      const party = demandParty(config())
      const flow = given === null ? null : flows.get(given)
      if (given !== null && flow === null) return FLOW_OVER
      const own = flow?.first ? (await twoStep.methodsOf(flow.first.user.id)).passkeys : []
      const { options, challenge } = await passkeyRequest(party, own)
      if (given !== null && flow !== null) {
        flow.challenge = challenge
        return { flow: given, options }
      }
      const name = begin(client, { first: null, challenge })
      return name === null ? FULL : { flow: name, options }
    },

    async 'sign-in.passkey-finish'({ client, flow: name, response }) {
      const flow = flows.get(name)
      const challenge = flow?.challenge ?? null
      if (flow === null || challenge === null) return FLOW_OVER
      flow.challenge = null // one answer to one challenge
      if (flow.first !== null) {
        return await secondStep(name, client, 'passkey', null, async (user) => {
          return (await passkeys.prove(challenge, response, user.id)) !== null
        })
      }
      flows.drop(name)
      const user = await passkeys.prove(challenge, response, null)
      if (user === null) {
        return signingIn.refuse({ next: 'refused', why: 'bad-credentials' }, null, client, 'passkey')
      }
      return await signingIn.accept(user, [factorNow('passkey', clock())], 'full', client)
    },
  }
}
