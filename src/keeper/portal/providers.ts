/**
 * Signing in, stepping up and linking at an OpenID provider, and what there is to sign in with.
 *
 * After the first link it is issuer and subject that say who somebody is, and nothing else. The first link is made by
 * invitation, or by the claim that the configuration names for its domains, and never onto somebody who has a method or a
 * link: otherwise whoever rules the provider's claims could take over an account that proves itself otherwise.
 */

import { randomBytes, randomUUID } from 'node:crypto'
import { providerId } from '../../config/provider-id.ts'
import { canonicalName } from '../../contract/names.ts'
import type { PortalClient, Refusal, SignInAnswer } from '../../contract/portal/client.ts'
import type { PortalHandlers } from '../../contract/portal.ts'
import { ServiceError } from '../../contract/services.ts'
import { appendAudit } from '../../records/audit.ts'
import { countMethods, provenMethodsOf } from '../../records/methods.ts'
import { demandSession } from '../../records/portal-sessions.ts'
import type { FactorRow } from '../../records/store/people/portal-sessions.ts'
import type { UserRow } from '../../records/store/store.ts'
import { addressBlocks } from '../networks.ts'
import { portalUrl } from '../services/two-step.ts'
import type { LogoutTokens } from '../sign-in/logout-token.ts'
import type { Journey, ProviderIdentity, Providers } from '../sign-in/oidc.ts'
import { ProviderError } from '../sign-in/provider-error.ts'
import type { PortalDeps } from './deps.ts'
import { createPending } from './pending.ts'
import type { Presence } from './presence.ts'
import { freshSession } from './presence.ts'
import type { SigningIn } from './signing-in.ts'

type ProviderHandlers = Pick<
  PortalHandlers,
  'sign-in.options' | 'sign-in.provider-begin' | 'sign-in.provider-finish' | 'sign-in.provider-logout'
>

/** Where providers send the browser back to: registered with them, so it never changes. */
const RETURN_PATH = '/sign-in/return'
/** The provider's clock may be this far behind ours. */
const SKEW_MS = 60_000

interface Flow {
  readonly journey: Journey
  readonly why: { readonly kind: 'sign-in' } | { readonly kind: 'step-up' | 'link'; readonly session: string }
  readonly begunAt: Date
}

const refusal = (why: 'flow-over' | 'not-linked' | 'no-two-step' | 'provider-failed'): Refusal => ({
  next: 'refused',
  why,
})

export interface ProviderParts {
  readonly presence: Presence
  readonly signingIn: SigningIn
  /** Loaded when somebody comes who needs it. */
  readonly openId: () => Promise<{ readonly providers: Providers; readonly logoutTokens: LogoutTokens }>
}

export function providerHandlers(deps: PortalDeps, parts: ProviderParts): ProviderHandlers {
  const { config, names, store, sessions, twoStep, bus, log, clock, now } = deps
  const { presence, signingIn, openId } = parts
  const flows = createPending<Flow>({ now })

  /** What a provider's failure is for the person: it could not be done. The words are for the log. */
  function failed(error: unknown, client: PortalClient): Refusal {
    if (!(error instanceof ProviderError)) throw error
    log.event('warn', 'warning', 'sign-in at an OpenID provider failed', {
      remote_ip: client.ip,
      error_code: error.code,
      detail: error.message,
    })
    return signingIn.refuse(refusal('provider-failed'), null, client, 'provider')
  }

  function factorOf({ authenticatedAt }: ProviderIdentity): FactorRow {
    const at = clock()
    const known = authenticatedAt !== null && authenticatedAt < at ? authenticatedAt : at
    return { factor: 'provider', at: known, fresh: authenticatedAt !== null }
  }

  /**
   * Links somebody who has nothing yet; null: somebody has, or the subject is taken. Enrols (R2, R5).
   *
   * @param session the portal session that asks, if one does: 'signed-out' when it was ended meanwhile
   */
  async function link(
    user: UserRow,
    { issuer, subject }: ProviderIdentity,
    session: string | null,
  ): Promise<{ readonly id: string; readonly user: UserRow } | null> {
    const id = randomUUID()
    const at = clock()
    const actor = `user:${user.id}`
    const result = await store.transaction(async (tx) => {
      // First, because it locks the user's row on PostgreSQL.
      if ((await tx.raiseUserEpoch(user.id)) === null) return null
      if (session !== null) await demandSession(tx, user.id, session)
      if (countMethods(await provenMethodsOf(tx, user.id)) > 0) return null
      if (!(await tx.people.insertProviderLink({ id, userId: user.id, issuer, subject, linkedAt: at }))) return null
      const name = new URL(issuer).host
      await appendAudit(tx, { event: 'method_added', actor, user, at, detail: { kind: 'provider', method: id, name } })
      if (user.enrolledAt === null) {
        await appendAudit(tx, { event: 'two_step_enrolled', actor, user, at, detail: {} })
      }
      return await tx.updateUser(user.id, user.enrolledAt === null ? { enrolledAt: at } : {})
    })
    if (result === null) return null
    bus.publish({ kind: 'user-changed', userId: result.id, epoch: result.epoch })
    log.event('info', 'two_step_enrolled', 'linked with an OpenID provider', {
      user: user.address,
      mechanism: 'provider',
    })
    return { id, user: result }
  }

  async function signIn(identity: ProviderIdentity, client: PortalClient): Promise<SignInAnswer> {
    const { issuer, subject, session: providerSession, provider, linkAddress } = identity
    const known = await store.people.providerLink(issuer, subject)
    if (known !== null) {
      const user = await store.userById(known.userId)
      if (user === null) return signingIn.refuse(refusal('not-linked'), null, client, 'provider')
      return await signingIn.accept(user, [factorOf(identity)], 'full', client, { id: known.id, providerSession })
    }
    const name = linkAddress === null ? null : canonicalName(linkAddress, names())
    const mayLink = name?.ok === true && provider.allowedDomains.includes(name.domain)
    const user = mayLink ? await store.userByAddress(name.name) : null
    const linked = user?.enabled ? await link(user, identity, null) : null
    if (linked === null) return signingIn.refuse(refusal('not-linked'), user?.address ?? null, client, 'provider')
    const { id } = linked
    await store.people.deletePortalSessionsOf(linked.user.id, null)
    return await signingIn.accept(linked.user, [factorOf(identity)], 'enrolling', client, { id, providerSession })
  }

  /** At the provider it is linked with, just now: the session goes on, fresh, under a new token. */
  async function stepUp(
    identity: ProviderIdentity,
    flow: Flow,
    token: string,
    client: PortalClient,
  ): Promise<SignInAnswer> {
    const present = await presence.look(token)
    if (present === null) return refusal('flow-over')
    const { session, user } = present
    const known = await store.people.providerLink(identity.issuer, identity.subject)
    if (known?.userId !== user.id) return signingIn.refuse(refusal('not-linked'), user.address, client, 'provider')
    const { authenticatedAt } = identity
    // Not every provider heeds `prompt`; the time is what proves it.
    if (authenticatedAt === null || authenticatedAt.getTime() < flow.begunAt.getTime() - SKEW_MS) {
      return signingIn.refuse(refusal('provider-failed'), user.address, client, 'provider')
    }
    const renewed = await sessions.renew(session, { factor: factorOf(identity) })
    return renewed === null
      ? refusal('flow-over')
      : { next: 'signed-in', session: freshSession(renewed), stage: session.stage }
  }

  async function linkOwn(identity: ProviderIdentity, token: string, client: PortalClient): Promise<SignInAnswer> {
    const present = await presence.look(token)
    if (present === null) return refusal('flow-over')
    const { session, user } = present
    const linked = session.stage === 'enrolling' ? await link(user, identity, session.id) : null
    if (linked === null) return signingIn.refuse(refusal('not-linked'), user.address, client, 'provider')
    await store.people.deletePortalSessionsOf(user.id, session.id)
    await store.people.linkPortalSession(session.id, linked.id, identity.session)
    const renewed = await sessions.renew(session, { factor: factorOf(identity) })
    return renewed === null
      ? refusal('flow-over')
      : { next: 'signed-in', session: freshSession(renewed), stage: session.stage }
  }

  return {
    async 'sign-in.options'() {
      const { signIn: settings, portal, enrolment } = config()
      return {
        password: settings === null || settings.local || settings.ldap !== null,
        passkey: portal !== null,
        providers: (settings?.oidc ?? []).map(({ name }) => ({ id: providerId(name), name })),
        enrolment,
      }
    },

    async 'sign-in.provider-begin'({ client, provider, session, link: wantsLink }) {
      const known = (config().signIn?.oidc ?? []).some(({ name }) => providerId(name) === provider)
      if (!known) throw new ServiceError('not-found', 'there is no such provider')
      if (session !== null) {
        const present = await presence.demandAny(session)
        const hasLink = (await twoStep.methodsOf(present.user.id)).links.length > 0
        if (wantsLink === hasLink) throw new ServiceError('forbidden', 'that is not how this account signs in')
      }
      const why: Flow['why'] =
        session === null ? { kind: 'sign-in' } : { kind: wantsLink ? 'link' : 'step-up', session }
      try {
        const { providers } = await openId()
        const redirectUri = `${portalUrl(config())}${RETURN_PATH}`
        const { url, journey } = await providers.begin(provider, redirectUri, why.kind === 'step-up')
        const flow = randomBytes(24).toString('base64url')
        if (!flows.put(flow, addressBlocks(client.ip).host, { journey, why, begunAt: clock() })) {
          return { next: 'refused', why: 'throttled', retryAfterMs: 60_000 }
        }
        return { flow, url }
      } catch (error) {
        return failed(error, client)
      }
    },

    async 'sign-in.provider-finish'({ client, flow: name, query }) {
      const flow = flows.take(name) // one answer to one journey
      if (flow === null) return refusal('flow-over')
      try {
        const returned = new URL(`${portalUrl(config())}${RETURN_PATH}`)
        returned.search = query
        const { providers } = await openId()
        const identity = await providers.finish(flow.journey, returned)
        if (identity.provider.requireTwoStep && !identity.twoStep) {
          return signingIn.refuse(refusal('no-two-step'), null, client, 'provider')
        }
        switch (flow.why.kind) {
          case 'sign-in':
            return await signIn(identity, client)
          case 'step-up':
            return await stepUp(identity, flow, flow.why.session, client)
          case 'link':
            return await linkOwn(identity, flow.why.session, client)
        }
      } catch (error) {
        return failed(error, client)
      }
    },

    async 'sign-in.provider-logout'({ provider, logoutToken }) {
      try {
        const { logoutTokens } = await openId()
        const { issuer, subject, session } = await logoutTokens.verify(provider, logoutToken)
        return { ended: await sessions.endAtProvider(issuer, subject, session) }
      } catch (error) {
        if (!(error instanceof ProviderError)) throw error
        log.event('warn', 'warning', 'a logout token was refused', { error_code: error.code, detail: error.message })
        throw new ServiceError('invalid', 'this logout token is not good', { cause: error })
      }
    },
  }
}
