/**
 * Scanner listeners (M11) of the whole product: swaks as the scanner, with a short name and TLS 1.0, from an office network; a
 * real Postfix behind. OpenSSL asks every other port for TLS 1.0 (threat A3) and must be refused.
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import t from 'tap'
import { startDovecot } from '../support/dovecot.ts'
import { freePort } from '../support/ports.ts'
import { canRunPostfix, saslListener, startPostfix } from '../support/postfix.ts'
import { run } from '../support/program.ts'
import type { Sallyport } from '../support/sallyport.ts'
import { cleanEnvironment, masterPasswordFile, startSallyport, upstreamOf } from '../support/sallyport.ts'
import { plainPassword } from '../support/secrets.ts'
import { program, requireService } from '../support/services.ts'

const SCANNER = 'scanner@example.org'
/** Debian's own settings forbid what these tests are about. */
const OLD = { ...cleanEnvironment(), OPENSSL_CONF: '/dev/null' }
const OFFICE = '127.0.5.7'
const ELSEWHERE = '127.0.6.7'

t.setTimeout(240_000)

/** Whether OpenSSL can do this version with a port, and what it says. */
async function handshake(port: number, version: string, more: readonly string[] = []): Promise<string | null> {
  const { output } = await run(
    program('openssl'),
    [
      's_client',
      '-connect',
      `127.0.0.1:${port}`,
      '-bind',
      `${OFFICE}:0`,
      version,
      '-cipher',
      'ALL:@SECLEVEL=0',
      ...more,
    ],
    { env: OLD, input: '' },
  )
  const [, protocol, cipher] = /^New, (?:TLSv[\d.]+|SSLv3), Cipher is (?=(\S+))(\S+)/m.exec(output) ?? []
  return protocol === undefined || cipher === '(NONE)' ? null : (/Protocol *: (\S+)/.exec(output)?.[1] ?? null)
}

t.test('a scanner with TLS 1.0 and a short name', async (t) => {
  if (!canRunPostfix(t) || !requireService(t, 'swaks')) return
  const saslPort = await freePort()
  await using dovecot = await startDovecot({ users: { [SCANNER]: plainPassword() }, extra: saslListener(saslPort) })
  await using postfix = await startPostfix(dovecot, saslPort)
  const ports = { starttls: await freePort(), implicit: await freePort(), modern: await freePort() }
  const scanner = {
    allowedNetworks: ['127.0.5.0/24'],
    aliases: { scan1: { user: SCANNER, sender: SCANNER }, scan2: { user: 'not-added-yet@example.org' } },
  }
  const smtp = { protocol: 'smtp', bind: '127.0.0.1' }
  const balanced = await freePort()
  await using gate = await startSallyport({
    upstreams: {
      main: upstreamOf(dovecot, masterPasswordFile(dovecot), {
        pop3: {},
        smtp: { port: postfix.ports.submissions, caFile: postfix.caFile },
      }),
    },
    listeners: [
      { ...smtp, port: ports.starttls, tls: 'starttls', scanner: { ...scanner, allowInsecureTls: 'TLSv1' } },
      { ...smtp, port: ports.implicit, tls: 'implicit', scanner: { ...scanner, allowInsecureTls: 'TLSv1.1' } },
      { ...smtp, port: ports.modern, tls: 'implicit', scanner },
      {
        ...smtp,
        port: balanced,
        tls: 'starttls',
        proxyProtocol: { from: ['127.0.0.1/32'] },
        scanner: { allowedNetworks: ['10.20.0.0/16'] },
      },
    ],
    workers: 1,
  })
  await gate.addUser(SCANNER)
  const device = await gate.createAppPassword(SCANNER, 'copier', ['--protocols', 'smtp'])
  const directory = mkdtempSync(join(tmpdir(), 'sp-scanner-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const file = join(directory, 'swaksrc')
  writeFileSync(file, `--auth-password ${device.letters}\n`, { mode: 0o600 })
  const swaks = (user: string, port: number, from: string, more: readonly string[]) =>
    run(
      program('swaks'),
      [
        ...['--config', file, '--server', '127.0.0.1', '--port', String(port), '--local-interface', from],
        ...['--from', SCANNER, '--to', SCANNER, '--auth', 'LOGIN', '--auth-user', user, ...more],
      ],
      { env: OLD },
    )
  const old = (version: string) => ['--tls-protocol', version, '--tls-cipher', 'ALL:@SECLEVEL=0']

  for (const [name, user, port, more] of [
    ['STARTTLS with TLS 1.0', 'scan1', ports.starttls, ['--tls', ...old('tlsv1')]],
    ['STARTTLS with TLS 1.2, alias in capitals', 'SCAN1', ports.starttls, ['--tls']],
    ['implicit TLS 1.1', 'scan1', ports.implicit, ['--tls-on-connect', ...old('tlsv1_1')]],
    ['the whole address works as well', SCANNER, ports.modern, ['--tls-on-connect']],
  ] as const) {
    const since = gate.mark()
    const { status, output } = await swaks(user, port, OFFICE, more)
    t.equal(status, 0, name)
    t.ok(/^<~ +235 /m.test(output), `${name}: was let in`)
    const line = await gate.waitForLog('login_accepted', undefined, since)
    t.match(line, { user: SCANNER, app_password_name: 'copier', remote_ip: OFFICE }, 'C5: logged as the account')
  }

  await t.test('an alias is a name on its own port only (C5)', async (t) => {
    const { status, output } = await swaks('scan1', gate.ports.smtps, OFFICE, ['--tls-on-connect'])
    t.equal(status, 28, 'swaks’ own code for a failed AUTH')
    t.match(output, /<~\* 535 5\.7\.8 /)
  })

  await t.test('other networks are refused at the door, whatever they know', async (t) => {
    for (const port of Object.values(ports)) {
      const { output, status } = await swaks('scan1', port, ELSEWHERE, ['--tls'])
      t.not(status, 0)
      t.notMatch(output, /^<[-~*]+ +220 /m, 'not even a greeting')
    }
    t.match(await gate.waitForLog('warning', ({ remote_ip }) => remote_ip === ELSEWHERE), { msg: /allowedNetworks/ })
  })

  await t.test('behind a load balancer, the address in its header counts, and there must be one', async (t) => {
    for (const [header, lets, why, from] of [
      [proxied('10.20.3.4'), true, 'from the office', '127.0.0.1'],
      [proxied('10.21.3.4'), false, 'from elsewhere', '127.0.0.1'],
      ['PROXY UNKNOWN\r\n', false, 'from nobody knows where', '127.0.0.1'],
      ['', false, 'no header', '127.0.0.1'],
      [proxied('10.20.3.4'), false, 'the header of a stranger', ELSEWHERE],
    ] as const) {
      t.equal(await greets(balanced, header, from), lets, why)
    }
  })

  await t.test('A3: old TLS where it is written, and nowhere else', (t) => oldTls(t, gate, ports))

  await t.test('check shows who may connect, how old the TLS is, and whose the short names are', async (t) => {
    const { stdout } = await gate.cli(['check', '--json'])
    const steps = JSON.parse(stdout) as {
      hop: string
      step: string
      ok: boolean
      detail: string
      advice: string | null
    }[]
    const mine = steps.filter(({ hop }) => hop === `listener smtp-${ports.starttls}`)
    t.match(mine, [
      { step: 'allowed networks', ok: true, detail: '127.0.5.0/24' },
      { step: 'oldest TLS', ok: true, detail: 'TLSv1', advice: /broken/ },
      { step: 'alias scan1', ok: true, detail: `logs in as ${SCANNER}, sends as ${SCANNER}`, advice: null },
      { step: 'alias scan2', ok: true, advice: /sallyport user add not-added-yet@example\.org$/ },
      { step: 'connect', ok: true, detail: /not in allowedNetworks/ },
    ])
  })
  t.same(gate.lines('bug'), [])
})

const proxied = (ip: string) => `PROXY TCP4 ${ip} 127.0.0.1 40001 25\r\n`

/** Whether a port in clear greets whoever begins like this; waits for its greeting or its end. */
async function greets(port: number, header: string, from: string): Promise<boolean> {
  const socket = connect({ host: '127.0.0.1', port, localAddress: from })
  socket.on('error', () => {})
  if (header === '') socket.write('EHLO scanner\r\n')
  else socket.write(header)
  try {
    for await (const part of socket) return /^220 /.test(String(part))
  } catch {
    return false // reset, which is an end as well
  } finally {
    socket.destroy()
  }
  return false
}

async function oldTls(
  t: Test,
  gate: Sallyport,
  ports: { readonly starttls: number; readonly implicit: number; readonly modern: number },
): Promise<void> {
  const smtp = ['-starttls', 'smtp']
  t.equal(await handshake(ports.starttls, '-tls1', smtp), 'TLSv1', 'allowInsecureTls: TLSv1')
  t.equal(await handshake(ports.implicit, '-tls1_1'), 'TLSv1.1', 'allowInsecureTls: TLSv1.1')
  t.equal(await handshake(ports.implicit, '-tls1'), null, 'but not 1.0 there')
  for (const version of ['-tls1', '-tls1_1']) {
    for (const [name, port, more] of [
      ['a scanner listener without it', ports.modern, []],
      ['imaps', gate.ports.imaps, []],
      ['pop3s', gate.ports.pop3s, []],
      ['smtps', gate.ports.smtps, []],
      ['imap', gate.ports.imap, ['-starttls', 'imap']],
      ['pop3', gate.ports.pop3, ['-starttls', 'pop3']],
      ['smtp', gate.ports.smtp, smtp],
    ] as const) {
      t.equal(await handshake(port, version, more), null, `${name} refuses ${version}`)
      if (version === '-tls1') t.equal(await handshake(port, '-tls1_2', more), 'TLSv1.2', `${name} takes 1.2`)
    }
  }
}
