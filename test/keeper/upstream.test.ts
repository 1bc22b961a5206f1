import t from 'tap'
import type { UpstreamIdentity } from '../../src/contract/admission.ts'
import { identityFor, primaryIdentity } from '../../src/keeper/upstream/identity.ts'
import type { Route, RoutesConfig } from '../../src/keeper/upstream/routes.ts'
import { routeFor, upstreamOf } from '../../src/keeper/upstream/routes.ts'
import type { OpenedSecret, StoredSecrets } from '../../src/records/secrets.ts'
import { Secret } from '../../src/secret.ts'
import { userRow } from './user-row.ts'

type Upstream = RoutesConfig['upstreams'][string]
const MASTER = new Secret('master secret')

const section = (host: string, port: number) => ({
  hosts: [{ host, port }],
  tls: 'implicit' as const,
  ca: null,
  serverName: null,
})
const upstream = (host: string, identity: Upstream['identity'], patch: Partial<Upstream> = {}): Upstream => ({
  imap: section(host, 993),
  pop3: null,
  smtp: section(host, 465),
  eas: null,
  trusted: false,
  proxyProtocol: null,
  identity,
  ...patch,
})
const master: Upstream['identity'] = { method: 'master-user', user: 'sp', password: MASTER, separator: '*' }
const config: RoutesConfig = {
  upstreams: {
    main: upstream('main.test', master, { trusted: true, proxyProtocol: 'v2' }),
    other: upstream(
      'other.test',
      { method: 'pass-through' },
      {
        eas: { url: 'https://[2001:db8::1]:8443/x', ca: 'PEM', serverName: 'eas.test', identity: null },
      },
    ),
  },
  routes: [
    { domain: 'a.test', users: null, upstream: 'main' },
    { domain: null, users: ['boss@a.test'], upstream: 'other' },
    { domain: 'lost.test', users: null, upstream: 'gone' },
    { domain: 'odd.test', users: null, upstream: 'constructor' },
  ],
}

t.test('routes: by user before by domain, wherever they stand', async (t) => {
  for (const [address, want] of [
    ['ann@a.test', 'main'],
    ['boss@a.test', 'other'],
    ['ann@b.test', null],
    ['x@y@a.test', 'main'],
  ] as const) {
    t.equal(upstreamOf(config, address), want, address)
  }
})

t.test('a route carries all that a dial needs', async (t) => {
  t.match(routeFor(config, 'ann@a.test', 'imap'), {
    ok: true,
    route: {
      name: 'main',
      hosts: [{ host: 'main.test', port: 993 }],
      tls: 'implicit',
      trusted: true,
      proxyProtocol: 'v2',
    },
  })
  t.match(routeFor(config, 'boss@a.test', 'eas'), {
    ok: true,
    route: {
      name: 'other',
      hosts: [{ host: '2001:db8::1', port: 8443 }],
      tls: 'implicit',
      ca: 'PEM',
      identity: { method: 'pass-through' },
    },
  })
  for (const [address, protocol, why] of [
    ['ann@b.test', 'imap', /no route/],
    ['ann@lost.test', 'imap', /not configured/],
    ['ann@odd.test', 'imap', /not configured/],
    ['ann@a.test', 'pop3', /no pop3 section/],
    ['ann@a.test', 'eas', /no eas section/],
  ] as const) {
    t.match(routeFor(config, address, protocol), { ok: false, why }, `${address} ${protocol}`)
  }
})

t.test('M6: ActiveSync may have an identity of its own, which nothing else gets', (t) => {
  const eas = { url: 'https://sogo.test', ca: null, serverName: null, identity: { method: 'stored-secret' } as const }
  const both: RoutesConfig = { ...config, upstreams: { main: upstream('main.test', master, { eas }) } }
  for (const [protocol, identity] of [
    ['imap', master],
    ['smtp', master],
    ['eas', { method: 'stored-secret' }],
  ] as const) {
    t.match(routeFor(both, 'ann@a.test', protocol), { ok: true, route: { name: 'main', identity } }, protocol)
  }
  t.end()
})

const user = (address = 'ann@a.test') => userRow({ address })
const route = (identity: Route['identity']): Route => ({
  name: 'main',
  identity,
  trusted: false,
  proxyProtocol: null,
  hosts: [],
  tls: 'none',
  ca: null,
  serverName: null,
})
/** Holds what the test says, and refuses to be asked for anything else. */
const secrets = (opened: OpenedSecret): StoredSecrets => ({
  set: () => Promise.reject(new Error('not here')),
  delete: () => Promise.reject(new Error('not here')),
  async open(userId, name) {
    t.strictSame([userId, name], ['u1', 'main'])
    return opened
  },
})
const none = secrets({ ok: false, why: 'none' })

async function told(identity: UpstreamIdentity | Promise<UpstreamIdentity>) {
  const it = await identity
  return it.kind === 'password' ? [it.authcid, it.authzid, it.secret.reveal()] : it
}

t.test('threat C1: identities are built from the account record', async (t) => {
  t.strictSame(await told(identityFor(route(master), user(), none)), ['ann@a.test*sp', '', 'master secret'])
  const authzid = { method: 'authzid', user: 'proxy', password: MASTER } as const
  t.strictSame(await told(identityFor(route(authzid), user(), none)), ['proxy', 'ann@a.test', 'master secret'])
  const stored = secrets({ ok: true, secret: new Secret('her own') })
  const own = route({ method: 'stored-secret' })
  t.strictSame(await told(identityFor(own, user(), stored)), ['ann@a.test', '', 'her own'])
  t.notOk(identityFor(route(master), user(), none) instanceof Promise, 'nothing to wait for')
  t.strictSame(await told(primaryIdentity(route(master), user(), new Secret('typed'))), ['ann@a.test', '', 'typed'])
})

t.test('invariant 11: what is missing is our fault, in words for the operator', async (t) => {
  const failing = async (identity: Route['identity'], who = user(), from = none) =>
    told(identityFor(route(identity), who, from))
  await t.rejects(failing(master, user('a*b@a.test')), { code: 'ERR_IDENTITY_NAME' }, 'threat C1: a separator')
  await t.rejects(failing({ method: 'stored-secret' }), { code: 'ERR_IDENTITY_SECRET', message: /secret set/ })
  const damaged = secrets({ ok: false, why: 'bad-seal' })
  await t.rejects(failing({ method: 'stored-secret' }, user(), damaged), { message: /bad-seal/ })
  await t.rejects(failing({ method: 'pass-through' }), { code: 'ERR_IDENTITY_METHOD' })
  const oauth = {
    method: 'oauth2',
    provider: 'google',
    grant: 'refresh-token',
    clientId: 'x',
    clientSecret: null,
    scopes: [],
  } as const
  await t.rejects(failing(oauth), { code: 'ERR_IDENTITY_TOKEN' })
  t.throws(() => primaryIdentity(route(oauth), user(), new Secret('x')), { code: 'ERR_IDENTITY_METHOD' })
})

t.test('threat C3: no CR, LF, NUL, \\x01 or blank ever gets into a name upstream', async (t) => {
  for (const bad of [
    'a\r@a.test',
    'a\n@a.test',
    'a\0@a.test',
    'a\x01@a.test',
    'a b@a.test',
    'é@a.test',
    '',
    'a'.repeat(255),
  ]) {
    for (const identity of [master, { method: 'authzid', user: 'p', password: MASTER }] as const) {
      t.throws(() => identityFor(route(identity), user(bad), none), RangeError, JSON.stringify(bad).slice(0, 20))
    }
    t.throws(() => primaryIdentity(route(master), user(bad), new Secret('x')), RangeError)
  }
})
