/**
 * A real Dovecot of one's own: private, unprivileged, on free loopback ports, gone when the test is.
 *
 *     await using dovecot = await startDovecot({ users: { 'ann@example.org': plainPassword() } })
 *
 * One instance offers everything: clear text and STARTTLS, implicit TLS, PROXY-protocol listeners, a master user by
 * separator `*` and by SASL authorization identity, POP3 and LMTP. Its log holds every secret it was ever told.
 */

import { chmodSync, chownSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { CertificateAuthority, PemPair } from './certificates.ts'
import { createCa } from './certificates.ts'
import type { DovecotPorts } from './dovecot-config.ts'
import { dovecotConf, passwdFile } from './dovecot-config.ts'
import { scriptedClient } from './peer.ts'
import { accepts, freePort, waitForPort } from './ports.ts'
import { ordinaryAccount, Program } from './program.ts'
import { noteSecret, plainPassword } from './secrets.ts'
import { program } from './services.ts'

export interface DovecotOptions {
  /** Mailbox address → the mailbox's own password (no colon). Default one user, ann@example.org. */
  readonly users?: Readonly<Record<string, string>>
  readonly master?: { readonly user: string; readonly password: string }
  readonly masterSeparator?: string
  /** Default: a leaf for localhost and 127.0.0.1 by a CA of its own. */
  readonly tls?: { readonly pair: PemPair; readonly ca: string }
  /** Networks whose ID x-originating-ip is believed. Default loopback. */
  readonly trustedNetworks?: readonly string[]
  /** Seconds that Dovecot itself waits before it refuses. Default 0. */
  readonly failureDelaySeconds?: number
  /** Refuse a password in clear text even from loopback. Default false. */
  readonly requireTls?: boolean
  /** Further lines for dovecot.conf. */
  readonly extra?: string
}

export interface Dovecot extends AsyncDisposable {
  readonly ports: DovecotPorts
  /** PEM of the authority that its certificate comes from, and the same as a file. */
  readonly ca: string
  readonly caFile: string
  readonly master: { readonly user: string; readonly password: string }
  readonly users: Readonly<Record<string, string>>
  readonly directory: string
  /** The whole log so far, with SASL blobs decoded behind the lines that hold them: what is not in here was never said. */
  log(): string
  /** A mark in the log; hand it to `logSince`. */
  mark(): number
  logSince(mark: number): string
  /** The first line of the log (from `mark`) that matches. @throws after `timeoutMs` */
  waitForLog(pattern: RegExp, mark?: number, timeoutMs?: number): Promise<RegExpExecArray>
  /** Puts a message into a mailbox, past every login: what another sender's mail looks like. Default INBOX. */
  deliver(user: string, message: string | Uint8Array): Promise<void>
  /** Ends the server the hard way; its ports refuse connections afterwards. */
  stop(): Promise<void>
  /** Starts it again on the same ports with the same mail. */
  start(): Promise<void>
  /** Changes the master user's password in the running server; resolves when it is the one that counts. */
  setMasterPassword(password: string): Promise<void>
}

export const SAMPLE_USER = 'ann@example.org'
/** An account of our own that only warms the server up. */
const WARM_UP_USER = 'warm-up@dovecot.invalid'

export async function startDovecot(options: DovecotOptions = {}): Promise<Dovecot> {
  const account = ordinaryAccount()
  const users = options.users ?? { [SAMPLE_USER]: plainPassword() }
  const master = options.master ?? { user: 'sallyport', password: plainPassword() }
  for (const password of [...Object.values(users), master.password]) noteSecret(password)
  const warmUpPassword = plainPassword()
  const separator = options.masterSeparator ?? '*'

  const directory = mkdtempSync(join(tmpdir(), 'sp-dovecot-'))
  const tls = options.tls ?? (await ownCertificate())
  const ports: DovecotPorts = {
    imap: await freePort(),
    imaps: await freePort(),
    imapProxy: await freePort(),
    imapsProxy: await freePort(),
    pop3: await freePort(),
    pop3s: await freePort(),
    lmtp: await freePort(),
  }
  const own = (path: string): string => {
    if (account.uid !== undefined) chownSync(path, account.uid, account.gid ?? account.uid)
    return path
  }
  const put = (name: string, text: string): string => {
    writeFileSync(join(directory, name), text, { mode: 0o600 })
    return own(join(directory, name))
  }
  own(directory)
  chmodSync(directory, 0o711)
  for (const name of ['run', 'state', 'mail']) {
    mkdirSync(join(directory, name))
    own(join(directory, name))
  }
  put('cert.pem', tls.pair.cert)
  put('key.pem', tls.pair.key)
  put('users.passwd', passwdFile({ ...users, [WARM_UP_USER]: warmUpPassword }))
  put('master.passwd', passwdFile({ [master.user]: master.password }))
  const caFile = put('ca.pem', tls.ca)
  chmodSync(caFile, 0o644)
  const conf = put(
    'dovecot.conf',
    dovecotConf({
      directory,
      user: account.user,
      group: account.group,
      ports,
      masterSeparator: separator,
      trustedNetworks: options.trustedNetworks ?? ['127.0.0.0/8'],
      failureDelaySeconds: options.failureDelaySeconds ?? 0,
      requireTls: options.requireTls ?? false,
      extra: options.extra ?? '',
    }),
  )
  const logFile = join(directory, 'dovecot.log')

  let server: Program | null = null
  async function start(): Promise<void> {
    const launched = new Program(program('dovecot'), ['-F', '-c', conf], { account, group: true })
    server = launched
    try {
      await waitForPort(ports.imap, { signal: launched.ended })
      // The first login starts the auth and imap processes, which can take seconds on a cold machine.
      using peer = await scriptedClient(ports.imap, { timeoutMs: 20_000 })
      await peer.expect(/^\* OK /)
      peer.send(`1 LOGIN ${WARM_UP_USER} ${warmUpPassword}\r\n`)
      await peer.expect(/^1 OK /)
      peer.send('2 LOGOUT\r\n')
      await peer.linesUntil(/^2 OK /)
    } catch (error) {
      await launched.stop()
      throw new Error(`Dovecot did not start: ${String(error)}\n${launched.output}\n${readLog(logFile)}`, {
        cause: error,
      })
    }
  }

  const log = (): string => withSaslDecoded(readLog(logFile))
  let deliveries = 0
  const dovecot: Dovecot = {
    ports,
    ca: tls.ca,
    caFile,
    master,
    users,
    directory,
    log,
    mark: () => readLog(logFile).length,
    logSince: (mark) => withSaslDecoded(readLog(logFile).slice(mark)),
    async waitForLog(pattern, mark = 0, timeoutMs = 30_000) {
      const deadline = Date.now() + timeoutMs
      for (;;) {
        const match = pattern.exec(withSaslDecoded(readLog(logFile).slice(mark)))
        if (match) return match
        if (Date.now() > deadline) {
          throw new Error(`Dovecot did not log ${String(pattern)} in ${timeoutMs} ms:\n${readLog(logFile).slice(mark)}`)
        }
        await delay(15)
      }
    },
    async deliver(user, message) {
      deliveries += 1
      using peer = await scriptedClient(ports.lmtp)
      await peer.expect(/^220 /)
      peer.send('LHLO sender.invalid\r\n')
      await peer.linesUntil(/^250 /)
      peer.send(`MAIL FROM:<sender-${deliveries}@sender.invalid>\r\n`)
      await peer.expect(/^250 /)
      peer.send(`RCPT TO:<${user}>\r\n`)
      await peer.expect(/^250 /)
      peer.send('DATA\r\n')
      await peer.expect(/^354 /)
      const text = typeof message === 'string' ? message : Buffer.from(message).toString('latin1')
      peer.send(`${text.replace(/^\./gm, '..').replace(/\r?\n?$/, '')}\r\n.\r\n`)
      await peer.expect(/^250 /)
    },
    async stop() {
      // The whole group at once: by SIGTERM the master would wait half a minute for sessions that are still open.
      await server?.stop('SIGKILL')
      server = null
      // The master is gone; the last of its processes may hold the listening sockets for a moment longer.
      for (let tries = 0; tries < 200 && (await accepts(ports.imap)); tries++) await delay(10)
    },
    start,
    async setMasterPassword(password) {
      put('master.passwd', passwdFile({ [master.user]: noteSecret(password) }))
      // Dovecot looks at the file at most once a second.
      for (let tries = 0; tries < 600; tries++) {
        using peer = await scriptedClient(ports.imap)
        await peer.expect(/^\* OK /)
        peer.send(`1 LOGIN ${WARM_UP_USER}${separator}${master.user} ${password}\r\n`)
        if ((await peer.line()).startsWith('1 OK')) return
        await delay(50)
      }
      throw new Error('Dovecot does not take the new master password')
    },
    async [Symbol.asyncDispose]() {
      await dovecot.stop()
      rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
    },
  }
  try {
    await start()
  } catch (error) {
    await dovecot[Symbol.asyncDispose]()
    throw error
  }
  return dovecot
}

async function ownCertificate(): Promise<{ pair: PemPair; ca: string }> {
  const ca: CertificateAuthority = await createCa('Dovecot under test')
  return { pair: await ca.issue(), ca: ca.cert }
}

function readLog(file: string): string {
  try {
    return readFileSync(file, 'latin1')
  } catch {
    return ''
  }
}

/** `resp=` fields are base64 of authzid, authcid and password with NULs between them: shown in clear, NUL as a blank. */
function withSaslDecoded(text: string): string {
  return text.replace(/\bresp=([A-Za-z0-9+/]+=*)/g, (whole, blob: string) => {
    const clear = Buffer.from(blob, 'base64')
      .toString('latin1')
      .replaceAll('\0', ' ')
      .replace(/[\r\n]/g, '?')
    return `${whole} (${clear})`
  })
}

/** How many message files a mailbox's INBOX holds, counted on disk. */
export function messagesOnDisk(dovecot: Dovecot, user: string): number {
  const count = (name: string): number => {
    try {
      return readdirSync(join(dovecot.directory, 'mail', user, 'Maildir', name)).length
    } catch {
      return 0
    }
  }
  return count('cur') + count('new')
}
