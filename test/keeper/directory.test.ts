import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TLSSocket } from 'node:tls'
import type { Test } from 'tap'
import t from 'tap'
import type { LdapConfig } from '../../src/keeper/sign-in/ldap.ts'
import { createDirectory } from '../../src/keeper/sign-in/ldap.ts'
import { Secret } from '../../src/secret.ts'
import { createCa } from '../support/certificates.ts'
import { requireService } from '../support/services.ts'
import type { Slapd } from '../support/slapd.ts'
import { startSlapd } from '../support/slapd.ts'
import { addApp, CLIENT, codeOf, invitationFor, PASSWORD, peopleHouse } from './people.ts'

const PEOPLE = [
  { uid: 'ann', mail: 'ann@a.test', password: 'ann in the directory' },
  { uid: 'bob', mail: 'bob@a.test', password: 'bob in the directory' },
  { uid: 'twin', mail: 'twins@a.test', password: 'a twin' },
  { uid: 'other', mail: 'twins@a.test', password: 'a twin' },
]

function configOf(slapd: Slapd, more: Partial<LdapConfig> = {}): LdapConfig {
  return {
    url: slapd.ldapsUrl,
    startTls: false,
    baseDn: slapd.baseDn,
    userFilter: '(&(objectClass=person)(mail={user}))',
    bindDn: slapd.adminDn,
    password: new Secret(slapd.adminPassword),
    ca: slapd.ca,
    ...more,
  }
}

t.test('the right password of the one entry, over LDAPS and StartTLS', async (t) => {
  if (!requireService(t, 'slapd')) return
  await using slapd = await startSlapd(PEOPLE)
  for (const [how, config] of [
    ['ldaps', configOf(slapd)],
    ['StartTLS', configOf(slapd, { url: slapd.url, startTls: true })],
  ] as const) {
    const directory = createDirectory(config)
    t.equal(await directory.verify('ann@a.test', new Secret('ann in the directory')), true, how)
    t.equal(await directory.verify('ann@a.test', new Secret('bob in the directory')), false)
    t.equal(await directory.verify('nobody@a.test', new Secret('ann in the directory')), false)
    t.equal(await directory.verify('twins@a.test', new Secret('a twin')), false, 'two entries are nobody')
  }
  t.match(slapd.log(), /STARTTLS/)
  t.match(slapd.log(), /BIND dn="cn=nobody-[0-9a-f]+,dc=a,dc=test"/, 'a name without an entry costs a bind, too')
})

t.test('an empty password is refused before the bind: the directory would take it for an anonymous one', async (t) => {
  if (!requireService(t, 'slapd')) return
  await using slapd = await startSlapd(PEOPLE)
  const before = slapd.log().length
  t.equal(await createDirectory(configOf(slapd)).verify('ann@a.test', new Secret('')), false)
  t.equal(slapd.log().length, before, 'nothing was asked')
})

t.test('C3: a name is a value in the filter, whatever it holds', async (t) => {
  if (!requireService(t, 'slapd')) return
  await using slapd = await startSlapd(PEOPLE)
  const directory = createDirectory(configOf(slapd))
  for (const name of ['*', 'ann*', '*)(uid=ann', 'ann@a.test)(objectClass=*', '\\2a', 'ann\0', 'x)(|(uid=ann']) {
    t.equal(await directory.verify(name, new Secret('ann in the directory')), false, JSON.stringify(name))
  }
})

t.test('what is no judgement is no wrong password (invariant 11)', async (t) => {
  if (!requireService(t, 'slapd')) return
  await using slapd = await startSlapd(PEOPLE)
  const stranger = await createCa()
  for (const [why, config] of [
    ['a certificate of nobody we know', configOf(slapd, { ca: stranger.cert })],
    ['the same, by StartTLS', configOf(slapd, { url: slapd.url, startTls: true, ca: stranger.cert })],
    ['the search account has another password', configOf(slapd, { password: new Secret('x') })],
    ['a filter that is none', configOf(slapd, { userFilter: '((mail={user}' })],
    ['nobody listens', configOf(slapd, { url: 'ldaps://localhost:1' })],
  ] as const) {
    const asked = createDirectory(config).verify('ann@a.test', new Secret('ann in the directory'))
    await t.rejects(asked, { name: 'DirectoryError' }, why)
  }
  t.notMatch(slapd.log(), /ann in the directory/)
})

t.test('a server that hangs up after StartTLS gets no password in clear', async (t) => {
  const ca = await createCa()
  const { cert, key } = await ca.issue()
  const heard: Buffer[] = []
  let connections = 0
  const server = createServer((socket) => {
    connections += 1
    socket.on('error', () => undefined)
    if (connections > 1) {
      socket.on('data', (chunk) => heard.push(chunk))
      return
    }
    socket.once('data', () => {
      // ExtendedResponse, success, to message 1.
      socket.write(Buffer.from('300c02010178070a010004000400', 'hex'))
      const tls = new TLSSocket(socket, { isServer: true, cert, key })
      tls.on('error', () => undefined)
      tls.once('data', () => tls.destroy())
    })
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const directory = createDirectory({
    url: `ldap://localhost:${port}`,
    startTls: true,
    baseDn: 'dc=a,dc=test',
    userFilter: '(mail={user})',
    bindDn: 'cn=admin',
    password: new Secret('the-search-account'),
    ca: ca.cert,
  })
  await t.rejects(directory.verify('ann@a.test', new Secret('ann in the directory')), { name: 'DirectoryError' })
  t.equal(connections, 1, 'it is not called again')
  t.strictSame(heard, [])
})

async function directoryHouse(t: Test, slapd: Slapd) {
  const files = mkdtempSync(join(tmpdir(), 'sp-ldap-'))
  t.teardown(() => rmSync(files, { recursive: true, force: true }))
  writeFileSync(join(files, 'password'), slapd.adminPassword, { mode: 0o600 })
  writeFileSync(join(files, 'ca.pem'), slapd.ca)
  return await peopleHouse(t, {
    signIn: `signIn:
  ldap: { url: "${slapd.ldapsUrl}", baseDn: "${slapd.baseDn}", userFilter: "(mail={user})", bindDn: "${slapd.adminDn}", passwordFile: ${files}/password, caFile: ${files}/ca.pem }`,
  })
}

t.test('M13: directory password and local second step; known users only; local users beside them', async (t) => {
  if (!requireService(t, 'slapd')) return
  await using slapd = await startSlapd(PEOPLE)
  const h = await directoryHouse(t, slapd)
  const bad = { next: 'refused', why: 'bad-credentials' }
  const signIn = (user: string, password: string) => h.ask('sign-in.password', { client: CLIENT, user, password })
  t.match(await signIn('ann@a.test', 'ann in the directory'), bad, 'in the directory, and no user here')
  await h.call('user.add', { address: 'ann@a.test' })
  t.match(await signIn('ann@a.test', 'ann in the directory'), { next: 'refused', why: 'needs-invitation' })
  const accepted = await h.ask('invitation.accept', {
    client: CLIENT,
    invitation: await invitationFor(h, 'ann@a.test'),
  })
  if (accepted.next !== 'signed-in') throw new Error('refused')
  const { seed, session } = await addApp(h, accepted.session.token)
  t.match(
    await h.ask('session.show', { client: CLIENT, session }),
    { enrolment: ['app-password'] },
    'no password of ours',
  )
  await t.rejects(h.ask('password.set', { client: CLIENT, session, password: PASSWORD }), { code: 'forbidden' })
  h.pass(30_000)
  const first = await signIn('ann@a.test', 'ann in the directory')
  if (first.next !== 'second-step') throw new Error(JSON.stringify(first))
  const done = await h.ask('sign-in.totp', { client: CLIENT, flow: first.flow, code: codeOf(seed, h.time.at) })
  if (done.next !== 'signed-in') throw new Error(JSON.stringify(done))
  t.match(await h.ask('session.show', { client: CLIENT, session: done.session.token }), {
    factors: [{ factor: 'directory' }, { factor: 'totp' }],
  })
  await h.call('user.add', { address: 'bob@a.test', password: PASSWORD })
  t.match(await signIn('bob@a.test', PASSWORD), { next: 'refused', why: 'needs-invitation' }, 'a local user')
  t.match(await signIn('bob@a.test', 'bob in the directory'), bad, 'whose password is not the one in the directory')
  await h.call('user.disable', { address: 'ann@a.test' })
  t.match(await signIn('ann@a.test', 'ann in the directory'), bad)
})

t.test('guessing here locks nobody out there, nor says who is here (invariant 6)', async (t) => {
  if (!requireService(t, 'slapd')) return
  await using slapd = await startSlapd(PEOPLE)
  const h = await directoryHouse(t, slapd)
  await h.call('user.add', { address: 'ann@a.test' })
  await h.call('user.add', { address: 'local@a.test', password: PASSWORD })
  const guess = (user: string, password: string) => h.ask('sign-in.password', { client: CLIENT, user, password })
  const names = { 'ann@a.test': 'hers', 'bob@a.test': 'no user here', 'x@a.test': 'nobody', 'local@a.test': 'ours' }
  for (const [name, whose] of Object.entries(names)) {
    for (let i = 0; i < 5; i++) t.match(await guess(name, `guess ${i}`), { why: 'bad-credentials' }, whose)
    t.match(await guess(name, 'guess 3'), { why: 'bad-credentials' }, `${whose}: refused before, and not sent again`)
    await t.rejects(guess(name, 'guess 6'), { code: 'throttled' }, `${whose}: five a quarter of an hour`)
  }
  const binds = (who: string) => slapd.log().match(new RegExp(`BIND dn="${who},dc=a,dc=test" method=128`, 'g')) ?? []
  t.equal(binds('uid=ann').length, 5)
  t.equal(binds('uid=bob').length, 0, 'the directory hears of nobody who is no user here')
  t.equal(binds('cn=nobody-[0-9a-f]+').length, 1 + 3 * 6, 'and takes as long')
  t.match(
    await guess('local@a.test', PASSWORD),
    { why: 'needs-invitation' },
    'a right password of ours is not rationed',
  )
  await h.call('throttle.clear', { user: 'bob@a.test' })
  t.match(await guess('bob@a.test', 'guess 7'), { why: 'bad-credentials' }, 'an administrator lets somebody try again')
  await t.rejects(guess('ann@a.test', 'guess 7'), { code: 'throttled' }, 'and nobody else')
  h.pass(16 * 60_000)
  t.match(await guess('ann@a.test', 'ann in the directory'), { why: 'needs-invitation' })
  await slapd.stop()
  for (const [name, whose] of Object.entries(names)) {
    await t.rejects(guess(name, 'not a guess'), { code: 'unavailable' }, `${whose}: never a wrong password`)
  }
})
