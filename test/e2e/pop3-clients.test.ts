/**
 * POP3 through the whole product with real mail programs: curl, openssl, Python's poplib, mpop, fetchmail; a real Dovecot
 * behind implicit TLS and a master user.
 */

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import t from 'tap'
import type { Dovecot } from '../support/dovecot.ts'
import { startDovecot } from '../support/dovecot.ts'
import { awkwardMessage, quoted } from '../support/imap.ts'
import type { ScriptedPeer } from '../support/peer.ts'
import { scriptedClient } from '../support/peer.ts'
import type { Finished } from '../support/program.ts'
import { run } from '../support/program.ts'
import type { IssuedPassword, Sallyport } from '../support/sallyport.ts'
import { cleanEnvironment, masterPasswordFile, startSallyport, upstreamOf } from '../support/sallyport.ts'
import { madeUpPassword, plainPassword } from '../support/secrets.ts'
import { program, requireService } from '../support/services.ts'

const ANN = 'ann@example.org'
const MAIL = 5

interface House {
  readonly gate: Sallyport
  readonly dovecot: Dovecot
  /** For files of the programs. */
  readonly directory: string
  readonly device: IssuedPassword
  /** The first message in Ann's inbox, as it was delivered. */
  readonly first: Buffer
}

t.test('POP3 programs through the gate', async (t) => {
  if (!requireService(t, 'dovecot')) return
  await using dovecot = await startDovecot({ users: { [ANN]: plainPassword() } })
  await using gate = await startSallyport({
    upstreams: { main: upstreamOf(dovecot, masterPasswordFile(dovecot), { pop3: {}, trusted: true }) },
    workers: 1,
  })
  await gate.addUser(ANN)
  const directory = mkdtempSync(join(tmpdir(), 'sp-pop3-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const device = await gate.createAppPassword(ANN, 'old computer')
  const first = awkwardMessage(50_000, 'first message')
  await dovecot.deliver(ANN, first)
  for (let n = 2; n <= MAIL; n++) await dovecot.deliver(ANN, `Subject: message ${n}\r\n\r\n.dot\r\n..\r\n`)
  const house: House = { gate, dovecot, directory, device, first }

  await t.test('client 14: UIDL through the gate is the mail server’s', (t) => uidl(t, house))
  await t.test('curl', (t) => curl(t, house))
  await t.test('openssl s_client', (t) => openssl(t, house))
  await t.test('Python poplib', (t) => poplib(t, house))
  await t.test('mpop', (t) => mpop(t, house))
  await t.test('fetchmail', (t) => fetchmail(t, house))
  await t.test('client 15: 20 MB, byte for byte', (t) => large(t, house))
  await t.test('B9: an app password that is not for POP3', (t) => scope(t, house))
  await t.test('M2, invariant 8: deleting the app password ends the session', (t) => revocation(t, house))

  await t.test('M15: check finds nothing wrong with listeners and upstream', async (t) => {
    const steps = await gate.json<{ hop: string; step: string; ok: boolean }[]>(['check', '--user', ANN])
    const found = steps.filter(({ hop }) => hop.includes('pop3')).map(({ hop, step }) => `${hop.split(' ')[0]} ${step}`)
    t.ok(found.includes('listener greeting') && found.includes('listener tls'), 'both listeners')
    t.ok(found.includes('upstream login'))
  })

  await t.test('R11, M12: every session in the log names its app password; Dovecot never saw one', async (t) => {
    const accepted = gate.lines('login_accepted')
    t.ok(accepted.length >= 8, `${accepted.length} logins`)
    t.ok(accepted.every((line) => line.protocol === 'pop3' && typeof line.app_password === 'string'))
    await dovecot.waitForLog(new RegExp(`session=<${RegExp.escape(String(accepted[0]?.session))}>`))
    t.pass('both logs name the session alike')
    t.same(gate.lines('bug'), [])
    t.notOk(dovecot.log().includes(device.letters) || dovecot.log().includes(device.password))
  })
})

/** Logs in by hand and leaves the reply to STAT for the caller to see that it is in. */
async function logIn(gate: Sallyport, password: string): Promise<ScriptedPeer> {
  const client = await scriptedClient(gate.ports.pop3s, { tls: gate.tls })
  await client.expect(/^\+OK sallyport/)
  client.send(`USER ${ANN}\r\nPASS ${password}\r\nSTAT\r\n`)
  await client.expect(/^\+OK /)
  return client
}

async function uidl(t: Test, { gate, dovecot, device }: House): Promise<void> {
  const ask = async (client: ScriptedPeer, user: string, password: string): Promise<string[]> => {
    await client.line()
    client.send(`USER ${user}\r\nPASS ${password}\r\nUIDL\r\nQUIT\r\n`)
    const lines = (await client.rest()).split('\r\n')
    return lines.filter((line) => /^\d+ \S+$/.test(line))
  }
  using through = await scriptedClient(gate.ports.pop3s, { tls: gate.tls })
  using direct = await scriptedClient(dovecot.ports.pop3)
  const ours = await ask(through, ANN, device.password)
  t.equal(ours.length, MAIL)
  t.same(ours, await ask(direct, ANN, dovecot.users[ANN] ?? ''))
}

/** curl with a password that never stands in argv: options come by standard input. */
async function curl(t: Test, { gate, directory, device, first }: House): Promise<void> {
  if (!requireService(t, 'curl')) return
  const file = join(directory, 'message.eml')
  const ask = (url: string, password: string, ...more: readonly string[]): Promise<Finished> =>
    run(program('curl'), ['--silent', '--show-error', '--cacert', gate.caFile, '--config', '-', ...more, url], {
      input: `user = ${quoted(`${ANN}:${password}`)}\n`,
      env: cleanEnvironment(),
    })
  for (const [name, url, more, mechanism] of [
    ['pop3s://', `pop3s://localhost:${gate.ports.pop3s}/`, [], /^(PLAIN|LOGIN|USER)$/],
    ['pop3:// and STLS', `pop3://localhost:${gate.ports.pop3}/`, ['--ssl-reqd'], /^(PLAIN|LOGIN|USER)$/],
    ['AUTH LOGIN', `pop3s://localhost:${gate.ports.pop3s}/`, ['--login-options', 'AUTH=LOGIN'], /^LOGIN$/],
    ['AUTH PLAIN', `pop3s://localhost:${gate.ports.pop3s}/`, ['--login-options', 'AUTH=PLAIN'], /^PLAIN$/],
    ['initial response', `pop3s://localhost:${gate.ports.pop3s}/`, ['--sasl-ir'], /^(PLAIN|LOGIN|USER)$/],
  ] as const) {
    const mark = gate.mark()
    const list = await ask(url, device.password, ...more)
    t.equal(list.status, 0, `${name}: ${list.output.slice(0, 200)}`)
    t.equal(list.output.trim().split(/\r?\n/).length, MAIL, `${name}: a line for each message`)
    t.match(await gate.waitForLog('login_accepted', undefined, mark), { protocol: 'pop3', mechanism }, name)
  }
  const back = await ask(`pop3s://localhost:${gate.ports.pop3s}/1`, device.password, '-o', file)
  t.equal(back.status, 0, back.output)
  t.ok(readFileSync(file).includes(first), 'client 15: byte for byte')
  // 67: CURLE_LOGIN_DENIED, which a script tells from a broken connection.
  t.equal((await ask(`pop3s://localhost:${gate.ports.pop3s}/`, plainPassword())).status, 67, 'client 11')
}

/** A session typed ahead into openssl, as administrators do. */
async function openssl(t: Test, { gate, device }: House): Promise<void> {
  if (!requireService(t, 'openssl')) return
  const session = [`USER ${ANN}`, `PASS ${device.password}`, 'STAT', 'TOP 2 0', 'CAPA', 'QUIT', ''].join('\n')
  for (const [name, port, more] of [
    ['implicit TLS', gate.ports.pop3s, []],
    ['-starttls pop3', gate.ports.pop3, ['-starttls', 'pop3']],
    ['TLS 1.2', gate.ports.pop3s, ['-tls1_2']],
  ] as const) {
    const where = ['-connect', `127.0.0.1:${port}`, '-servername', 'localhost', '-CAfile', gate.caFile]
    const { status, output } = await run(
      program('openssl'),
      ['s_client', ...where, '-verify_return_error', '-verify_hostname', 'localhost', '-crlf', '-quiet', ...more],
      { input: session },
    )
    t.equal(status, 0, name)
    t.match(output, /^\+OK Logged in\.\r\n\+OK 5 \d+\r\n.*Subject: message 2.*^UIDL\r\n.*^\+OK Logging out/ms, name)
  }
}

/** A wrong password must be an error that the same connection survives. */
async function poplib(t: Test, { gate, device }: House): Promise<void> {
  if (!requireService(t, 'python3')) return
  const script = join(import.meta.dirname, 'poplib_client.py')
  const { status, output } = await run(program('python3'), ['-I', script], {
    env: cleanEnvironment(),
    input: JSON.stringify({
      pop3s: gate.ports.pop3s,
      pop3: gate.ports.pop3,
      ca: gate.caFile,
      user: ANN,
      password: device.password,
      wrong: madeUpPassword(),
    }),
  })
  t.equal(status, 0, output.slice(-500))
  t.same(output.trim().split('\n'), [
    'pop3s: -ERR [AUTH], right, capa, uidl, top',
    'stls: -ERR [AUTH], right, capa, uidl, top',
  ])
}

/** USER, PLAIN and LOGIN; "leave on server" by UIDL. */
async function mpop(t: Test, { gate, directory, device }: House): Promise<void> {
  if (!requireService(t, 'mpop')) return
  const maildir = join(directory, 'mpop')
  for (const name of ['cur', 'new', 'tmp']) mkdirSync(join(maildir, name), { recursive: true })
  const rc = join(directory, 'mpoprc')
  const fetched = (): number => readdirSync(join(maildir, 'new')).length
  for (const [auth, starttls, pipelining] of [
    ['user', 'off', 'auto'],
    ['plain', 'on', 'on'],
    ['login', 'off', 'off'],
  ] as const) {
    const config = `account gate
host localhost
port ${starttls === 'on' ? gate.ports.pop3 : gate.ports.pop3s}
tls on
tls_starttls ${starttls}
tls_trust_file ${gate.caFile}
auth ${auth}
user ${ANN}
password ${quoted(device.password)}
keep on
pipelining ${pipelining}
uidls_file ${join(directory, 'mpop-uidls')}
delivery maildir ${maildir}
`
    writeFileSync(rc, config, { mode: 0o600 })
    const { status, output } = await run(program('mpop'), ['-C', rc, 'gate'], { env: cleanEnvironment() })
    t.equal(status, 0, `mpop ${auth}: ${output.slice(-300)}`)
    t.equal(fetched(), MAIL, `${auth}: everything once, because UIDL says what is there already (client 14)`)
  }
}

/** STLS, UIDL, keep; a wrong password has its own exit status. */
async function fetchmail(t: Test, { gate, directory, device }: House): Promise<void> {
  if (!requireService(t, 'fetchmail')) return
  const home = join(directory, 'fetchmail')
  mkdirSync(home, { mode: 0o700 })
  const rc = join(home, 'fetchmailrc')
  const go = (password: string, port: number, ssl: string): Promise<Finished> => {
    const config = `poll localhost protocol pop3 service ${port} uidl
  user ${quoted(ANN)} password ${quoted(password)} is root here
  keep ${ssl} sslcertck sslcertfile ${gate.caFile} mda "cat >> ${home}/mbox"
`
    writeFileSync(rc, config, { mode: 0o600 })
    return run(program('fetchmail'), ['-f', rc, '--nosyslog', '--pidfile', join(home, 'pid')], {
      env: { ...cleanEnvironment(), HOME: home, FETCHMAILHOME: home },
    })
  }
  const first = await go(device.password, gate.ports.pop3s, 'ssl')
  t.equal(first.status, 0, first.output.slice(-300))
  t.equal(readFileSync(join(home, 'mbox'), 'latin1').match(/^Subject: message [2-5]/gm)?.length, MAIL - 1)
  // 1: there was no mail, which is what UIDL is for.
  const second = await go(device.password, gate.ports.pop3, "sslproto 'TLS1.2+'")
  t.equal(second.status, 1, `STLS, nothing new: ${second.output.slice(-300)}`)
  // 3: authentication failed.
  t.equal((await go(madeUpPassword(), gate.ports.pop3s, 'ssl')).status, 3, 'client 11')
}

async function large(t: Test, { gate, dovecot, device }: House): Promise<void> {
  const message = awkwardMessage(20_000_000, 'large')
  await dovecot.deliver(ANN, message)
  using client = await logIn(gate, device.password)
  await client.expect(/^\+OK Logged in\.$/)
  await client.expect(/^\+OK 6 /)
  client.send('RETR 6\r\nDELE 6\r\nQUIT\r\n')
  const answer = Buffer.from(await client.rest(60_000), 'latin1')
  const text = answer.toString('latin1').replace(/^\.\./gm, '.')
  t.ok(text.includes(message.toString('latin1')), 'as it was delivered')
  t.match(text.slice(-200), /\r\n\.\r\n\+OK [^\r]*\r\n\+OK [^\r]*\r\n$/, 'and the commands behind it were run')
}

async function scope(t: Test, { gate }: House): Promise<void> {
  const imapOnly = await gate.createAppPassword(ANN, 'imap only', ['--protocols', 'imap'])
  using client = await logIn(gate, imapOnly.password)
  t.match(await client.line(), /^-ERR \[AUTH\] This app password may not be used for POP3\.$/)
  t.equal(await client.line(), '-ERR Please log in first.', 'and the connection stays open')
  t.match(await gate.waitForLog('login_refused', (line) => line.reason === 'not-on-this-protocol'), {
    protocol: 'pop3',
    user: ANN,
  })
}

async function revocation(t: Test, { gate }: House): Promise<void> {
  const phone = await gate.createAppPassword(ANN, 'stolen phone')
  using client = await logIn(gate, phone.password)
  await client.expect(/^\+OK Logged in\.$/)
  await client.expect(/^\+OK \d/)
  const deleted = gate.json<{ sessionsEnded: number }>(['app-password', 'delete', phone.id, '--yes'])
  await gate.waitForLog('app_password_deleted')
  t.ok((await client.untilClosed()) < 1_000, 'within a second')
  t.match(await deleted, { sessionsEnded: 1 })
  using again = await logIn(gate, phone.password)
  t.match(await again.line(), /^-ERR \[AUTH\] /, 'and it does not come back')
}
