/**
 * The whole product as a user runs it: `scripts/sallyport serve` with a configuration of its own in a directory of its own,
 * on loopback, and the command line beside it, which asks over the control socket.
 */

import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { CertificateAuthority } from './certificates.ts'
import { createCa } from './certificates.ts'
import type { CliResult } from './command.ts'
import { runCommand } from './command.ts'
import { COMPILE_CACHE } from './compile-cache.ts'
import type { Dovecot } from './dovecot.ts'
import type { LogLine } from './logs.ts'
import { parseLogLines, waitForLine } from './logs.ts'
import { freePort } from './ports.ts'
import { Program } from './program.ts'
import { noteSecret } from './secrets.ts'

const LAUNCHER = resolve(import.meta.dirname, '../../scripts/sallyport')

export interface SallyportOptions {
  readonly domains?: readonly string[]
  /** As in the configuration. */
  readonly upstreams: Readonly<Record<string, unknown>>
  readonly workers?: number
  /** Further top-level settings, over those made here. */
  readonly settings?: Readonly<Record<string, unknown>>
  /** Listeners beside those made here. */
  readonly listeners?: readonly Readonly<Record<string, unknown>>[]
  /** Ports to use instead of free ones. */
  readonly ports?: Partial<SallyportPorts>
  /** Without a certificate of its own: the self-made one. */
  readonly selfMadeCertificate?: boolean
  /** Given, though it may be {}: the portal on an https port of its own, with these settings over `url`. */
  readonly portal?: Readonly<Record<string, unknown>>
  /** Each command is a process, as a shell starts it, instead of running in this one. */
  readonly launchesCommands?: boolean
}

export interface SallyportPorts {
  /** STARTTLS. */
  readonly imap: number
  /** TLS from the first byte. */
  readonly imaps: number
  /** TLS from the first byte, behind a PROXY header. */
  readonly imapsProxy: number
  /** No TLS; loopback. */
  readonly imapClear: number
  /** STLS; there is such a listener when an upstream speaks POP3. */
  readonly pop3: number
  /** TLS from the first byte; likewise. */
  readonly pop3s: number
  /** STARTTLS; there is such a listener when an upstream speaks SMTP. */
  readonly smtp: number
  /** TLS from the first byte; likewise. */
  readonly smtps: number
  /** Health and metrics. */
  readonly http: number
  /** There is such a listener when there is a portal. */
  readonly https: number
}

export interface IssuedPassword {
  readonly id: string
  /** As it was shown, grouped. */
  readonly password: string
  /** Letters only. */
  readonly letters: string
}

export interface Sallyport extends AsyncDisposable {
  readonly ports: SallyportPorts
  readonly directory: string
  readonly configFile: string
  /** PEM of the authority behind its certificate, and the same as a file. */
  readonly ca: string
  readonly caFile: string
  /** How a client connects: servername localhost, trusting `ca`. */
  readonly tls: { readonly ca: string; readonly servername: string }
  readonly pid: number
  /** Everything it has printed. */
  log(): string
  lines(event?: string): readonly LogLine[]
  /** A mark in the log; hand it to `waitForLog`. */
  mark(): number
  waitForLog(event: string, wanted?: (line: LogLine) => boolean, since?: number, timeoutMs?: number): Promise<LogLine>
  /** Runs the command line with --config; `input` goes to standard input. */
  cli(args: readonly string[], input?: string): Promise<CliResult>
  /** The same with --json, parsed. @throws unless it exits with 0 */
  json<T>(args: readonly string[], input?: string): Promise<T>
  addUser(address: string): Promise<void>
  createAppPassword(user: string, name: string, more?: readonly string[]): Promise<IssuedPassword>
  /** The text of /metrics. */
  metrics(): Promise<string>
  /** Ends the server and leaves its directory: answers its exit status. */
  stop(signal?: NodeJS.Signals): Promise<number>
  /** Starts it again in the same directory, on the same ports. */
  start(): Promise<void>
}

/** Environment of a server under test: the runner's own hooks and settings must not reach it. */
export function cleanEnvironment(): NodeJS.ProcessEnv {
  const environment: NodeJS.ProcessEnv = {}
  for (const [name, value] of Object.entries(process.env)) {
    if (/^(NODE_|TAP|_?TAPJS|SALLYPORT_|npm_|RUNTIME_DIRECTORY|NOTIFY_SOCKET|LISTEN_)/i.test(name)) continue
    environment[name] = value
  }
  return environment
}

let servers = 0
let passwordFiles = 0

export async function startSallyport(options: SallyportOptions): Promise<Sallyport> {
  const directory = mkdtempSync(join(tmpdir(), 'sp-gate-'))
  const ca: CertificateAuthority = await createCa('sallyport under test')
  const pair = await ca.issue()
  const put = (name: string, text: string): string => {
    writeFileSync(join(directory, name), text, { mode: 0o600 })
    return join(directory, name)
  }
  const ports: SallyportPorts = {
    imap: options.ports?.imap ?? (await freePort()),
    imaps: options.ports?.imaps ?? (await freePort()),
    imapsProxy: options.ports?.imapsProxy ?? (await freePort()),
    imapClear: options.ports?.imapClear ?? (await freePort()),
    pop3: options.ports?.pop3 ?? (await freePort()),
    pop3s: options.ports?.pop3s ?? (await freePort()),
    smtp: options.ports?.smtp ?? (await freePort()),
    smtps: options.ports?.smtps ?? (await freePort()),
    http: options.ports?.http ?? (await freePort()),
    https: options.ports?.https ?? (await freePort()),
  }
  const caFile = put('ca.pem', ca.cert)
  const certFile = put('cert.pem', pair.cert)
  const keyFile = put('key.pem', pair.key)
  const bind = '127.0.0.1'
  const speaks = (protocol: string) => Object.values(options.upstreams).some((upstream) => protocol in Object(upstream))
  const settings = {
    dataDirectory: join(directory, 'data'),
    domains: options.domains ?? ['example.org'],
    tls: options.selfMadeCertificate ? {} : { certificates: [{ certFile, keyFile }] },
    listeners: [
      { protocol: 'imap', bind, port: ports.imap, tls: 'starttls' },
      { protocol: 'imap', bind, port: ports.imaps, tls: 'implicit' },
      { protocol: 'imap', bind, port: ports.imapsProxy, tls: 'implicit', proxyProtocol: { from: ['127.0.0.0/8'] } },
      { protocol: 'imap', bind, port: ports.imapClear, tls: 'none' },
      ...(speaks('pop3')
        ? [
            { protocol: 'pop3', bind, port: ports.pop3, tls: 'starttls' },
            { protocol: 'pop3', bind, port: ports.pop3s, tls: 'implicit' },
          ]
        : []),
      ...(speaks('smtp')
        ? [
            { protocol: 'smtp', bind, port: ports.smtp, tls: 'starttls' },
            { protocol: 'smtp', bind, port: ports.smtps, tls: 'implicit' },
          ]
        : []),
      ...(options.portal === undefined ? [] : [{ protocol: 'https', bind, port: ports.https, serves: ['portal'] }]),
      { protocol: 'http', bind, port: ports.http, serves: ['health', 'metrics'] },
      ...(options.listeners ?? []),
    ],
    ...(options.portal !== undefined && {
      signIn: { local: true },
      portal: { url: `https://localhost:${ports.https}`, ...options.portal },
    }),
    upstreams: options.upstreams,
    workers: options.workers ?? 2,
    throttle: { delays: ['1ms'] },
    log: { level: 'debug' },
    ...options.settings,
  }
  // JSON is YAML.
  const configFile = put('sallyport.yaml', `${JSON.stringify(settings, null, 2)}\n`)

  servers += 1
  const logFile = process.env.SALLYPORT_TEST_LOGS
    ? join(process.env.SALLYPORT_TEST_LOGS, `sallyport-${process.pid}-${servers}.log`)
    : null
  let earlier = ''
  let server: Program | null = null
  const log = (): string => earlier + (server?.output ?? '')

  async function start(): Promise<void> {
    const env = { ...cleanEnvironment(), ...COMPILE_CACHE }
    const launched = new Program(LAUNCHER, ['serve', '--config', configFile], { env })
    server = launched
    try {
      await ready(ports.http, launched.ended)
    } catch (error) {
      await stop('SIGKILL')
      throw new Error(`sallyport did not start: ${String(error)}\n${log()}`, { cause: error })
    }
  }

  async function stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number> {
    if (server === null) return 0
    const status = await server.stop(signal, 60_000)
    if (logFile !== null) appendFileSync(logFile, server.output)
    earlier += server.output
    server = null
    return status
  }

  async function cli(args: readonly string[], input = ''): Promise<CliResult> {
    const env = { ...cleanEnvironment(), ...COMPILE_CACHE }
    if (options.launchesCommands !== true) {
      return await runCommand([...args, '--config', configFile], { cwd: directory, input, env })
    }
    const command = new Program(LAUNCHER, [...args, '--config', configFile], { env, input })
    const stdout: Buffer[] = []
    const stderr: Buffer[] = []
    command.child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk))
    command.child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk))
    const status = await command.exit
    return { status, stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() }
  }

  async function json<T>(args: readonly string[], input?: string): Promise<T> {
    const result = await cli([...args, '--json'], input)
    if (result.status !== 0) throw new Error(`sallyport ${args.join(' ')}: exit ${result.status}: ${result.stderr}`)
    return JSON.parse(result.stdout) as T
  }

  const sallyport: Sallyport = {
    ports,
    directory,
    configFile,
    ca: ca.cert,
    caFile,
    tls: { ca: ca.cert, servername: 'localhost' },
    get pid() {
      return server?.child.pid ?? 0
    },
    log,
    lines: (event) => parseLogLines(log()).filter((line) => event === undefined || line.event === event),
    mark: () => log().length,
    waitForLog: (event, wanted, since = 0, timeoutMs) =>
      waitForLine(() => log().slice(since), event, wanted, timeoutMs),
    cli,
    json,
    async addUser(address) {
      await json(['user', 'add', address])
    },
    async createAppPassword(user, name, more = []) {
      const issued = await json<{ id: string; password: string }>([
        'app-password',
        'create',
        '--user',
        user,
        '--name',
        name,
        ...more,
      ])
      const letters = noteSecret(issued.password.replace(/[^a-z]/g, ''))
      return { id: issued.id, password: noteSecret(issued.password), letters }
    },
    async metrics() {
      const response = await fetch(`http://127.0.0.1:${ports.http}/metrics`)
      return await response.text()
    },
    stop,
    start,
    async [Symbol.asyncDispose]() {
      await stop()
      rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
    },
  }
  try {
    await start()
  } catch (error) {
    await sallyport[Symbol.asyncDispose]()
    throw error
  }
  return sallyport
}

/** Waits for /readyz: bound ports are not yet a server that can take a login. */
async function ready(port: number, ended: AbortSignal): Promise<void> {
  const deadline = Date.now() + 90_000
  for (;;) {
    ended.throwIfAborted()
    const response = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => null)
    const text = (await response?.text()) ?? ''
    if (response?.status === 200) return
    if (Date.now() > deadline) throw new Error(`not ready: ${response?.status ?? 'no answer'} ${text}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** Settings of an upstream that is this Dovecot, by implicit TLS and master user unless something else is given. */
export function upstreamOf(
  dovecot: Dovecot,
  passwordFile: string,
  more: {
    readonly imap?: Readonly<Record<string, unknown>>
    /** Given, though it may be {}: POP3 as well. */
    readonly pop3?: Readonly<Record<string, unknown>>
    /** Given: SMTP as well, at another server. */
    readonly smtp?: Readonly<Record<string, unknown>>
    readonly identity?: Readonly<Record<string, unknown>>
    readonly trusted?: boolean
    readonly proxyProtocol?: 'v1' | 'v2'
  } = {},
): Record<string, unknown> {
  const shared = { host: '127.0.0.1', tls: 'implicit', caFile: dovecot.caFile, serverName: 'localhost' }
  return {
    imap: { ...shared, port: dovecot.ports.imaps, ...more.imap },
    ...(more.pop3 === undefined ? {} : { pop3: { ...shared, port: dovecot.ports.pop3s, ...more.pop3 } }),
    ...(more.smtp === undefined ? {} : { smtp: { ...shared, ...more.smtp } }),
    identity: more.identity ?? { method: 'master-user', user: dovecot.master.user, passwordFile, separator: '*' },
    ...(more.trusted === undefined ? {} : { trusted: more.trusted }),
    ...(more.proxyProtocol === undefined ? {} : { proxyProtocol: more.proxyProtocol }),
  }
}

/** The master password in a file as the configuration wants it (0600), beside Dovecot's own files. */
export function masterPasswordFile(dovecot: Dovecot, password = dovecot.master.password): string {
  passwordFiles += 1
  const file = join(dovecot.directory, `master-password-${passwordFiles}`)
  writeFileSync(file, password, { mode: 0o600 })
  return file
}
