import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decodeJwt } from 'jose'
import type { Test } from 'tap'
import t from 'tap'
import type { OidcServer } from '../support/oidc.ts'
import { startOidc } from '../support/oidc.ts'
import { behindALook } from './looked-at.ts'
import { CLIENT, enrol, invitationFor, PASSWORD, peopleHouse } from './people.ts'

const REDIRECT = 'https://mail.a.test/sign-in/return'

async function providerHouse(t: Test, more = '') {
  const op = await startOidc(t, { redirectUri: REDIRECT })
  const files = mkdtempSync(join(tmpdir(), 'sp-oidc-'))
  t.teardown(() => rmSync(files, { recursive: true, force: true }))
  writeFileSync(join(files, 'client-secret'), op.clientSecret, { mode: 0o600 })
  writeFileSync(join(files, 'ca.pem'), op.ca)
  const moment = behindALook()
  const h = await peopleHouse(t, {
    wrapStore: moment.wrapStore,
    clock: () => new Date(),
    now: () => performance.now(),
    signIn: `signIn:
  oidc:
    - { name: Contoso, issuer: "${op.issuer}", clientId: sallyport, clientSecretFile: ${files}/client-secret, caFile: ${files}/ca.pem${more} }`,
  })
  h.time.at = new Date()
  /** All of a sign-in: how it ended. */
  async function visit(options: { session?: string; link?: boolean; cookies?: Map<string, string> } = {}) {
    const begun = await begin(options)
    const query = await op.browse(begun.url, options.cookies)
    return await finish(begun.flow, query)
  }
  async function begin({ session, link = false }: { session?: string; link?: boolean } = {}) {
    const request = { client: CLIENT, provider: 'contoso', session: session ?? null, link }
    const begun = await h.ask('sign-in.provider-begin', request)
    if ('next' in begun) throw new Error(`refused: ${begun.why}`)
    return begun
  }
  const finish = (flow: string, query: string) => h.ask('sign-in.provider-finish', { client: CLIENT, flow, query })
  /** Ann, linked by invitation. Answers her session. */
  async function linked() {
    const address = 'ann@a.test'
    await h.call('user.add', { address })
    const accepted = await h.ask('invitation.accept', {
      client: CLIENT,
      invitation: await invitationFor(h, address),
    })
    if (accepted.next !== 'signed-in') throw new Error('refused')
    const done = await visit({ session: accepted.session.token, link: true })
    if (done.next !== 'signed-in') throw new Error(`refused: ${JSON.stringify(done)}`)
    return done.session.token
  }
  return { ...h, op, moment, visit, begin, finish, linked }
}

const refused = (why: string) => ({ next: 'refused', why })

t.test(
  'M13, R33: the first link by invitation, afterwards by issuer and subject; no password, no other method',
  async (t) => {
    const h = await providerHouse(t)
    t.match(await h.ask('sign-in.options', {}), { providers: [{ id: 'contoso', name: 'Contoso' }] })
    await h.call('user.add', { address: 'ann@a.test' })
    h.op.person.claims = { email: 'ann@a.test', email_verified: true }
    t.match(await h.visit(), refused('not-linked'), 'H5: an address alone links nobody')

    const token = await invitationFor(h, 'ann@a.test')
    const accepted = await h.ask('invitation.accept', { client: CLIENT, invitation: token })
    if (accepted.next !== 'signed-in') throw new Error('refused')
    const done = await h.visit({ session: accepted.session.token, link: true })
    if (done.next !== 'signed-in') throw new Error(JSON.stringify(done))
    const session = done.session.token
    t.equal(await h.ask('session.show', { client: CLIENT, session: accepted.session.token }), null, 'H2: a new token')
    t.match(await h.ask('session.show', { client: CLIENT, session }), {
      stage: 'enrolling',
      enrolment: ['app-password'],
    })
    t.match(await h.call('user.show', { address: 'ann@a.test' }), { methods: [{ kind: 'provider', name: 'Contoso' }] })
    t.ok((await h.call('user.show', { address: 'ann@a.test' })).enrolledAt, 'R2, R5: enrolled')
    await h.ask('enrolment.finish', { session })

    t.match(await h.visit(), { next: 'signed-in', stage: 'full' })
    h.op.person.claims = { email: 'somebody@else.test' }
    t.match(await h.visit(), { next: 'signed-in' }, 'what the claims say matters no more')
    h.op.person.subject = 'subject-2'
    t.match(await h.visit(), refused('not-linked'))
    const lines = JSON.stringify(h.capture.lines)
    t.notMatch(lines, /eyJ/, 'no token in the log')
  },
)

t.test('H2, H9: an invited session that is ended while it comes back from the provider links nobody', async (t) => {
  const h = await providerHouse(t)
  await h.call('user.add', { address: 'ann@a.test' })
  const accepted = await h.ask('invitation.accept', {
    client: CLIENT,
    invitation: await invitationFor(h, 'ann@a.test'),
  })
  if (accepted.next !== 'signed-in') throw new Error('refused')
  const { flow, url } = await h.begin({ session: accepted.session.token, link: true })
  const query = await h.op.browse(url)
  h.moment.next = () => h.call('user.reset-two-step', { address: 'ann@a.test' })
  await t.rejects(h.finish(flow, query), { code: 'signed-out' })
  t.match(await h.call('user.show', { address: 'ann@a.test' }), { methods: [], enrolledAt: null })
})

t.test(
  'a claim of the provider links users of the allowed domains who have nothing yet, and nobody else',
  async (t) => {
    const h = await providerHouse(t, ', linkClaim: email, allowedDomains: [a.test]')
    await h.call('user.add', { address: 'ann@a.test' })
    await h.call('user.add', { address: 'bob@b.test' })
    await enrol(h, 'carl@a.test')
    for (const [claims, why] of [
      [{ email: 'nobody@a.test', email_verified: true }, 'nobody has that name'],
      [{ email: 'bob@b.test', email_verified: true }, 'another domain'],
      [{ email: 'carl@a.test', email_verified: true }, 'somebody who has a method'],
      [{ email: 'ann@a.test', email_verified: false }, 'not verified'],
      [{ email: 'ａnn@a.test', email_verified: true }, 'a look-alike'],
      [{}, 'no address'],
    ] as const) {
      h.op.person.claims = claims
      t.match(await h.visit(), refused('not-linked'), why)
    }
    h.op.person.claims = { email: 'Ann@a.test', email_verified: true }
    t.match(await h.visit(), { next: 'signed-in', stage: 'enrolling' })
    h.op.person.subject = 'subject-2'
    t.match(await h.visit(), refused('not-linked'), 'a second subject with the same address')
  },
)

t.test('requireTwoStep: amr or acr must say that there were two', async (t) => {
  const h = await providerHouse(t, ', twoStepAcr: [urn:gold]')
  await h.linked()
  h.op.person.amr = ['pwd']
  t.match(await h.visit(), refused('no-two-step'))
  h.op.person.acr = 'urn:silver'
  t.match(await h.visit(), refused('no-two-step'))
  h.op.person.acr = 'urn:gold'
  t.match(await h.visit(), { next: 'signed-in' })
})

t.test('stepping up at the provider: by who is linked, and just now', async (t) => {
  const h = await providerHouse(t)
  const session = await h.linked()
  await h.ask('enrolment.finish', { session })
  const begun = await h.begin({ session })
  t.match(new URL(begun.url).searchParams.get('prompt'), 'login')
  t.equal(new URL(begun.url).searchParams.get('max_age'), '0')
  const done = await h.finish(begun.flow, await h.op.browse(begun.url))
  if (done.next !== 'signed-in') throw new Error(JSON.stringify(done))
  t.equal(await h.ask('session.show', { client: CLIENT, session }), null, 'H2: a new token')
  const fresh = done.session.token
  t.ok((await h.ask('session.show', { client: CLIENT, session: fresh }))?.freshUntil)
  t.ok(await h.ask('app-password.issue', { client: CLIENT, session: fresh, name: 'x' }))

  h.op.person.subject = 'subject-2'
  t.match(await h.visit({ session: fresh }), refused('not-linked'), 'somebody else, at the same provider')
  h.op.person.subject = 'subject-1'
  h.op.bend.idToken = async (token) => {
    const claims = decodeJwt(token)
    return await h.op.sign({ ...claims, auth_time: Number(claims.auth_time) - 600 })
  }
  t.match(await h.visit({ session: fresh }), refused('provider-failed'), 'an old proof is none, whatever was asked')
  h.op.bend.idToken = async (token) => {
    const { auth_time: _, ...claims } = decodeJwt(token)
    return await h.op.sign(claims)
  }
  t.match(await h.visit({ session: fresh }), refused('provider-failed'), 'nor is one without a time')
})

t.test('H5: what a response must be', async (t) => {
  const h = await providerHouse(t)
  await h.linked()
  const faults: readonly (readonly [string, (query: URLSearchParams) => void])[] = [
    ['wrong iss (RFC 9207)', (query) => query.set('iss', 'https://evil.test')],
    ['no iss, though the provider says it sends one', (query) => query.delete('iss')],
    ['wrong state', (query) => query.set('state', 'x'.repeat(43))],
    ['no state', (query) => query.delete('state')],
    ['another code', (query) => query.set('code', 'x'.repeat(43))],
    ['two codes', (query) => query.append('code', 'x')],
    ['an error', (query) => query.set('error', 'access_denied')],
  ]
  for (const [why, spoil] of faults) {
    const begun = await h.begin()
    const query = new URLSearchParams(await h.op.browse(begun.url))
    spoil(query)
    t.match(await h.finish(begun.flow, query.toString()), refused('provider-failed'), why)
  }

  const begun = await h.begin()
  const query = await h.op.browse(begun.url)
  t.match(await h.finish(begun.flow, query), { next: 'signed-in' })
  t.match(await h.finish(begun.flow, query), refused('flow-over'), 'the same return again')
  const other = await h.begin()
  const replay = new URLSearchParams(query)
  replay.set('state', new URL(other.url).searchParams.get('state') ?? '')
  t.match(
    await h.finish(other.flow, replay.toString()),
    refused('provider-failed'),
    'a code that was used, in another flow',
  )
  const stolen = await h.begin()
  const victims = await h.op.browse((await h.begin()).url)
  t.match(await h.finish(stolen.flow, victims), refused('provider-failed'), 'the return of another flow')

  const nonce = await h.begin()
  const bent = new URL(nonce.url)
  bent.searchParams.set('nonce', 'y'.repeat(43))
  t.match(await h.finish(nonce.flow, await h.op.browse(bent.href)), refused('provider-failed'), 'wrong nonce')
})

t.test('H5: what an ID token must be', async (t) => {
  const h = await providerHouse(t)
  await h.linked()
  const b64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const hour = 3600
  const bends: readonly (readonly [
    string,
    (claims: Record<string, unknown>, op: OidcServer) => Promise<string> | string,
  ])[] = [
    ['alg none', (claims) => `${b64({ alg: 'none' })}.${b64(claims)}.`],
    ['a signature of nobody', (claims) => `${b64({ alg: 'ES256', kid: 'one' })}.${b64(claims)}.${'A'.repeat(86)}`],
    [
      'HS256 with the client secret',
      async (claims, op) => {
        const { SignJWT } = await import('jose')
        return await new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).sign(Buffer.from(op.clientSecret))
      },
    ],
    ['expired', (claims, op) => op.sign({ ...claims, iat: 1000, exp: 2000 })],
    ['for somebody else', (claims, op) => op.sign({ ...claims, aud: 'another-client' })],
    ['by another issuer', (claims, op) => op.sign({ ...claims, iss: 'https://evil.test' })],
    ['issued in an hour', (claims, op) => op.sign({ ...claims, iat: Math.floor(Date.now() / 1000) + hour })],
    ['another nonce', (claims, op) => op.sign({ ...claims, nonce: 'z'.repeat(43) })],
    ['no subject', (claims, op) => op.sign({ ...claims, sub: undefined })],
  ]
  for (const [why, bend] of bends) {
    h.op.bend.idToken = async (token) => await bend({ ...decodeJwt(token) }, h.op)
    t.match(await h.visit(), refused('provider-failed'), why)
  }
  h.op.bend.idToken = async (token) => await h.op.sign({ ...decodeJwt(token) })
  t.match(await h.visit(), { next: 'signed-in' }, 'signed by the provider: taken')
})

t.test('back-channel logout ends the portal sessions of that person, once for each token', async (t) => {
  const h = await providerHouse(t)
  await h.linked()
  const signIn = async () => {
    const done = await h.visit({ cookies: new Map() })
    if (done.next !== 'signed-in') throw new Error(JSON.stringify(done))
    return done.session.token
  }
  const alive = async (session: string) => (await h.ask('session.show', { client: CLIENT, session })) !== null
  const event = { 'http://schemas.openid.net/event/backchannel-logout': {} }
  let count = 0
  const good = () => {
    const iat = Math.floor(Date.now() / 1000)
    return {
      iss: h.op.issuer,
      aud: 'sallyport',
      iat,
      exp: iat + 120,
      jti: `j${count++}`,
      sub: 'subject-1',
      events: event,
    }
  }
  const send = async (token: string) =>
    (await h.ask('sign-in.provider-logout', { provider: 'contoso', logoutToken: token })).ended
  const session = await signIn()
  const b64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  for (const [why, token] of [
    ['alg none', `${b64({ alg: 'none' })}.${b64(good())}.`],
    ['nonsense', 'x'],
    ['with a nonce', await h.op.sign({ ...good(), nonce: 'n' })],
    ['no event', await h.op.sign({ ...good(), events: {} })],
    ['nobody', await h.op.sign({ ...good(), sub: undefined })],
    ['no jti', await h.op.sign({ ...good(), jti: undefined })],
    ['old', await h.op.sign({ ...good(), iat: 1000, exp: 2000 })],
    ['issued long ago', await h.op.sign({ ...good(), iat: good().iat - 400 })],
    ['for another client', await h.op.sign({ ...good(), aud: 'x' })],
    ['by another issuer', await h.op.sign({ ...good(), iss: 'https://evil.test' })],
  ] as const) {
    await t.rejects(send(token), { code: 'invalid' }, why)
  }
  await t.rejects(h.ask('sign-in.provider-logout', { provider: 'x', logoutToken: 'x' }), { code: 'invalid' })
  t.ok(await alive(session), 'none of these ended anything')

  const token = await h.op.sign(good())
  t.ok((await send(token)) >= 1)
  t.notOk(await alive(session))
  t.match((await h.call('audit.list', { order: 'newest', limit: 1 })).entries, [
    { event: 'portal_sessions_ended', actor: 'system', user: null },
  ])
  const next = await signIn()
  await t.rejects(send(token), { code: 'invalid' }, 'the same token again')
  t.ok(await alive(next))
  t.equal(await send(await h.op.sign({ ...good(), sub: 'subject-2' })), 0, 'somebody else')
  t.ok(await alive(next))
})

t.test('a provider that does not answer: said so, and tried again later', async (t) => {
  const h = await peopleHouse(t, {
    signIn: `signIn: { oidc: [{ name: Gone, issuer: "https://127.0.0.1:1", clientId: x, clientSecretFile: master }] }`,
  })
  const begun = await h.ask('sign-in.provider-begin', { client: CLIENT, provider: 'gone', session: null })
  t.match(begun, refused('provider-failed'))
  await t.rejects(h.ask('sign-in.provider-begin', { client: CLIENT, provider: 'x', session: null }), {
    code: 'not-found',
  })
  t.match(h.capture.of('warning'), [{ error_code: 'ERR_PROVIDER_UNAVAILABLE' }])
  t.match(await h.ask('sign-in.password', { client: CLIENT, user: 'ann@a.test', password: PASSWORD }), {
    next: 'refused',
  })
})
