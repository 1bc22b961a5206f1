/**
 * A whole server as a process, with a mailbox server of a few lines behind it, for tests of processes.
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { Server, Socket } from 'node:net'
import { createConnection, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Test } from 'tap'
import type { ServicesConnection } from '../../src/contract/services-channel.ts'
import { connectServices } from '../../src/contract/services-channel.ts'
import { COMPILE_CACHE } from '../support/compile-cache.ts'
import type { LogLine } from '../support/logs.ts'
import { parseLogLines, waitForLine } from '../support/logs.ts'
import { ScriptedPeer } from '../support/peer.ts'
import { Program } from '../support/program.ts'
import { noteSecret, plainPassword } from '../support/secrets.ts'

export const MAIN = resolve(import.meta.dirname, '../../src/main.ts')

export interface Mailbox {
  readonly port: number
  /** SASL messages of the logins, decoded. */
  readonly logins: string[]
  /** Milliseconds before a login is answered. */
  delayMs: number
  /** What a login that comes from now on waits for. */
  held: Promise<void>
}

/** An IMAP server that lets everybody in and answers every command with OK. */
export async function startMailbox(t: Test): Promise<Mailbox> {
  const sockets = new Set<Socket>()
  const mailbox = { port: 0, logins: [] as string[], delayMs: 0, held: Promise.resolve() }
  const server: Server = createServer((socket) => {
    sockets.add(socket.setNoDelay(true))
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => {})
    socket.write('* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] ready\r\n')
    let text = ''
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
      for (let at = text.indexOf('\r\n'); at >= 0; at = text.indexOf('\r\n')) {
        const [tag, command = '', ...rest] = text.slice(0, at).split(' ')
        text = text.slice(at + 2)
        const ok = () => socket.write(`${tag} OK ${command} done\r\n`)
        if (command === 'AUTHENTICATE') {
          mailbox.logins.push(Buffer.from(rest[1] ?? '', 'base64').toString('latin1'))
          void Promise.all([mailbox.held, delay(mailbox.delayMs)]).then(ok)
        } else if (command === 'CAPABILITY') {
          socket.write('* CAPABILITY IMAP4rev1\r\n')
          ok()
        } else ok()
      }
    })
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const address = server.address()
  mailbox.port = typeof address === 'object' && address !== null ? address.port : 0
  t.teardown(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return mailbox
}

export interface ServerConfig {
  readonly mailbox: Mailbox
  readonly workers: number
  /** YAML lines at the top level. */
  readonly extra?: string
  /** Instead of one clear-text IMAP port and one for operators. */
  readonly listeners?: string
  readonly drain?: string
  /** Further sections of the upstream, as YAML lines. */
  readonly upstreamSections?: string
  /** Default: a SASL authorization identity. */
  readonly identity?: string
  /** Further files beside the configuration, mode 0600. */
  readonly files?: Readonly<Record<string, string>>
  /** As for `launch`. */
  readonly through?: readonly string[]
}

export function configText({
  mailbox,
  workers,
  extra = '',
  listeners,
  drain = '500ms',
  upstreamSections = '',
  identity = '{ method: authzid, user: sallyport, passwordFile: master }',
}: ServerConfig): string {
  return `
dataDirectory: data
domains: [example.org]
workers: ${workers}
listeners:
${
  listeners ??
  `  - { protocol: imap, bind: 127.0.0.1, port: 0, tls: none }
  - { protocol: http, bind: 127.0.0.1, port: 0, serves: [health, metrics] }`
}
upstreams:
  main:
    imap: { host: 127.0.0.1, port: ${mailbox.port}, tls: none }
${upstreamSections}
    identity: ${identity}
limits: { drain: ${drain} }
throttle: { delays: [1ms] }
${extra}`
}

export interface TestServer {
  readonly directory: string
  readonly configFile: string
  readonly program: Program
  readonly lines: readonly LogLine[]
  /** The supervisor's pid. */
  readonly pid: number
  wait(event: string, wanted?: (line: LogLine) => boolean, timeoutMs?: number): Promise<LogLine>
  /** host and port of the first listener with this scheme: 'imap', 'imaps', 'http'. */
  address(scheme: string): { host: string; port: number }
  /** The pid of a child as last started. */
  pidOf(name: string): number
  services(): Promise<ServicesConnection>
  /** Makes a user with an app password, and returns that. */
  user(address: string): Promise<{ readonly id: string; readonly password: string }>
  connect(): Promise<ScriptedPeer>
  login(address: string, password: string): Promise<ScriptedPeer>
  get(path: string): Promise<{ readonly status: number; readonly text: string }>
}

/** A directory with a configuration, gone when the test is. */
export function prepare(
  t: Test,
  config: string,
  files: Readonly<Record<string, string>> = {},
): { readonly directory: string; readonly configFile: string } {
  const directory = mkdtempSync(join(tmpdir(), 'sp-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  writeFileSync(join(directory, 'master'), plainPassword(), { mode: 0o600 })
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text, { mode: 0o600 })
  const configFile = join(directory, 'sallyport.yaml')
  writeFileSync(configFile, config)
  return { directory, configFile }
}

/** Runs what follows with so many file descriptors. */
export const withDescriptors = (count: number) => ['/bin/sh', '-c', `ulimit -n ${count} && exec "$@"`, 'sh']

/** @param through a program with its arguments that starts the server in its own place: `withDescriptors` */
export function launch(t: Test, configFile: string, through: readonly string[] = []): Program {
  // Settings of the test run are no settings of a server.
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith('SALLYPORT_'))
  const env = { ...Object.fromEntries(own), ...COMPILE_CACHE }
  const [file = '', ...args] = [...through, process.execPath, MAIN, 'serve', '--config', configFile]
  const program = new Program(file, args, { env })
  t.teardown(() => program.stop('SIGKILL'))
  return program
}

/** Starts a server and waits until it is up. It is stopped, and must have had no bug, when the test ends. */
export async function startServer(t: Test, config: ServerConfig): Promise<TestServer> {
  const { directory, configFile } = prepare(t, configText(config), config.files)
  const program = launch(t, configFile, config.through)
  const wait = async (event: string, wanted?: (line: LogLine) => boolean, timeoutMs = 30_000) => {
    try {
      return await Promise.race([
        waitForLine(() => program.output, event, wanted, timeoutMs),
        new Promise<never>((_, reject) => {
          program.ended.addEventListener('abort', () => reject(new Error(String(program.ended.reason))))
        }),
      ])
    } catch (error) {
      // The line may have been the last before the end.
      const found = parseLogLines(program.output).find((line) => line.event === event && (wanted?.(line) ?? true))
      if (found) return found
      throw new Error(`${String(error)}\n${program.output}`)
    }
  }
  // On a busy machine a start takes many times what it takes on one with time to spare.
  const started = await wait('started', undefined, 90_000)
  const urls = String(started.detail).split(' ')
  t.teardown(() => {
    const bugs = parseLogLines(program.output).filter(({ event }) => event === 'bug')
    // Too late for an assertion, so an exception.
    if (bugs.length > 0) throw new Error(`the server logged a bug: ${JSON.stringify(bugs)}`)
  })

  function address(scheme: string) {
    const url = urls.find((text) => text.startsWith(`${scheme}://`))
    const match = /:\/\/(.*):(\d+)$/.exec(url ?? '')
    if (!match) throw new Error(`no listener ${scheme} in ${urls.join(' ')}`)
    return { host: match[1] ?? '', port: Number(match[2]) }
  }

  async function connect(): Promise<ScriptedPeer> {
    const socket = createConnection(address('imap'))
    const peer = new ScriptedPeer(socket)
    t.teardown(() => socket.destroy())
    await peer.expect(/^\* OK /)
    return peer
  }

  const server: TestServer = {
    directory,
    configFile,
    program,
    get lines() {
      return parseLogLines(program.output)
    },
    pid: Number(started.pid),
    wait,
    address,
    pidOf(name) {
      const line = parseLogLines(program.output).findLast(
        ({ event, process: who }) => event === 'worker_started' && who === name,
      )
      return Number(line?.pid)
    },
    services: () => connectServices(join(directory, 'data/run'), 'cli:test'),
    async user(user) {
      const services = await server.services()
      await services.call('user.add', { address: user })
      const { id, password } = await services.call('app-password.create', { user, name: 'phone' })
      services.close()
      return { id, password: noteSecret(password) }
    },
    connect,
    async login(user, password) {
      const peer = await connect()
      peer.send(`1 LOGIN ${user} "${password}"\r\n`)
      await peer.expect(/^1 OK /)
      return peer
    },
    async get(path) {
      const { host, port } = address('http')
      const response = await fetch(`http://${host}:${port}${path}`, { headers: { connection: 'close' } })
      return { status: response.status, text: await response.text() }
    },
  }
  return server
}

/** Whether a session passes bytes both ways. */
export async function lives(peer: ScriptedPeer, tag: string): Promise<boolean> {
  if (peer.closed) return false
  peer.send(`${tag} NOOP\r\n`)
  try {
    await peer.expect(new RegExp(`^${tag} OK NOOP`))
    return true
  } catch {
    return false
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** Waits for something that has no event to wait for. */
export async function until(done: () => boolean | Promise<boolean>, what: string, timeoutMs = 60_000): Promise<number> {
  const started = performance.now()
  while (!(await done())) {
    if (performance.now() - started > timeoutMs) throw new Error(`not within ${timeoutMs} ms: ${what}`)
    await delay(10)
  }
  return performance.now() - started
}
