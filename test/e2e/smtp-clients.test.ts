/**
 * SMTP submission through the whole product with real mail programs: swaks, curl, msmtp, mutt, nodemailer, git send-email,
 * Python's smtplib. Behind it a real Postfix that asks a real Dovecot who somebody is and delivers to it, so that what was sent is read
 * again over IMAP, through the gate, with the same app password (R11).
 */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ImapFlow } from 'imapflow'
import { createTransport } from 'nodemailer'
import type { Test } from 'tap'
import t from 'tap'
import { startDovecot } from '../support/dovecot.ts'
import { awkwardMessage, quoted } from '../support/imap.ts'
import type { ScriptedPeer } from '../support/peer.ts'
import { scriptedClient } from '../support/peer.ts'
import { freePort } from '../support/ports.ts'
import { canRunPostfix, saslListener, startPostfix } from '../support/postfix.ts'
import type { Finished } from '../support/program.ts'
import { run } from '../support/program.ts'
import type { IssuedPassword, Sallyport } from '../support/sallyport.ts'
import { cleanEnvironment, masterPasswordFile, startSallyport, upstreamOf } from '../support/sallyport.ts'
import { plainPassword } from '../support/secrets.ts'
import { program, requireService } from '../support/services.ts'

const ANN = 'ann@example.org'

interface House {
  readonly gate: Sallyport
  readonly directory: string
  readonly device: IssuedPassword
  /** Subjects of all that was sent, for `arrived`. */
  readonly sent: string[]
}

t.setTimeout(240_000)

t.test('SMTP programs through the gate', async (t) => {
  if (!canRunPostfix(t)) return
  const saslPort = await freePort()
  await using dovecot = await startDovecot({ users: { [ANN]: plainPassword() }, extra: saslListener(saslPort) })
  await using postfix = await startPostfix(dovecot, saslPort)
  const smtp = { port: postfix.ports.submissions, caFile: postfix.caFile }
  await using gate = await startSallyport({
    upstreams: { main: upstreamOf(dovecot, masterPasswordFile(dovecot), { smtp }) },
    workers: 1,
  })
  await gate.addUser(ANN)
  const directory = mkdtempSync(join(tmpdir(), 'sp-smtp-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const device = await gate.createAppPassword(ANN, 'old computer')
  const house: House = { gate, directory, device, sent: [] }

  await t.test('client 13: EHLO announces what Postfix does, from the start', (t) => announces(t, house))
  await t.test('swaks', (t) => swaks(t, house))
  await t.test('curl', (t) => curl(t, house))
  await t.test('msmtp', (t) => msmtp(t, house))
  await t.test('mutt', (t) => mutt(t, house))
  await t.test('nodemailer', (t) => nodemailer(t, house))
  await t.test('git send-email', (t) => gitSendEmail(t, house))
  await t.test('Python smtplib', (t) => smtplib(t, house))
  await t.test('B9: an app password that is not for SMTP', (t) => scope(t, house))
  await t.test('client 15: 8 and 20 MB, byte for byte', (t) => large(t, house))
  await t.test('R11, client 15: all of it is there over IMAP', (t) => arrived(t, house))
  await t.test('M2, invariant 8: deleting the app password ends the session', (t) => revocation(t, house))

  await t.test('M12: every session in the log names its app password; nobody behind ever saw one', async (t) => {
    const accepted = gate.lines('login_accepted').filter(({ protocol }) => protocol === 'smtp')
    t.ok(accepted.length >= 8, `${accepted.length} logins`)
    t.ok(accepted.every((line) => typeof line.app_password === 'string'))
    t.same(gate.lines('bug'), [])
    const behind = dovecot.log() + postfix.log()
    t.notOk(behind.includes(device.letters) || behind.includes(device.password))
  })
})

async function announces(t: Test, { gate }: House): Promise<void> {
  for (let tries = 0; ; tries++) {
    using client = await scriptedClient(gate.ports.smtps, { tls: gate.tls })
    await client.expect(/^220 /)
    client.send('EHLO x\r\nQUIT\r\n')
    const lines = await client.linesUntil(/^250 /)
    if (!lines.includes('250-PIPELINING') && tries < 100) {
      await new Promise((resolve) => setTimeout(resolve, 50))
      continue
    }
    for (const keyword of ['PIPELINING', 'SIZE 20480000', '8BITMIME', 'ENHANCEDSTATUSCODES', 'DSN']) {
      t.ok(lines.includes(`250-${keyword}`), `${keyword} in ${lines.join(' ')}`)
    }
    t.notOk(lines.some((line) => /STARTTLS|XCLIENT/.test(line)))
    t.equal(lines.at(-1), '250 AUTH PLAIN LOGIN')
    return
  }
}

async function swaks(t: Test, { gate, directory, device, sent }: House): Promise<void> {
  if (!requireService(t, 'swaks')) return
  const send = (name: string, password: string, ...more: readonly string[]): Promise<Finished> => {
    // Its own file of options: a password does not belong in argv.
    const file = join(directory, 'swaksrc')
    writeFileSync(file, `--auth-password ${password}\n`, { mode: 0o600 })
    const mail = ['--from', ANN, '--to', ANN, '--header', `Subject: swaks ${name}`, '--auth-user', ANN]
    return run(program('swaks'), ['--config', file, '--server', '127.0.0.1', ...mail, ...more], {
      env: cleanEnvironment(),
    })
  }
  const starttls = ['--port', String(gate.ports.smtp), '--tls']
  const implicit = ['--port', String(gate.ports.smtps), '--tls-on-connect']
  for (const [name, more] of [
    ['PLAIN', [...starttls, '--auth', 'PLAIN']],
    ['LOGIN', [...starttls, '--auth', 'LOGIN']],
    ['implicit', [...implicit, '--auth', 'PLAIN']],
    ['pipelined', [...implicit, '--pipeline', '--auth', 'LOGIN']],
  ] as const) {
    const { status, output } = await send(name, device.letters, ...more)
    // Its transcript holds the password, so it is in no message.
    t.equal(status, 0, name)
    sent.push(`swaks ${name}`)
    t.ok(/^<~ +235 /m.test(output), `${name}: was let in`)
  }
  const wrong = await send('never', plainPassword(), ...starttls, '--auth', 'PLAIN')
  t.equal(wrong.status, 28, 'client 11: swaks’ own code for a failed AUTH')
  t.match(wrong.output, /<~\* 535 5\.7\.8 /)
}

async function curl(t: Test, { gate, directory, device, sent }: House): Promise<void> {
  if (!requireService(t, 'curl')) return
  const send = (name: string, url: string, password: string, ...more: readonly string[]): Promise<Finished> => {
    const file = join(directory, 'curl.eml')
    writeFileSync(file, `Subject: curl ${name}\r\n\r\n.dot\r\n${'x'.repeat(900)}\r\n`)
    const options = ['--silent', '--show-error', '--cacert', gate.caFile, '--config', '-', '--upload-file', file]
    return run(program('curl'), [...options, '--mail-from', ANN, '--mail-rcpt', ANN, ...more, url], {
      input: `user = ${quoted(`${ANN}:${password}`)}\n`,
      env: cleanEnvironment(),
    })
  }
  for (const [name, url, more] of [
    ['smtps', `smtps://localhost:${gate.ports.smtps}/`, []],
    ['STARTTLS', `smtp://localhost:${gate.ports.smtp}/`, ['--ssl-reqd']],
    ['LOGIN', `smtps://localhost:${gate.ports.smtps}/`, ['--login-options', 'AUTH=LOGIN']],
    ['initial response', `smtps://localhost:${gate.ports.smtps}/`, ['--sasl-ir']],
  ] as const) {
    const { status, output } = await send(name, url, device.password, ...more)
    t.equal(status, 0, `${name}: ${output}`)
    sent.push(`curl ${name}`)
  }
  const wrong = await send('never', `smtps://localhost:${gate.ports.smtps}/`, plainPassword())
  t.equal(wrong.status, 67, 'client 11: CURLE_LOGIN_DENIED')
}

async function msmtp(t: Test, { gate, directory, device, sent }: House): Promise<void> {
  if (!requireService(t, 'msmtp')) return
  const send = (name: string, password: string, auth: string): Promise<Finished> => {
    const file = join(directory, 'msmtprc')
    writeFileSync(
      file,
      `account default\nhost localhost\nport ${gate.ports.smtp}\nfrom ${ANN}\nuser ${ANN}\npassword "${password}"\nauth ${auth}
tls on\ntls_starttls on\ntls_trust_file ${gate.caFile}\n`,
      { mode: 0o600 },
    )
    return run(program('msmtp'), ['--file', file, ANN], {
      input: `Subject: msmtp ${name}\n\nhello\n`,
      env: cleanEnvironment(),
    })
  }
  for (const auth of ['plain', 'login']) {
    const { status, output } = await send(auth, device.password, auth)
    t.equal(status, 0, output)
    sent.push(`msmtp ${auth}`)
  }
  t.equal((await send('never', plainPassword(), 'plain')).status, 77, 'client 11: EX_NOPERM')
}

/** Host, user name and app password, and nothing else: whatever it takes for the best way in has to work. */
async function mutt(t: Test, { gate, directory, device, sent }: House): Promise<void> {
  if (!requireService(t, 'mutt')) return
  const home = join(directory, 'mutt')
  mkdirSync(home, { mode: 0o700 })
  const send = (name: string, url: string, password: string): Promise<Finished> => {
    const settings = {
      from: ANN,
      smtp_url: url,
      smtp_pass: password,
      ssl_force_tls: 'yes',
      certificate_file: gate.caFile,
      ssl_usesystemcerts: 'no',
      record: '',
    }
    const lines = Object.entries(settings).map(([key, value]) => `set ${key}=${quoted(value)}\n`)
    writeFileSync(join(home, 'muttrc'), lines.join(''), { mode: 0o600 })
    return run(program('mutt'), ['-F', join(home, 'muttrc'), '-s', `mutt ${name}`, ANN], {
      input: 'hello\n',
      env: { ...cleanEnvironment(), HOME: home },
    })
  }
  for (const [name, url] of [
    ['smtps', `smtps://ann%40example.org@localhost:${gate.ports.smtps}/`],
    ['STARTTLS', `smtp://ann%40example.org@localhost:${gate.ports.smtp}/`],
  ] as const) {
    const { status, output } = await send(name, url, device.password)
    t.equal(status, 0, `${name}: ${output}`)
    sent.push(`mutt ${name}`)
  }
  const wrong = await send('never', `smtps://ann%40example.org@localhost:${gate.ports.smtps}/`, plainPassword())
  t.not(wrong.status, 0, 'client 11')
}

async function nodemailer(t: Test, { gate, device, sent: done }: House): Promise<void> {
  for (const [name, port, secure] of [
    ['implicit TLS', gate.ports.smtps, true],
    ['STARTTLS', gate.ports.smtp, false],
  ] as const) {
    const transport = (pass: string) =>
      createTransport({
        host: '127.0.0.1',
        port,
        secure,
        requireTLS: true,
        tls: { ...gate.tls },
        auth: { user: ANN, pass },
      })
    const large = 'line\r\n'.repeat(500_000)
    const sent = await transport(device.password).sendMail({
      from: ANN,
      to: ANN,
      subject: `nodemailer ${name}`,
      text: `.dot\r\n${secure ? large : ''}`,
    })
    t.match(sent.response, /^250 2\.0\.0 Ok: queued/)
    done.push(`nodemailer ${name}`)
    await t.rejects(transport(plainPassword()).verify(), { code: 'EAUTH', responseCode: 535 }, 'client 11')
  }
}

/** PLAIN with an authorization identity equal to the user. */
async function gitSendEmail(t: Test, { gate, directory, device, sent }: House): Promise<void> {
  if (!requireService(t, 'git send-email')) return
  const patch = join(directory, '0001.patch')
  writeFileSync(
    patch,
    `From 1234567890123456789012345678901234567890 Mon Sep 17 00:00:00 2001\nFrom: Ann <${ANN}>\nSubject: git one\n\n.diff\n`,
  )
  const config = join(directory, 'gitconfig')
  const section = { smtpServer: 'localhost', smtpServerPort: gate.ports.smtp, smtpEncryption: 'tls', smtpUser: ANN }
  const more = { smtpPass: quoted(device.password), smtpSSLCertPath: gate.caFile, confirm: 'never', from: ANN }
  const lines = Object.entries({ ...section, ...more }).map(([key, value]) => `  ${key} = ${value}\n`)
  writeFileSync(config, `[user]\n  name = Ann\n  email = ${ANN}\n[sendemail]\n${lines.join('')}`, { mode: 0o600 })
  const { status, output } = await run('git', ['send-email', '--to', ANN, '--suppress-cc=all', patch], {
    cwd: directory,
    env: { ...cleanEnvironment(), GIT_CONFIG_GLOBAL: config, HOME: directory },
  })
  t.equal(status, 0, output)
  sent.push('git one')
}

async function smtplib(t: Test, { gate, device, sent }: House): Promise<void> {
  if (!requireService(t, 'python3')) return
  const script = `
import smtplib, ssl, sys
port, ca, user, wrong, right = int(sys.stdin.readline()), *[sys.stdin.readline().rstrip("\\n") for _ in range(4)]
with smtplib.SMTP("localhost", port) as s:
    s.starttls(context=ssl.create_default_context(cafile=ca))
    try:
        s.login(user, wrong)
        sys.exit("a wrong password was taken")
    except smtplib.SMTPAuthenticationError as error:
        assert error.smtp_code == 535, error
    s.login(user, right)
    s.sendmail(user, [user], "Subject: smtplib one\\r\\n\\r\\nhello\\r\\n")
`
  const input = [gate.ports.smtp, gate.caFile, ANN, plainPassword(), device.password, ''].join('\n')
  const { status, output } = await run(program('python3'), ['-c', script], { input, env: cleanEnvironment() })
  t.equal(status, 0, output)
  sent.push('smtplib one')
}

/** Says EHLO and logs in, over TLS from the first byte. Answers the line that decides. */
async function logIn(client: ScriptedPeer, letters: string): Promise<string> {
  await client.expect(/^220 /)
  client.send('EHLO x\r\n')
  await client.linesUntil(/^250 /)
  client.send(`AUTH PLAIN ${Buffer.from(`\0${ANN}\0${letters}`).toString('base64')}\r\n`)
  return client.line()
}

async function scope(t: Test, { gate }: House): Promise<void> {
  const imapOnly = await gate.createAppPassword(ANN, 'imap only', ['--protocols', 'imap'])
  using client = await scriptedClient(gate.ports.smtps, { tls: gate.tls })
  t.match(await logIn(client, imapOnly.letters), /^535 5\.7\.8 This app password may not be used for SMTP\b/)
  client.send('NOOP\r\n')
  t.match(await client.line(), /^250 /, 'and the connection stays open')
  t.match(await gate.waitForLog('login_refused', (line) => line.reason === 'not-on-this-protocol'), {
    protocol: 'smtp',
    user: ANN,
  })
}

/** Dot lines, lines of 997 octets and bytes that are no text; what arrives is read over IMAP, through the gate as well. */
async function large(t: Test, house: House): Promise<void> {
  const { gate, device, sent } = house
  for (const [subject, bytes] of [
    ['large 8', 8_000_000],
    ['large 20', 20_000_000],
  ] as const) {
    const message = awkwardMessage(bytes, subject)
    using client = await scriptedClient(gate.ports.smtps, { tls: gate.tls, timeoutMs: 60_000 })
    t.match(await logIn(client, device.letters), /^235 /)
    client.send(`MAIL FROM:<${ANN}> BODY=8BITMIME SIZE=${message.length}\r\nRCPT TO:<${ANN}>\r\nDATA\r\n`)
    await client.linesUntil(/^354 /)
    client.send(Buffer.from(message.toString('latin1').replace(/^\./gm, '..'), 'latin1'))
    client.send('.\r\nQUIT\r\n')
    t.match(await client.line(), /^250 2\.0\.0 Ok: queued/, subject)
    t.match(await client.line(), /^221 /)
    sent.push(subject)
    await using mail = await openMail(house)
    const uid = await mail.find(subject)
    const found = await mail.imap.fetchOne(String(uid), { source: true }, { uid: true })
    const source = (found ? found.source : undefined) ?? Buffer.alloc(0)
    // Postfix adds to the header what was missing there.
    const body = message.subarray(message.indexOf('\r\n\r\n'))
    t.ok(source.subarray(source.indexOf('\r\n\r\n')).equals(body), `${subject}: as it was sent`)
  }
}

/** An IMAP client with INBOX open. */
interface Mail extends AsyncDisposable {
  readonly imap: ImapFlow
  subjects(): Promise<readonly (readonly [uid: number, subject: string])[]>
  /** Waits for a message and answers its UID. @throws when it does not come */
  find(subject: string): Promise<number>
}

async function openMail({ gate, device }: House): Promise<Mail> {
  const imap = new ImapFlow({
    host: '127.0.0.1',
    port: gate.ports.imaps,
    secure: true,
    servername: 'localhost',
    tls: { ca: gate.ca },
    auth: { user: ANN, pass: device.password },
    logger: false,
  })
  await imap.connect()
  const lock = await imap.getMailboxLock('INBOX')
  const subjects = async () => {
    await imap.noop()
    const all = await imap.fetchAll('1:*', { envelope: true, uid: true })
    return all.map(({ uid, envelope }) => [uid, envelope?.subject ?? ''] as const)
  }
  return {
    imap,
    subjects,
    async find(subject) {
      const until = performance.now() + 30_000
      while (performance.now() < until) {
        const found = (await subjects()).find(([, each]) => each === subject)
        if (found) return found[0]
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
      throw new Error(`${subject} did not arrive`)
    },
    async [Symbol.asyncDispose]() {
      lock.release()
      await imap.logout()
    },
  }
}

async function arrived(t: Test, house: House): Promise<void> {
  await using mail = await openMail(house)
  for (const subject of house.sent) await mail.find(subject)
  const subjects = (await mail.subjects()).map(([, subject]) => subject)
  t.strictSame(subjects.toSorted(), house.sent.toSorted(), 'each once, and nothing else')
}

async function revocation(t: Test, { gate }: House): Promise<void> {
  const doomed = await gate.createAppPassword(ANN, 'doomed')
  using client = await scriptedClient(gate.ports.smtps, { tls: gate.tls })
  await client.expect(/^220 /)
  client.send(`EHLO x\r\nAUTH PLAIN ${Buffer.from(`\0${ANN}\0${doomed.letters}`).toString('base64')}\r\nNOOP\r\n`)
  await client.linesUntil(/^235 /)
  await client.expect(/^250 /)
  await gate.cli(['app-password', 'delete', doomed.id, '--yes'])
  t.ok((await client.untilClosed()) < 3000)
}
