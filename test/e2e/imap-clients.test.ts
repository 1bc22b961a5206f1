/**
 * The whole product with real mail programs: imapflow, curl, openssl, Python's imaplib, mbsync. One app password for all of
 * them (R11), both TLS listeners, a real Dovecot behind implicit TLS and a master user.
 */

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ImapFlow } from 'imapflow'
import type { Test } from 'tap'
import t from 'tap'
import type { Dovecot } from '../support/dovecot.ts'
import { messagesOnDisk, startDovecot } from '../support/dovecot.ts'
import { awkwardMessage, quoted } from '../support/imap.ts'
import type { Finished } from '../support/program.ts'
import { run } from '../support/program.ts'
import type { IssuedPassword, Sallyport } from '../support/sallyport.ts'
import { cleanEnvironment, masterPasswordFile, startSallyport, upstreamOf } from '../support/sallyport.ts'
import { madeUpPassword, plainPassword } from '../support/secrets.ts'
import { program, requireService } from '../support/services.ts'

const ANN = 'ann@example.org'
const SYNC = 'sync@example.org'

interface House {
  readonly gate: Sallyport
  readonly dovecot: Dovecot
  /** For files of the programs. */
  readonly directory: string
  readonly device: IssuedPassword
  readonly sync: IssuedPassword
}

t.test('real mail programs through the gate', async (t) => {
  if (!requireService(t, 'dovecot')) return
  await using dovecot = await startDovecot({ users: { [ANN]: plainPassword(), [SYNC]: plainPassword() } })
  await using gate = await startSallyport({ upstreams: { main: upstreamOf(dovecot, masterPasswordFile(dovecot)) } })
  await gate.addUser(ANN)
  await gate.addUser(SYNC)
  const directory = mkdtempSync(join(tmpdir(), 'sp-clients-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const device = await gate.createAppPassword(ANN, 'everything on this desk')
  const sync = await gate.createAppPassword(SYNC, 'isync')
  await dovecot.deliver(ANN, 'From: a@example.org\r\nSubject: first message\r\n\r\n.hello\r\n')
  const house: House = { gate, dovecot, directory, device, sync }

  await t.test('imapflow', (t) => imapflow(t, house))
  await t.test('curl', (t) => curl(t, house))
  await t.test('openssl s_client', (t) => openssl(t, house))
  await t.test('Python imaplib', (t) => imaplib(t, house))
  await t.test('mbsync', (t) => mbsync(t, house))

  await t.test('R11, M12: one app password, and every session in the log names it', async (t) => {
    const accepted = gate.lines('login_accepted')
    t.ok(accepted.length >= 10, `${accepted.length} logins`)
    t.same([...new Set(accepted.map((line) => line.app_password))].sort(), [device.id, sync.id].sort())
    t.same(gate.lines('bug'), [])
    t.notOk(dovecot.log().includes(device.letters) || dovecot.log().includes(device.password))
  })
})

/** ID before and after login, PLAIN in two steps, COMPRESS at once, special-use, IDLE. */
async function imapflow(t: Test, { gate, dovecot, device }: House): Promise<void> {
  const client = (pass: string, port: number, secure: boolean): ImapFlow =>
    new ImapFlow({
      host: '127.0.0.1',
      port,
      secure,
      ...(secure ? {} : { doSTARTTLS: true }),
      servername: 'localhost',
      tls: { ca: gate.ca },
      auth: { user: ANN, pass },
      logger: false,
    })
  for (const [name, port, secure] of [
    ['implicit TLS', gate.ports.imaps, true],
    ['STARTTLS', gate.ports.imap, false],
  ] as const) {
    const mail = client(device.password, port, secure)
    await mail.connect()
    t.equal(mail.usable, true, `R1: ${name}`)
    t.ok(mail.enabled.size >= 0 && mail.capabilities.has('IDLE'), 'client 4: capabilities of the upstream')
    const boxes = await mail.list()
    t.same(
      boxes
        .map((box) => box.specialUse ?? '')
        .filter(Boolean)
        .sort(),
      ['\\Drafts', '\\Inbox', '\\Sent', '\\Trash'],
    )
    const lock = await mail.getMailboxLock('INBOX')
    const message = (await mail.fetchOne('1', { envelope: true, source: true })) || null
    t.equal(message?.envelope?.subject, 'first message')
    const body = awkwardMessage(300_000, name)
    const appended = (await mail.append('INBOX', body)) || null
    const back = (await mail.fetchOne(String(appended?.uid), { source: true }, { uid: true })) || null
    t.ok(back?.source?.equals(body), 'client 15: byte for byte')
    const exists = new Promise<number>((resolve) =>
      mail.once('exists', (event: { count: number }) => resolve(event.count)),
    )
    const idling = mail.idle()
    await dovecot.deliver(ANN, 'Subject: pushed\r\n\r\nx\r\n')
    t.ok((await exists) > 2, 'client 10: IDLE')
    await mail.noop()
    await idling
    lock.release()
    await mail.logout()
  }
  const wrong = client(madeUpPassword(), gate.ports.imaps, true)
  const refused = await wrong.connect().then(
    () => null,
    (error: { authenticationFailed?: boolean; serverResponseCode?: string }) => error,
  )
  t.equal(refused?.authenticationFailed, true, 'client 11: imapflow knows a wrong password')
  t.equal(refused?.serverResponseCode, 'AUTHENTICATIONFAILED')
}

/** curl with a password that never stands in argv: options come by standard input. */
async function curl(t: Test, { gate, directory, device }: House): Promise<void> {
  if (!requireService(t, 'curl')) return
  const ask = (url: string, password: string, ...more: readonly string[]): Promise<Finished> =>
    run(program('curl'), ['--silent', '--show-error', '--cacert', gate.caFile, '--config', '-', ...more, url], {
      input: `user = ${quoted(`${ANN}:${password}`)}\n`,
      env: cleanEnvironment(),
    })
  const message = awkwardMessage(50_000, 'from curl').toString('latin1')
  const file = join(directory, 'message.eml')
  writeFileSync(file, message, 'latin1')
  for (const [name, url, more] of [
    ['imaps://', `imaps://localhost:${gate.ports.imaps}/`, []],
    ['imap:// and STARTTLS', `imap://localhost:${gate.ports.imap}/`, ['--ssl-reqd']],
    ['imaps:// and SASL LOGIN', `imaps://localhost:${gate.ports.imaps}/`, ['--login-options', 'AUTH=LOGIN']],
  ] as const) {
    const list = await ask(url, device.password, ...more)
    t.equal(list.status, 0, `${name}: ${list.output.slice(0, 200)}`)
    t.match(list.output, /^\* LIST .* INBOX\r$/m, name)
  }
  t.equal((await ask(`imaps://localhost:${gate.ports.imaps}/Drafts`, device.password, '-T', file)).status, 0)
  const back = await ask(
    `imaps://localhost:${gate.ports.imaps}/Drafts;MAILINDEX=1`,
    device.password,
    '-o',
    `${file}.back`,
  )
  t.equal(back.status, 0, back.output)
  t.ok(readFileSync(`${file}.back`).equals(readFileSync(file)), 'upload and download, byte for byte')
  // 67: CURLE_LOGIN_DENIED, which a script tells from a broken connection.
  t.equal((await ask(`imaps://localhost:${gate.ports.imaps}/`, plainPassword())).status, 67, 'client 11')
}

/** A session typed ahead into openssl, as administrators do. */
async function openssl(t: Test, { gate, device }: House): Promise<void> {
  if (!requireService(t, 'openssl')) return
  const session = [
    'a ID ("name" "openssl")',
    `b LOGIN {${ANN.length}+}`,
    `${ANN} ${quoted(device.password)}`,
    'c SELECT INBOX',
    'd FETCH 1 BODY.PEEK[HEADER.FIELDS (SUBJECT)]',
    'e LOGOUT',
    '',
  ].join('\n')
  for (const [name, port, more] of [
    ['implicit TLS', gate.ports.imaps, []],
    ['-starttls imap', gate.ports.imap, ['-starttls', 'imap']],
    ['TLS 1.2', gate.ports.imaps, ['-tls1_2']],
  ] as const) {
    const where = ['-connect', `127.0.0.1:${port}`, '-servername', 'localhost', '-CAfile', gate.caFile]
    const { status, output } = await run(
      program('openssl'),
      ['s_client', ...where, '-verify_return_error', '-verify_hostname', 'localhost', '-crlf', '-quiet', ...more],
      { input: session },
    )
    t.equal(status, 0, name)
    t.match(
      output,
      /^\* ID .*^a OK .*^b OK \[CAPABILITY .*^c OK .*Subject: first message.*^d OK .*^\* BYE .*^e OK /ms,
      name,
    )
  }
  const old = await run(program('openssl'), [
    's_client',
    '-connect',
    `127.0.0.1:${gate.ports.imaps}`,
    '-servername',
    'localhost',
    '-tls1_1',
    '-cipher',
    'ALL:@SECLEVEL=0',
  ])
  t.not(old.status, 0, 'TLS 1.1 is refused')
}

/** A wrong password must be `error`, not `abort`, and the same connection must go on. */
async function imaplib(t: Test, { gate, device }: House): Promise<void> {
  if (!requireService(t, 'python3')) return
  const script = join(import.meta.dirname, 'imaplib_client.py')
  const { status, output } = await run(program('python3'), ['-I', script], {
    env: cleanEnvironment(),
    input: JSON.stringify({
      imaps: gate.ports.imaps,
      imap: gate.ports.imap,
      ca: gate.caFile,
      user: ANN,
      password: device.password,
      wrong: madeUpPassword(),
    }),
  })
  t.equal(status, 0, output.slice(-500))
  t.same(output.trim().split('\n'), [
    'imaps: wrong, right, list, append, fetch',
    'starttls: wrong, right, list, append, fetch',
  ])
}

/** COMPRESS first thing after login, up to 50 commands in flight, both directions. */
async function mbsync(t: Test, { gate, dovecot, directory, sync }: House): Promise<void> {
  if (!requireService(t, 'mbsync')) return
  const root = join(directory, 'isync')
  const inbox = join(root, 'mail/INBOX')
  for (const name of ['cur', 'new', 'tmp']) mkdirSync(join(inbox, name), { recursive: true })
  for (let n = 0; n < 60; n++) {
    writeFileSync(
      join(inbox, `new/${1_700_000_000 + n}.${n}.here`),
      `Subject: local ${n}\nMessage-ID: <l${n}@here>\n\nbody ${n}\n`,
    )
  }
  for (let n = 0; n < 40; n++) {
    await dovecot.deliver(SYNC, `Subject: remote ${n}\r\nMessage-ID: <r${n}@there>\r\n\r\nbody ${n}\r\n`)
  }
  const rc = join(root, 'mbsyncrc')
  const config = (mechanisms: string, tls: string, port: number): string => `
IMAPAccount gate
Host localhost
Port ${port}
User ${SYNC}
Pass ${quoted(sync.password)}
SSLType ${tls}
CertificateFile ${gate.caFile}
SystemCertificates no
AuthMechs ${mechanisms}
PipelineDepth 50
Timeout 20

IMAPStore far
Account gate

MaildirStore near
Path ${root}/mail/
Inbox ${inbox}

Channel all
Far :far:
Near :near:
Create Both
Expunge Both
SyncState ${root}/
`
  const go = async (mechanisms: string, tls: string, port: number): Promise<void> => {
    writeFileSync(rc, config(mechanisms, tls, port), { mode: 0o600 })
    const { status, output } = await run(program('mbsync'), ['-c', rc, '-a'], { env: cleanEnvironment() })
    t.equal(status, 0, `mbsync ${mechanisms} ${tls}: ${output.slice(-300)}`)
  }
  const local = (): number => ['cur', 'new'].reduce((sum, name) => sum + readdirSync(join(inbox, name)).length, 0)

  await go('PLAIN', 'IMAPS', gate.ports.imaps)
  t.equal(local(), 100, 'all pulled')
  t.equal(messagesOnDisk(dovecot, SYNC), 100, 'all pushed')
  await dovecot.deliver(SYNC, 'Subject: one more\r\nMessage-ID: <more@there>\r\n\r\nx\r\n')
  await go('LOGIN', 'STARTTLS', gate.ports.imap)
  t.equal(local(), 101, 'the new one, and none twice')
  t.equal(messagesOnDisk(dovecot, SYNC), 101)
  await gate.waitForLog('login_accepted', (line) => line.listener === `imap-${gate.ports.imap}` && line.user === SYNC)
}
