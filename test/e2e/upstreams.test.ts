/**
 * The second door: every way to a mail server and every identity, each a mail domain of its own on one gate with two workers.
 * What Dovecot was told is read in its log, which holds every name and secret it ever got.
 */

import { rmSync } from 'node:fs'
import type { Test } from 'tap'
import t from 'tap'
import type { Dovecot } from '../support/dovecot.ts'
import { startDovecot } from '../support/dovecot.ts'
import { command, connectClear, connectTls, saslPlain, succeed } from '../support/imap.ts'
import type { ScriptedPeer } from '../support/peer.ts'
import { scriptedClient, scriptedServer } from '../support/peer.ts'
import { freePort } from '../support/ports.ts'
import type { Sallyport } from '../support/sallyport.ts'
import { masterPasswordFile, startSallyport, upstreamOf } from '../support/sallyport.ts'
import { plainPassword } from '../support/secrets.ts'
import { requireService } from '../support/services.ts'

/** Mail domain → what makes its upstream different. */
const REACHED = [
  'master.test',
  'starttls.test',
  'authzid.test',
  'clear.test',
  'trusted.test',
  'proxy-v1.test',
  'proxy-v2.test',
  'second-host.test',
]
const BROKEN = ['dead.test', 'bad-master.test', 'bad-certificate.test', 'bad-name.test', 'garbage.test', 'preauth.test']
const userOf = (domain: string): string => `ann@${domain}`

interface House {
  readonly gate: Sallyport
  readonly dovecot: Dovecot
  /** Mail domain → app password of its user. */
  readonly passwords: ReadonlyMap<string, string>
}

t.test('upstreams', async (t) => {
  if (!requireService(t, 'dovecot')) return
  const domains = [...REACHED, ...BROKEN, 'stored.test', 'pass.test']
  const users = Object.fromEntries([...domains, 'unknown.test'].map((domain) => [userOf(domain), plainPassword()]))
  users['stranger@pass.test'] = plainPassword()
  users['enrolled@pass.test'] = plainPassword()
  await using dovecot = await startDovecot({ users })
  await using garbage = await scriptedServer((peer) => peer.end('HTTP/1.1 400 Bad Request\r\n\r\n'))
  await using preauth = await scriptedServer((peer) => peer.send('* PREAUTH you are somebody\r\n'))
  const passwordFile = masterPasswordFile(dovecot)
  const badFile = masterPasswordFile(dovecot, plainPassword())
  t.teardown(() => [passwordFile, badFile].map((file) => rmSync(file, { force: true })))
  const { ports } = dovecot
  const dead = await freePort()
  const of = (more: Parameters<typeof upstreamOf>[2]): Record<string, unknown> =>
    upstreamOf(dovecot, passwordFile, more)
  const upstreams = {
    master: of({}),
    starttls: of({ imap: { port: ports.imap, tls: 'starttls' } }),
    authzid: of({ identity: { method: 'authzid', user: dovecot.master.user, passwordFile } }),
    clear: of({ imap: { port: ports.imap, tls: 'none', caFile: undefined, serverName: undefined } }),
    trusted: of({ trusted: true }),
    'proxy-v1': of({ imap: { port: ports.imapsProxy }, proxyProtocol: 'v1' }),
    'proxy-v2': of({ imap: { port: ports.imapProxy, tls: 'starttls' }, proxyProtocol: 'v2' }),
    'second-host': of({ imap: { host: undefined, hosts: [`127.0.0.1:${dead}`, `127.0.0.1:${ports.imaps}`] } }),
    dead: of({ imap: { port: dead } }),
    'bad-master': of({ identity: { method: 'master-user', user: dovecot.master.user, passwordFile: badFile } }),
    'bad-certificate': of({ imap: { caFile: undefined } }),
    'bad-name': of({ imap: { serverName: 'mail.elsewhere.test' } }),
    garbage: of({ imap: { port: garbage.port, tls: 'none', caFile: undefined, serverName: undefined } }),
    preauth: of({ imap: { port: preauth.port, tls: 'none', caFile: undefined, serverName: undefined } }),
    stored: of({ identity: { method: 'stored-secret' } }),
    pass: of({ identity: { method: 'pass-through' } }),
  }
  await using gate = await startSallyport({
    domains,
    upstreams,
    settings: {
      routes: domains.map((domain) => ({ domain, upstream: domain.replace('.test', '') })),
      primaryPassword: 'until-enrolled',
    },
  })
  await gate.json(
    ['user', 'import', '-'],
    [...domains.map(userOf)].map((address) => JSON.stringify({ address })).join('\n'),
  )
  const passwords = new Map<string, string>()
  for (const domain of domains.filter((each) => each !== 'pass.test')) {
    const { letters } = await gate.createAppPassword(userOf(domain), 'phone')
    passwords.set(domain, letters)
  }
  const house: House = { gate, dovecot, passwords }
  await t.test('ways in', (t) => waysIn(t, house))
  await t.test('stored secret', (t) => storedSecret(t, house))
  await t.test('primary passwords until enrolled', (t) => passThrough(t, house))
  await t.test('faults', (t) => faults(t, house))
  await t.test('an upstream that dies and comes back', (t) => deadAndBack(t, house))

  const told = dovecot.log()
  t.same(
    [...passwords].filter(([, password]) => told.includes(password)),
    [],
    'Dovecot was never told an app password',
  )
  t.same(gate.lines('bug'), [])
})

/** A session of the domain's user through the gate, and the line in which Dovecot reports its login. */
async function session(house: House, domain: string): Promise<{ peer: ScriptedPeer; line: string; told: string }> {
  const mark = house.dovecot.mark()
  const peer = await connectTls(house.gate)
  await succeed(peer, '1', `LOGIN ${userOf(domain)} ${house.passwords.get(domain) ?? ''}`)
  await succeed(peer, '2', 'SELECT INBOX')
  const [line] = await house.dovecot.waitForLog(new RegExp(`Login: user=<${userOf(domain)}>.*`), mark)
  return { peer, line, told: house.dovecot.logSince(mark) }
}

async function waysIn(t: Test, house: House): Promise<void> {
  const { dovecot, gate } = house
  const { user, password } = dovecot.master
  for (const [domain, identity, tls, why] of [
    [
      'master.test',
      `${userOf('master.test')}*${user} ${password}`,
      /\bTLS\b/,
      'implicit TLS, master user by separator',
    ],
    [
      'starttls.test',
      `${userOf('starttls.test')}*${user} ${password}`,
      /\bTLS\b/,
      'STARTTLS, master user by separator',
    ],
    ['authzid.test', `${userOf('authzid.test')} ${user} ${password}`, /\bTLS\b/, 'SASL authorization identity'],
    ['clear.test', `${userOf('clear.test')}*${user} ${password}`, /\bsecured\b/, 'in clear, because it was written so'],
    [
      'second-host.test',
      `${userOf('second-host.test')}*${user} ${password}`,
      /\bTLS\b/,
      'the second host, the first is dead',
    ],
  ] as const) {
    const { peer, line, told } = await session(house, domain)
    using _ = peer
    t.ok(told.includes(identity), why)
    t.match(line, tls, why)
    t.match(line, /rip=127\.0\.0\.1\b/, 'the client’s address is not told to a server that is not trusted')
  }

  // A client behind a load balancer: its address comes in by a PROXY header and goes out as the upstream wants it.
  for (const [domain, how] of [
    ['trusted.test', 'ID x-originating-ip'],
    ['proxy-v1.test', 'PROXY v1'],
    ['proxy-v2.test', 'PROXY v2'],
  ] as const) {
    for (const [header, ip] of [
      ['PROXY TCP4 192.0.2.33 192.0.2.1 40123 993\r\n', '192.0.2.33'],
      ['PROXY TCP6 2001:db8::77 2001:db8::1 40123 993\r\n', '2001:db8::77'],
    ] as const) {
      const mark = dovecot.mark()
      const before = gate.mark()
      using peer = await scriptedClient(gate.ports.imapsProxy)
      peer.send(header)
      await peer.startTls(gate.tls)
      await peer.expect(/^\* OK /)
      await succeed(peer, '1', `LOGIN ${userOf(domain)} ${house.passwords.get(domain) ?? ''}`)
      const [line] = await dovecot.waitForLog(new RegExp(`Login: user=<${userOf(domain)}>.*`), mark)
      t.match(line, `rip=${ip},`, `${how}: Dovecot logs ${ip}`)
      t.match(line, 'rport=40123', `${how}: and the port`)
      const accepted = await gate.waitForLog('login_accepted', (each) => each.user === userOf(domain), before)
      t.equal(accepted.remote_ip, ip, 'and so does the gate')
    }
  }
  using peer = await scriptedClient(gate.ports.imapsProxy)
  peer.send('\x16\x03\x01')
  t.equal(await peer.rest(), '', 'A13: no PROXY header where one is due: closed without a word')
}

async function storedSecret(t: Test, house: House): Promise<void> {
  const { dovecot, gate, passwords } = house
  const user = userOf('stored.test')
  const primary = dovecot.users[user] ?? ''
  const login = `LOGIN ${user} ${passwords.get('stored.test') ?? ''}`
  using before = await connectTls(gate)
  const refused = (await command(before, '1', login)).at(-1)
  t.match(refused, /^1 NO \[UNAVAILABLE\] /, 'invariant 11: no secret stored yet is no wrong password')
  await gate.json(['secret', 'set', '--user', user, '--upstream', 'stored'], primary)
  const { peer, told } = await session(house, 'stored.test')
  using _ = peer
  t.ok(told.includes(` ${user} ${primary}`), 'Dovecot gets the stored secret')
}

async function passThrough(t: Test, { gate, dovecot, passwords }: House): Promise<void> {
  const known = userOf('pass.test')
  const attempt = async (user: string, password: string) => {
    const mark = dovecot.mark()
    using peer = await connectTls(gate)
    const answer = (await command(peer, '1', `AUTHENTICATE PLAIN ${saslPlain('', user, password)}`)).at(-1) ?? ''
    return {
      answer,
      told: dovecot.logSince(mark),
      /** Its log is written by a process of its own, which may be slower than the answer. */
      isTold: (what: string) => dovecot.waitForLog(new RegExp(RegExp.escape(what)), mark),
    }
  }
  const right = await attempt(known, dovecot.users[known] ?? '')
  t.match(right.answer, /^1 OK \[CAPABILITY /, 'R5: a known user who never enrolled gets in with the primary password')
  await right.isTold(` ${known} ${dovecot.users[known]}`)
  t.pass('and the upstream is the judge')

  const guess = plainPassword()
  const wrong = await attempt(known, guess)
  t.match(wrong.answer, /^1 NO \[AUTHENTICATIONFAILED\] /, 'its refusal is a wrong password')
  await wrong.isTold(guess)
  const again = await attempt(known, guess)
  t.match(again.answer, /^1 NO \[AUTHENTICATIONFAILED\] /)
  t.notOk(again.told.includes(guess), 'and the same wrong one is not sent again')

  for (const [user, why] of [
    [
      'stranger@pass.test',
      'an unknown name never reaches the upstream, though the mailbox and the password exist there',
    ],
    [userOf('unknown.test'), 'nor one of a domain that is not served'],
  ] as const) {
    const mark = dovecot.mark()
    const { answer } = await attempt(user, dovecot.users[user] ?? '')
    t.match(answer, /^1 NO \[AUTHENTICATIONFAILED\] /)
    t.notMatch(dovecot.logSince(mark), /client in: AUTH/, why)
  }

  // An app password that an administrator made is no enrolment: both ways stay open, whatever the upstream's identity.
  const both = userOf('master.test')
  const own = await attempt(both, dovecot.users[both] ?? '')
  t.match(own.answer, /^1 OK /, 'R5: not enrolled, so the primary password goes on working')
  await own.isTold(` ${both} ${dovecot.users[both]}`)
  t.pass('as the user, not as the master user')
  t.match((await attempt(both, passwords.get('master.test') ?? '')).answer, /^1 OK /, 'beside the app password')
}

/** Invariant 11: a fault of ours or of the upstream never reads as a wrong password. */
async function faults(t: Test, { gate, passwords }: House): Promise<void> {
  for (const domain of BROKEN) {
    const before = gate.mark()
    for (const way of ['LOGIN', 'PLAIN'] as const) {
      using peer = await connectTls(gate)
      const user = userOf(domain)
      const password = passwords.get(domain) ?? ''
      const login =
        way === 'LOGIN' ? `LOGIN ${user} ${password}` : `AUTHENTICATE PLAIN ${saslPlain('', user, password)}`
      const answer = (await command(peer, '1', login)).at(-1)
      t.match(answer, /^1 NO \[UNAVAILABLE\] /, `invariant 11: ${domain}, ${way}`)
      t.notMatch(answer, /AUTHENTICATIONFAILED|password|credential/i)
      await succeed(peer, '2', 'NOOP')
    }
    const line = await gate.waitForLog('login_refused', (each) => each.user === userOf(domain), before)
    t.match(
      line.reason,
      /^upstream-/,
      `${domain}: ${String(line.reason)} in the log: ${String(line.detail ?? line.msg)}`,
    )
  }
}

async function deadAndBack(t: Test, house: House): Promise<void> {
  const { gate, dovecot, passwords } = house
  const login = `LOGIN ${userOf('master.test')} ${passwords.get('master.test') ?? ''}`
  const { peer: open } = await session(house, 'master.test')
  using _ = open
  await dovecot.stop()
  const closed = await open.rest()
  t.notMatch(closed, /AUTHENTICATIONFAILED/, 'the open session ends')
  using peer = await connectClear(gate.ports.imapClear)
  t.match((await command(peer, '1', login)).at(-1), /^1 NO \[UNAVAILABLE\] /)
  await dovecot.start()
  // The breaker may keep the host away for a moment: logins are tried as a client would, until one succeeds.
  for (let n = 2; ; n++) {
    using again = await connectTls(gate)
    const answer = (await command(again, `${n}`, login)).at(-1) ?? ''
    if (answer.startsWith(`${n} OK`)) break
    t.match(answer, / NO \[UNAVAILABLE\] /, 'until then')
    if (n > 100) throw new Error('the gate does not find the upstream again')
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  t.pass('back')
}
