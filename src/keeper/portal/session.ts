/**
 * The session as the portal shows it, its language, the person's other sessions, and stepping up.
 */

import type { Config } from '../../config.ts'
import type { Factor, PortalClient, Refusal, SecondStep } from '../../contract/portal/client.ts'
import type { EnrolmentStep } from '../../contract/portal/session.ts'
import type { PortalAnswer, PortalHandlers } from '../../contract/portal.ts'
import { passkeyRequest } from '../../records/passkeys.ts'
import type { UserRow } from '../../records/store/store.ts'
import type { Methods } from '../../records/two-step.ts'
import { policyFor } from '../policy.ts'
import type { PortalDeps } from './deps.ts'
import type { Guesses } from './guesses.ts'
import { createPending } from './pending.ts'
import type { Presence, Present } from './presence.ts'
import { factorNow, freshSession, freshUntil, secondStepsOf } from './presence.ts'
import type { ProvenPasskeys } from './proven-passkeys.ts'
import { demandParty } from './proven-passkeys.ts'
import type { SigningIn } from './signing-in.ts'

type SessionHandlers = Pick<
  PortalHandlers,
  | 'session.show'
  | 'session.sign-out'
  | 'session.others'
  | 'session.sign-out-others'
  | 'session.language'
  | 'step-up.totp'
  | 'step-up.recovery-code'
  | 'step-up.passkey-begin'
  | 'step-up.passkey-finish'
>

const FLOW_OVER: Refusal = { next: 'refused', why: 'flow-over' }

export interface SessionParts {
  readonly presence: Presence
  readonly guesses: Guesses
  readonly signingIn: SigningIn
  readonly passkeys: ProvenPasskeys
}

export function sessionHandlers(deps: PortalDeps, parts: SessionParts): SessionHandlers {
  const { config, store, users, sessions, twoStep, clock, now } = deps
  const { presence, guesses, signingIn, passkeys } = parts
  /** Session → the challenge that its step-up must answer. */
  const challenges = createPending<string>({ now })

  /** Checks a second step of somebody who is signed in; right: the session goes on under a new token (threats H2). */
  async function stepUp(
    { session, user }: Present,
    client: PortalClient,
    factor: Factor,
    typed: string | null,
    check: (user: UserRow) => Promise<boolean>,
  ): Promise<PortalAnswer<'step-up.totp'>> {
    const judged = await guesses.judge({ name: user.address, ip: client.ip, step: 'factor', typed }, () => check(user))
    if (!judged.ok) return signingIn.refuse(judged.refusal, user.address, client, factor)
    const renewed = await sessions.renew(session, { factor: factorNow(factor, clock()) })
    return renewed === null ? FLOW_OVER : { next: 'signed-in', session: freshSession(renewed) }
  }

  return {
    async 'session.show'({ session: token }) {
      const present = await presence.look(token)
      if (present === null) return null
      const { session, user } = present
      const [methods, live] = await Promise.all([twoStep.methodsOf(user.id), store.countAppPasswords(user.id, clock())])
      const policy = policyFor(config(), user)
      const fresh = freshUntil(session)
      return {
        user: {
          id: user.id,
          address: user.address,
          name: user.name,
          admin: user.admin,
          language: user.language,
          hasPassword: user.passwordHash !== null,
        },
        stage: session.stage,
        enrolment: session.stage === 'full' ? [] : enrolmentOf(config(), user, methods, policy.allowed && live === 0),
        factors: session.factors.map(({ factor, at }) => ({ factor: factor as Factor, at: at.toISOString() })),
        freshUntil: fresh !== null && fresh > clock() ? fresh.toISOString() : null,
        stepUp: stepUpsOf(methods),
        beganAt: session.beganAt.toISOString(),
        expiresAt: session.expiresAt.toISOString(),
        csrf: session.csrf,
        appPasswords: {
          allowed: policy.allowed,
          cap: policy.cap,
          live,
          protocols: policy.protocols,
          expiryMs: policy.expiryMs,
        },
        ip: session.ip,
      }
    },

    async 'session.sign-out'({ session: token }) {
      const present = await presence.look(token)
      if (present !== null) await sessions.end(present.session.id)
      return null
    },

    async 'session.others'({ session: token }) {
      const { session, user } = await presence.demand(token)
      return (await store.people.portalSessionsOf(user.id)).map(({ id, beganAt, seenAt, ip, agent }) => ({
        id,
        beganAt: beganAt.toISOString(),
        seenAt: seenAt.toISOString(),
        ip,
        agent,
        current: id === session.id,
      }))
    },

    async 'session.sign-out-others'({ session: token }) {
      const { session, user } = await presence.demand(token)
      return { ended: await sessions.endOthers(user, session.id) }
    },

    async 'session.language'({ session: token, language }) {
      const { user } = await presence.demandAny(token)
      await users.update(user.id, { language }, `user:${user.id}`)
      return null
    },

    async 'step-up.totp'({ client, session: token, code }) {
      const present = await presence.demandAny(token)
      return await stepUp(present, client, 'totp', code, (user) => twoStep.verifyCode(user.id, code))
    },

    async 'step-up.recovery-code'({ client, session: token, code }) {
      const present = await presence.demandAny(token)
      return await stepUp(present, client, 'recovery-code', code, async (user) => {
        return (await twoStep.useRecoveryCode(user, code)) !== null
      })
    },

    async 'step-up.passkey-begin'({ session: token }) {
      const { session, user } = await presence.demandAny(token)
      const own = (await twoStep.methodsOf(user.id)).passkeys
      if (own.length === 0) return FLOW_OVER
      const { options, challenge } = await passkeyRequest(demandParty(config()), own)
      if (!challenges.put(session.id, user.id, challenge)) {
        return { next: 'refused', why: 'throttled', retryAfterMs: 60_000 }
      }
      return { options }
    },

    async 'step-up.passkey-finish'({ client, session: token, response }) {
      const present = await presence.demandAny(token)
      const challenge = challenges.take(present.session.id)
      if (challenge === null) return FLOW_OVER
      return await stepUp(present, client, 'passkey', null, async (user) => {
        return (await passkeys.prove(challenge, response, user.id)) !== null
      })
    },
  }
}

/** What is still to do, in this order (R20). */
function enrolmentOf(
  config: Config,
  user: UserRow,
  methods: Methods,
  wantsAppPassword: boolean,
): readonly EnrolmentStep[] {
  const steps: EnrolmentStep[] = []
  if (methods.links.length === 0) {
    if (secondStepsOf(methods).length === 0) steps.push('second-step')
    if (methods.recoveryCodes === null) steps.push('recovery-codes')
  }
  if (needsPassword(config, user, methods)) steps.push('password')
  if (wantsAppPassword) steps.push('app-password')
  return steps
}

/** An authenticator app is half of a way to sign in: the other half is a password. */
export function needsPassword({ signIn }: Config, user: UserRow, { apps, passkeys, links }: Methods): boolean {
  const isOurs = signIn === null || (signIn.local && signIn.ldap === null)
  return isOurs && user.passwordHash === null && apps.length > 0 && passkeys.length === 0 && links.length === 0
}

function stepUpsOf(methods: Methods): readonly (SecondStep | 'provider')[] {
  return [...secondStepsOf(methods), ...(methods.links.length > 0 ? (['provider'] as const) : [])]
}
