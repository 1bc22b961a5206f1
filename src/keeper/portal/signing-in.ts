/**
 * The end of every way to sign in: a session for who has proved enough, a refusal for who has not, a log line for both.
 */

import type { Factor, PortalClient, Refusal, SignInAnswer } from '../../contract/portal/client.ts'
import type { FactorRow } from '../../records/store/people/portal-sessions.ts'
import type { UserRow } from '../../records/store/store.ts'
import type { PortalDeps } from './deps.ts'
import { freshSession } from './presence.ts'

export interface SigningIn {
  /**
   * Begins a session. `user` as it was when it proved itself: somebody who has been disabled since is refused like everybody
   * else, and whatever else raised the epoch (another password, a reset) is a flow that is over.
   */
  accept(
    user: UserRow,
    factors: readonly FactorRow[],
    stage: 'enrolling' | 'full',
    client: PortalClient,
    link?: { readonly id: string; readonly providerSession: string | null },
  ): Promise<Extract<SignInAnswer, { readonly next: 'signed-in' }> | Refusal>
  /** `name` null: there is none, or it is not to be written down. Answers the refusal. */
  refuse(refusal: Refusal, name: string | null, client: PortalClient, factor: Factor): Refusal
}

export function createSigningIn({ sessions, store, log }: PortalDeps): SigningIn {
  function refuse(refusal: Refusal, name: string | null, client: PortalClient, factor: Factor): Refusal {
    log.event('info', 'sign_in_refused', 'sign-in to the portal refused', {
      remote_ip: client.ip,
      user: name,
      mechanism: factor,
      agent: client.agent,
      result: 'refused',
      reason: refusal.why,
    })
    return refusal
  }

  return {
    refuse,

    async accept(user, factors, stage, client, link) {
      const current = await store.userById(user.id)
      const last = factors.at(-1)?.factor as Factor
      if (!current?.enabled) return refuse({ next: 'refused', why: 'bad-credentials' }, user.address, client, last)
      const { ip, agent } = client
      const session = await sessions.begin({ user, factors, stage, ip, agent, link })
      if (session === null) return refuse({ next: 'refused', why: 'flow-over' }, user.address, client, last)
      log.event('info', 'sign_in_accepted', 'signed in to the portal', {
        remote_ip: ip,
        user: current.address,
        mechanism: factors.map(({ factor }) => factor).join('+'),
        agent,
        result: 'accepted',
      })
      return { next: 'signed-in', session: freshSession(session), stage }
    },
  }
}
