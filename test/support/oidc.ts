/**
 * A real OpenID provider (the npm package oidc-provider) over TLS on loopback, with a browser made of `fetch`.
 *
 * The person at it proves itself as the test says: which subject, by which methods. What it answers from its token endpoint can
 * be bent, for what a hostile or broken provider would say.
 */

import { generateKeyPairSync } from 'node:crypto'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { JWK } from 'jose'
import { exportJWK, importJWK, SignJWT } from 'jose'
import type { KoaContextWithOIDC } from 'oidc-provider'
import Provider from 'oidc-provider'
import type { Test } from 'tap'
import { Agent, fetch } from 'undici'
import { createCa } from './certificates.ts'

const TTL = 3600

export interface OidcOptions {
  /** Where browsers may be sent back to. */
  readonly redirectUri: string
  readonly backchannelLogoutUri?: string
}

/** Who sits at the provider. */
export interface OidcPerson {
  subject: string
  amr: string[]
  acr: string | undefined
  claims: Readonly<Record<string, unknown>>
}

export async function startOidc(t: Test, { redirectUri, backchannelLogoutUri }: OidcOptions) {
  const ca = await createCa()
  const { cert, key } = await ca.issue()
  const server = createServer({ cert, key })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as AddressInfo
  const issuer = `https://localhost:${port}`

  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const jwk: JWK = { ...(await exportJWK(privateKey)), kid: 'one', alg: 'ES256', use: 'sig' }
  const person: OidcPerson = { subject: 'subject-1', amr: ['pwd', 'mfa'], acr: undefined, claims: {} }
  /** Changes the answer of the token endpoint; null: leaves it. */
  const bend: { idToken: ((token: string) => Promise<string>) | null } = { idToken: null }

  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: 'sallyport',
        client_secret: 'the secret of the client, long enough',
        redirect_uris: [redirectUri],
        token_endpoint_auth_method: 'client_secret_post',
        id_token_signed_response_alg: 'ES256',
        ...(backchannelLogoutUri ? { backchannel_logout_uri: backchannelLogoutUri } : {}),
      },
    ],
    jwks: { keys: [jwk as never] },
    cookies: { keys: ['a key for cookies'] },
    claims: { openid: ['sub', 'amr', 'acr', 'auth_time', 'sid'], email: ['email', 'email_verified', 'upn'] },
    features: { devInteractions: { enabled: false }, backchannelLogout: { enabled: true } },
    conformIdTokenClaims: true,
    pkce: { required: () => true },
    ttl: { AccessToken: TTL, AuthorizationCode: 60, IdToken: TTL, Interaction: TTL, Session: TTL, Grant: TTL },
    findAccount: (_, accountId) => ({
      accountId,
      claims: async () => ({ sub: accountId, ...person.claims }),
    }),
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    loadExistingGrant: async (context) => {
      const { client, session } = context.oidc
      const grant = new context.oidc.provider.Grant({
        clientId: client?.clientId ?? '',
        accountId: session?.accountId ?? '',
      })
      grant.addOIDCScope('openid email profile')
      await grant.save()
      return grant
    },
  } as ConstructorParameters<typeof Provider>[1])
  provider.on('server_error', (_: KoaContextWithOIDC, error: Error) => t.fail(`the provider failed: ${error.message}`))

  provider.use(async (context, next) => {
    if (context.path.startsWith('/interaction/')) {
      const { subject, amr, acr } = person
      await provider.interactionFinished(context.req, context.res, {
        login: { accountId: subject, amr, ...(acr ? { acr } : {}) },
      })
      context.respond = false
      return
    }
    await next()
    const body = context.body as { id_token?: string } | undefined
    if (context.path === '/token' && bend.idToken && body?.id_token) body.id_token = await bend.idToken(body.id_token)
  })
  server.on('request', provider.callback())
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })

  const dispatcher = new Agent({ connect: { ca: ca.cert } })
  t.teardown(() => dispatcher.close())

  /** Follows an address as a browser would, until it is sent back: the query it comes back with. `cookies` is the browser's memory. */
  async function browse(url: string, cookies = new Map<string, string>()): Promise<string> {
    let at = url
    for (let hop = 0; hop < 10; hop++) {
      const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
      const response = await fetch(at, { dispatcher, redirect: 'manual', headers: { cookie } })
      await response.text()
      for (const set of response.headers.getSetCookie()) {
        const [pair = ''] = set.split(';')
        const equals = pair.indexOf('=')
        cookies.set(pair.slice(0, equals), pair.slice(equals + 1))
      }
      const location = response.headers.get('location')
      if (location === null) throw new Error(`the provider answered ${response.status} at ${at}`)
      const next = new URL(location, at)
      if (next.href.startsWith(redirectUri)) return next.search.slice(1)
      at = next.href
    }
    throw new Error('too many redirects')
  }

  return {
    issuer,
    ca: ca.cert,
    clientId: 'sallyport',
    clientSecret: 'the secret of the client, long enough',
    person,
    bend,
    browse,
    provider,
    /** Anything, signed with the provider's own key. */
    async sign(
      claims: Readonly<Record<string, unknown>>,
      header: Readonly<Record<string, unknown>> = {},
    ): Promise<string> {
      return await new SignJWT({ ...claims })
        .setProtectedHeader({ alg: 'ES256', kid: 'one', ...header })
        .sign(await importJWK(jwk, 'ES256'))
    },
  }
}
export type OidcServer = Awaited<ReturnType<typeof startOidc>>
