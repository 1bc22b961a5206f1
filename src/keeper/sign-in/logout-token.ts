/**
 * Logout tokens (OpenID Connect Back-Channel Logout 1.0 §2.4–2.6): a provider says that a session of somebody is over.
 */

import type { JWTVerifyGetKey } from 'jose'
import { createRemoteJWKSet, customFetch, jwtVerify } from 'jose'
import { createPending } from '../portal/pending.ts'
import type { ProviderConfig, Providers } from './oidc.ts'
import { SIGNING_ALGORITHMS } from './oidc.ts'
import { ProviderError } from './provider-error.ts'

const EVENT = 'http://schemas.openid.net/event/backchannel-logout'
/** §2.4 advises two minutes; beside them the clocks may differ by one. */
const MAX_AGE_S = 120
const SKEW_S = 60
/** Longer than any token is good for. */
const REMEMBER_MS = 10 * 60_000

/** Whose session is over: at least one of the two is there. */
export interface Logout {
  readonly issuer: string
  readonly subject: string | null
  readonly session: string | null
}

export interface LogoutTokens {
  /** @throws ProviderError for a token that is not good, and for one that has been used */
  verify(providerId: string, token: string): Promise<Logout>
}

export function createLogoutTokens(options: {
  readonly providers: Providers
  /** Monotonic, milliseconds. */
  readonly now: () => number
  readonly clock: () => Date
}): LogoutTokens {
  const { providers, now, clock } = options
  const keySets = new WeakMap<ProviderConfig, JWTVerifyGetKey>()
  const used = createPending<true>({ now, ttlMs: REMEMBER_MS, maxPerOwner: 10_000 })

  async function keysOf(id: string, provider: ProviderConfig): Promise<JWTVerifyGetKey> {
    const known = keySets.get(provider)
    if (known) return known
    const { jwks_uri } = await providers.metadata(id)
    if (jwks_uri === undefined) throw new ProviderError('ERR_PROVIDER_REFUSED', `${provider.issuer} publishes no keys`)
    const fetch = providers.fetchOf(provider)
    // Keys that are not known are asked for every thirty seconds at the most, whatever tokens name.
    const made = createRemoteJWKSet(new URL(jwks_uri), {
      timeoutDuration: 5000,
      cooldownDuration: 30_000,
      [customFetch]: (url, { headers, ...options }) =>
        fetch(url, { ...options, headers: Object.fromEntries(headers), body: null }),
    })
    keySets.set(provider, made)
    return made
  }

  return {
    async verify(id, token) {
      const provider = providers.byId(id)
      if (provider === null) throw new ProviderError('ERR_PROVIDER_REFUSED', `there is no provider ${id}`)
      const refuse = (why: string, cause?: unknown) =>
        new ProviderError('ERR_PROVIDER_REFUSED', `a logout token of ${provider.issuer} ${why}`, { cause })
      const keys = await keysOf(id, provider)
      const { payload } = await jwtVerify(token, keys, {
        issuer: provider.issuer,
        audience: provider.clientId,
        algorithms: [...SIGNING_ALGORITHMS],
        maxTokenAge: MAX_AGE_S,
        clockTolerance: SKEW_S,
        currentDate: clock(),
        requiredClaims: ['iat', 'jti', 'events'],
      }).catch((error: unknown) => {
        throw refuse(`is not good: ${error instanceof Error ? error.message : String(error)}`, error)
      })
      const { jti, events, sub, sid } = payload
      if (typeof events !== 'object' || events === null || !(EVENT in events)) throw refuse('is about something else')
      // §2.6: with a nonce it could be an ID token that somebody sends as one.
      if ('nonce' in payload) throw refuse('has a nonce')
      const subject = typeof sub === 'string' ? sub : null
      const session = typeof sid === 'string' ? sid.slice(0, 256) : null
      if (typeof jti !== 'string' || (subject === null && session === null)) throw refuse('names nobody')
      const name = `${provider.issuer} ${jti}`
      if (used.get(name) !== null) throw refuse('has been used before')
      // A full table refuses: what can't be remembered could be used again.
      if (!used.put(name, provider.issuer, true)) throw refuse('came with too many others')
      return { issuer: provider.issuer, subject, session }
    },
  }
}
