/**
 * Who is there: the session behind a token, whether it may do what it asks, and whether it is fresh.
 *
 * Fresh: the keeper itself has verified a factor of the person within the last five minutes (R33, threats H9). A password
 * alone is none: it is what an attacker who sits at an open session may know.
 */

import type { Factor, FreshSession, SecondStep } from '../../contract/portal/client.ts'
import { ServiceError } from '../../contract/services.ts'
import type { IssuedSession } from '../../records/portal-sessions.ts'
import type { FactorRow, PortalSessionRow } from '../../records/store/people/portal-sessions.ts'
import type { UserRow } from '../../records/store/store.ts'
import type { Methods } from '../../records/two-step.ts'
import type { PortalDeps } from './deps.ts'

const FRESH_MS = 5 * 60_000
const STEP_UP_FACTORS: ReadonlySet<string> = new Set<Factor>(['totp', 'passkey', 'recovery-code', 'provider'])

export interface Present {
  readonly session: PortalSessionRow
  readonly user: UserRow
}

export interface Presence {
  /** null: signed out. */
  look(token: string): Promise<Present | null>
  /** Somebody who has signed in with two steps. @throws ServiceError 'signed-out', 'forbidden' while enrolling */
  demand(token: string): Promise<Present>
  /** As `demand`, or somebody who is enrolling and has proved a second step in this very session. */
  demandProven(token: string): Promise<Present>
  /** Also somebody who is just enrolling. @throws ServiceError 'signed-out' */
  demandAny(token: string): Promise<Present>
  /** Who may change methods and make app passwords. @throws ServiceError 'signed-out', 'step-up-needed' */
  demandFresh(token: string): Promise<Present>
  /** As `demandFresh`; the first second step of somebody who is enrolling needs no other. */
  demandFreshOrFirst(token: string): Promise<Present & { readonly methods: Methods }>
}

export function createPresence({ sessions, twoStep, clock }: PortalDeps): Presence {
  async function demandAny(token: string): Promise<Present> {
    const present = await sessions.find(token)
    if (present === null) throw new ServiceError('signed-out', 'this session is over: sign in again')
    return present
  }

  function refuseStale({ session }: Present): void {
    const until = freshUntil(session)
    if (until !== null && until > clock()) return
    throw new ServiceError('step-up-needed', 'confirm that it is you: the last second step is more than 5 minutes ago')
  }

  return {
    look: (token) => sessions.find(token),
    demandAny,

    async demand(token) {
      const present = await demandAny(token)
      if (present.session.stage === 'full') return present
      throw new ServiceError('forbidden', 'set up two-step verification first')
    },

    async demandProven(token) {
      const present = await demandAny(token)
      if (isProven(present.session)) return present
      throw new ServiceError('forbidden', 'set up two-step verification first')
    },

    async demandFresh(token) {
      const present = await demandAny(token)
      refuseStale(present)
      return present
    },

    async demandFreshOrFirst(token) {
      const present = await demandAny(token)
      const methods = await twoStep.methodsOf(present.user.id)
      const isFirst = present.session.stage === 'enrolling' && secondStepsOf(methods).length === 0
      if (!isFirst) refuseStale(present)
      return { ...present, methods }
    },
  }
}

/**
 * Whether this session has seen a second step. That its user has one is not enough: a session that began with a password, or
 * an invitation, may be somebody else's who was slower.
 */
function isProven({ stage, factors }: PortalSessionRow): boolean {
  return stage === 'full' || factors.some(({ factor }) => STEP_UP_FACTORS.has(factor))
}

/** When a session stops being fresh; null: it never was. */
export function freshUntil({ factors }: PortalSessionRow): Date | null {
  const times = factors
    .filter(({ factor, fresh }) => fresh && STEP_UP_FACTORS.has(factor))
    .map(({ at }) => at.getTime())
  return times.length === 0 ? null : new Date(Math.max(...times) + FRESH_MS)
}

/** Second steps that a user can be asked for now. */
export function secondStepsOf({ apps, passkeys, recoveryCodes }: Methods): readonly SecondStep[] {
  const steps: SecondStep[] = []
  if (apps.length > 0) steps.push('totp')
  if (passkeys.length > 0) steps.push('passkey')
  // They stand in for a method that is lost; without one they are worth nothing.
  if (steps.length > 0 && recoveryCodes !== null && recoveryCodes.left > 0) steps.push('recovery-code')
  return steps
}

export function factorNow(factor: Factor, at: Date): FactorRow {
  return { factor, at, fresh: true }
}

export function freshSession({ token, expiresAt }: IssuedSession): FreshSession {
  return { token: token.reveal(), expiresAt: expiresAt.toISOString() }
}
