/**
 * OpenID Connect: sending somebody to a provider, and believing what comes back (threats H5).
 *
 * Authorization code flow with PKCE (S256), state and nonce; the issuer in the response is checked (RFC 9207), the ID token's
 * signature with the provider's keys, its algorithm against a list. The library does the protocol; here stands what we
 * demand of it. Tokens stay here: what goes out is who it was.
 */

import { decodeProtectedHeader } from 'jose'
import * as client from 'openid-client'
import { Agent, fetch as undiciFetch } from 'undici'
import { providerId } from '../../config/provider-id.ts'
import type { Config } from '../../config.ts'
import { ProviderError } from './provider-error.ts'

export type ProviderConfig = NonNullable<Config['signIn']>['oidc'][number]

/** Signatures with the provider's key alone: no 'none', and nothing that our client secret or a public key could make. */
export const SIGNING_ALGORITHMS: readonly string[] = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
]
const TIMEOUT_MS = 10_000
const MAX_RESPONSE_BYTES = 1024 * 1024
/** Keys and addresses of a provider are looked up again after this long. */
const DISCOVERY_MS = 60 * 60_000
/** One that did not answer is not asked again at once. */
const RETRY_MS = 5000
/** How far clocks may differ. */
const SKEW_MS = 60_000

/** What has to be remembered between going and coming back. */
export interface Journey {
  readonly provider: string
  readonly state: string
  readonly nonce: string
  readonly verifier: string
}

export interface ProviderIdentity {
  readonly provider: ProviderConfig
  readonly issuer: string
  readonly subject: string
  /** The provider's name for its session with the person. */
  readonly session: string | null
  /** When the person proved itself there; null: the provider doesn't say. */
  readonly authenticatedAt: Date | null
  /** Whether it was by two steps, as far as amr and acr say. */
  readonly twoStep: boolean
  /** What the configured claim says; null: none is configured, or it isn't there, or it is an address not verified. */
  readonly linkAddress: string | null
}

export interface Providers {
  /** null: there is no such provider. */
  byId(id: string): ProviderConfig | null
  /** Where the browser goes. `reauthenticate`: the person must prove itself anew. @throws ProviderError */
  begin(
    id: string,
    redirectUri: string,
    reauthenticate: boolean,
  ): Promise<{ readonly url: string; readonly journey: Journey }>
  /** `returned`: the address that the browser came back to. @throws ProviderError */
  finish(journey: Journey, returned: URL): Promise<ProviderIdentity>
  /** Addresses and keys of a provider, as it announces them. @throws ProviderError */
  metadata(id: string): Promise<client.ServerMetadata>
  /** As all requests to a provider are made. */
  fetchOf(provider: ProviderConfig): client.CustomFetch
}

interface Discovered {
  readonly configuration: Promise<client.Configuration>
  readonly until: number
}

export function createProviders(options: {
  readonly config: () => Config
  /** Monotonic, milliseconds. */
  readonly now: () => number
  readonly clock: () => Date
}): Providers {
  const { config, now, clock } = options
  // By the configuration's own object, so that a reload begins anew.
  const discovered = new WeakMap<ProviderConfig, Discovered>()
  const fetches = new WeakMap<ProviderConfig, client.CustomFetch>()

  function byId(id: string): ProviderConfig | null {
    return config().signIn?.oidc.find(({ name }) => providerId(name) === id) ?? null
  }

  function demand(id: string): ProviderConfig {
    const provider = byId(id)
    if (provider === null) throw new ProviderError('ERR_PROVIDER_REFUSED', `there is no provider ${id}`)
    return provider
  }

  function fetchOf(provider: ProviderConfig): client.CustomFetch {
    const known = fetches.get(provider)
    if (known) return known
    const dispatcher = new Agent({
      maxResponseSize: MAX_RESPONSE_BYTES,
      ...(provider.ca === null ? {} : { connect: { ca: provider.ca } }),
    })
    const made: client.CustomFetch = (url, { body = null, ...init }) => undiciFetch(url, { ...init, body, dispatcher })
    fetches.set(provider, made)
    return made
  }

  async function discover(provider: ProviderConfig): Promise<client.Configuration> {
    const known = discovered.get(provider)
    if (known && known.until > now()) return await known.configuration
    const configuration = client
      .discovery(
        new URL(provider.issuer),
        provider.clientId,
        undefined,
        client.ClientSecretPost(provider.clientSecret.reveal()),
        { [client.customFetch]: fetchOf(provider), timeout: TIMEOUT_MS / 1000 },
      )
      .then((found) => {
        client.enableNonRepudiationChecks(found)
        return found
      })
      .catch((error: unknown) => {
        discovered.set(provider, { configuration, until: now() + RETRY_MS })
        throw new ProviderError('ERR_PROVIDER_UNAVAILABLE', `${provider.issuer} can't be asked: ${wordsOf(error)}`, {
          cause: error,
        })
      })
    discovered.set(provider, { configuration, until: now() + DISCOVERY_MS })
    return await configuration
  }

  return {
    byId,
    fetchOf,

    async metadata(id) {
      return (await discover(demand(id))).serverMetadata()
    },

    async begin(id, redirectUri, reauthenticate) {
      const provider = demand(id)
      const configuration = await discover(provider)
      const journey: Journey = {
        provider: id,
        state: client.randomState(),
        nonce: client.randomNonce(),
        verifier: client.randomPKCECodeVerifier(),
      }
      const url = client.buildAuthorizationUrl(configuration, {
        redirect_uri: redirectUri,
        scope: [...new Set(['openid', ...provider.scopes])].join(' '),
        state: journey.state,
        nonce: journey.nonce,
        code_challenge: await client.calculatePKCECodeChallenge(journey.verifier),
        code_challenge_method: 'S256',
        ...(provider.twoStepAcr.length > 0 && { acr_values: provider.twoStepAcr.join(' ') }),
        ...(reauthenticate && { prompt: 'login', max_age: '0' }),
      })
      return { url: url.href, journey }
    },

    async finish(journey, returned) {
      const provider = demand(journey.provider)
      const configuration = await discover(provider)
      try {
        const tokens = await client.authorizationCodeGrant(configuration, returned, {
          expectedState: journey.state,
          expectedNonce: journey.nonce,
          pkceCodeVerifier: journey.verifier,
          idTokenExpected: true,
        })
        const claims = tokens.claims()
        const { alg } = decodeProtectedHeader(tokens.id_token ?? '')
        if (claims === undefined || alg === undefined || !SIGNING_ALGORITHMS.includes(alg)) {
          throw new ProviderError('ERR_PROVIDER_REFUSED', `${provider.issuer} signed with ${alg ?? 'nothing'}`)
        }
        // The library looks at its end only.
        if (claims.iat * 1000 > clock().getTime() + SKEW_MS) {
          throw new ProviderError('ERR_PROVIDER_REFUSED', `${provider.issuer} issued its ID token in the future`)
        }
        return {
          provider,
          issuer: claims.iss,
          subject: claims.sub,
          session: typeof claims.sid === 'string' ? claims.sid.slice(0, 256) : null,
          authenticatedAt: claims.auth_time === undefined ? null : new Date(claims.auth_time * 1000),
          twoStep: wasTwoStep(provider, claims),
          linkAddress: await linkAddressOf(provider, claims, () =>
            client.fetchUserInfo(configuration, tokens.access_token, claims.sub),
          ),
        }
      } catch (error) {
        if (error instanceof ProviderError) throw error
        throw new ProviderError('ERR_PROVIDER_REFUSED', `${provider.issuer}: ${wordsOf(error)}`, { cause: error })
      }
    },
  }
}

type Claims = Readonly<Record<string, unknown>>

function wasTwoStep({ twoStepAmr, twoStepAcr }: ProviderConfig, claims: Claims): boolean {
  const amr = Array.isArray(claims.amr) ? claims.amr : []
  return (
    twoStepAmr.some((method) => amr.includes(method)) ||
    (typeof claims.acr === 'string' && twoStepAcr.includes(claims.acr))
  )
}

/** Some providers put e-mail into the ID token, others answer it only when asked. */
async function linkAddressOf(
  { linkClaim }: ProviderConfig,
  claims: Claims,
  ask: () => Promise<Claims>,
): Promise<string | null> {
  if (linkClaim === null) return null
  const from = typeof claims[linkClaim] === 'string' ? claims : await ask()
  const address = from[linkClaim]
  if (typeof address !== 'string' || address.length > 254) return null
  // OpenID Connect Core §5.1: an e-mail address that is not verified is just something that somebody typed.
  return linkClaim === 'email' && from.email_verified === false ? null : address
}

/** The library's words, and its code; never a cause, which may hold a token. */
function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const code = 'code' in error ? ` (${String(error.code)})` : ''
  return `${error.message}${code}`
}
