import t from 'tap'
import type { Grant, Peer } from '../../../src/contract/admission.ts'
import { createSessions } from '../../../src/edge/login/sessions.ts'
import { Secret } from '../../../src/secret.ts'

const peer: Peer = { ip: '192.0.2.1', port: 4000, localIp: '192.0.2.2', localPort: 993, tls: null }
const grant = (id: string): Grant => ({
  id,
  userId: 'u1',
  logName: 'ann@example.org',
  appPassword: { id: 'p1', name: 'phone' },
  verifiedBy: 'us',
  upstream: {
    name: 'main',
    hosts: [],
    tls: 'none',
    ca: null,
    serverName: null,
    proxyProtocol: null,
    identity: { kind: 'password', authcid: 'm', authzid: '', secret: new Secret('x') },
    trusted: false,
  },
})

t.test('a session is listed from open to dispose', async (t) => {
  const sessions = createSessions()
  const session = sessions.open(grant('g1'), 'imap', peer)
  t.equal(sessions.size, 1)
  t.match(sessions.list(), [
    {
      grantId: 'g1',
      userId: 'u1',
      logName: 'ann@example.org',
      protocol: 'imap',
      ip: '192.0.2.1',
      port: 4000,
      settled: false,
    },
  ])
  session.settled = true
  t.match(sessions.list(), [{ settled: true }])
  t.ok(Math.abs((sessions.list()[0]?.startedAt ?? 0) - Date.now()) < 1000)
  session[Symbol.dispose]()
  t.strictSame(sessions.list(), [])
})

t.test('invariant 13: a session keeps no upstream secret', async (t) => {
  const session = createSessions().open(grant('g1'), 'imap', peer)
  t.notOk('upstream' in session.grant)
  t.equal(session.upstreamName, 'main')
})

t.test('ending: one, all, unknown, twice', async (t) => {
  const sessions = createSessions()
  const [a, b] = [sessions.open(grant('a'), 'imap', peer), sessions.open(grant('b'), 'imap', peer)]
  sessions.end('nobody')
  t.notOk(a.ended.aborted)
  sessions.end('a')
  t.ok(a.ended.aborted)
  t.equal(a.ended.reason, 'revoked')
  t.notOk(b.ended.aborted)
  t.equal(sessions.size, 2, 'invariant 7: it is there until its sockets are closed')
  sessions.endAll('drained')
  t.equal(a.ended.reason, 'revoked', 'the first reason counts')
  t.equal(b.ended.reason, 'drained')
})

t.test('invariant 8: an end that overtakes its grant is not lost', async (t) => {
  const sessions = createSessions()
  sessions.end('early')
  const session = sessions.open(grant('early'), 'imap', peer)
  t.ok(session.ended.aborted, 'born ended')
  session[Symbol.dispose]()
  t.notOk(sessions.open(grant('early'), 'imap', peer).ended.aborted, 'remembered once')
})

t.test('ends of unknown sessions don’t pile up', async (t) => {
  const sessions = createSessions()
  sessions.end('first')
  for (let i = 0; i < 10_000; i++) sessions.end(`n${i}`)
  t.notOk(sessions.open(grant('first'), 'imap', peer).ended.aborted, 'the oldest are forgotten')
  t.ok(sessions.open(grant('n9999'), 'imap', peer).ended.aborted, 'the latest are not')
})
