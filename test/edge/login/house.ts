/**
 * One edge around one protocol, for tests: real sockets, the real wire, loop, dialler and splice, a gate in a few lines, and
 * an upstream that is a script.
 */

import { randomUUID } from 'node:crypto'
import type { ConnectionOptions } from 'node:tls'
import type { Test } from 'tap'
import type {
  Gate,
  Grant,
  LoginAttempt,
  Outcome,
  SessionEnd,
  TlsMode,
  UpstreamTarget,
} from '../../../src/contract/admission.ts'
import { LoginFailure } from '../../../src/contract/failure.ts'
import type { NameRules } from '../../../src/contract/names.ts'
import { createImap } from '../../../src/edge/imap/index.ts'
import type { DialogueOptions } from '../../../src/edge/login/dialogue.ts'
import type { Protocol } from '../../../src/edge/login/protocol.ts'
import type { ServeDeps } from '../../../src/edge/login/serve.ts'
import { serveClient } from '../../../src/edge/login/serve.ts'
import type { SessionRegistry } from '../../../src/edge/login/sessions.ts'
import { createSessions } from '../../../src/edge/login/sessions.ts'
import { createDialer } from '../../../src/edge/net/dial.ts'
import type { Listener } from '../../../src/edge/net/listener.ts'
import { createListener } from '../../../src/edge/net/listener.ts'
import type { Room } from '../../../src/edge/net/room.ts'
import { createRoom } from '../../../src/edge/net/room.ts'
import type { TlsContexts } from '../../../src/edge/net/tls.ts'
import type { Metrics } from '../../../src/metrics.ts'
import { createMetrics } from '../../../src/metrics.ts'
import { Secret } from '../../../src/secret.ts'
import type { LogCapture } from '../../support/logs.ts'
import { captureLog } from '../../support/logs.ts'
import type { ScriptedPeer, ScriptedServer } from '../../support/peer.ts'
import { scriptedClient, scriptedServer } from '../../support/peer.ts'
import { PLAIN } from '../net/plain-listener.ts'

export const RULES: NameRules = {
  domains: ['example.org'],
  allow: '',
  separators: ['*'],
  windowsDomains: { CORP: 'example.org' },
}
export const PASSWORD = 'abcd efgh ijkl mnop'
/** What the edge says to the upstream; must never be seen by a client, a log line or a metric. */
export const MASTER_SECRET = 'upstream-Secret-0815'

/** A gate that knows one user, and writes down all it is asked and told. */
export class ListedGate implements Gate {
  readonly attempts: LoginAttempt[] = []
  readonly settled: { readonly id: string; readonly outcome: Outcome }[] = []
  readonly ends: { readonly id: string; readonly end: SessionEnd }[] = []
  /** Passwords typed, in order: what the gate saw. */
  readonly secrets: string[] = []
  target: UpstreamTarget
  userId = 'u1'
  verifiedBy: Grant['verifiedBy'] = 'us'
  refusedAfterMs = 0
  deviceRefused: string | null = null
  /** Set it to decide in another way. */
  decide: (attempt: LoginAttempt, secret: string) => Promise<void> | void = (attempt, secret) => {
    const isRight = attempt.credential.authcid === 'ann@example.org' && secret === PASSWORD
    if (!isRight)
      throw new LoginFailure('bad-credentials', 'no live app password matches', { logName: 'hash@example.org' })
  }
  /** Runs between the verdict and the grant's return. */
  granted: (grant: Grant) => void = () => undefined

  constructor(target: UpstreamTarget) {
    this.target = target
  }

  async admit(attempt: LoginAttempt): Promise<Grant> {
    const { credential } = attempt
    const secret = credential.kind === 'password' ? credential.secret.reveal() : credential.token.reveal()
    this.attempts.push(attempt)
    this.secrets.push(secret)
    await this.decide(attempt, secret)
    const grant: Grant = {
      id: randomUUID(),
      userId: this.userId,
      logName: credential.authcid,
      appPassword: { id: 'p1', name: 'phone' },
      verifiedBy: this.verifiedBy,
      refusedAfterMs: this.refusedAfterMs,
      ...(this.deviceRefused !== null && { deviceRefused: this.deviceRefused }),
      upstream: this.target,
    }
    this.granted(grant)
    return grant
  }

  settle(id: string, outcome: Outcome): void {
    this.settled.push({ id, outcome })
  }

  ended(id: string, end: SessionEnd): void {
    this.ends.push({ id, end })
  }

  get outcomes(): Outcome[] {
    return this.settled.map(({ outcome }) => outcome)
  }
}

export type Script = (peer: ScriptedPeer, n: number) => Promise<void> | void

export const AFTER_LOGIN = 'IMAP4rev1 IDLE UIDPLUS MOVE COMPRESS=DEFLATE'

/** An IMAP server that takes anybody and then answers each line with its own tag. `seen` gets all bytes after the login. */
export function friendlyUpstream(seen: string[] = []): Script {
  return async (peer) => {
    peer.send('* OK [CAPABILITY IMAP4rev1 SASL-IR LOGIN-REFERRALS ID AUTH=PLAIN] upstream ready\r\n')
    const [, tag] = await peer.expect(/^(\S+) AUTHENTICATE PLAIN \S+$/)
    peer.send(`${tag} OK [CAPABILITY ${AFTER_LOGIN}] Logged in by upstream\r\n`)
    await echo(peer, seen)
  }
}

/** Answers `x NAME …` with `x OK NAME done` until the connection ends. */
export async function echo(peer: ScriptedPeer, seen: string[] = []): Promise<void> {
  while (!peer.closed || peer.buffered.includes('\n')) {
    const line = await peer.line().catch(() => null)
    if (line === null) break
    seen.push(line)
    const [tag, name] = line.split(' ')
    peer.send(`${tag} OK ${name} done\r\n`)
    if (name === 'LOGOUT') peer.end()
  }
  peer.end()
}

/** `await using house = await openHouse(…)`: it asserts as it is taken down, while the test still runs. */
export interface House extends AsyncDisposable {
  readonly port: number
  readonly gate: ListedGate
  readonly sessions: SessionRegistry
  readonly logs: LogCapture
  readonly metrics: Metrics
  readonly upstream: ScriptedServer
  readonly listener: Listener
  /** With TLS from the start when `tls` is given. */
  connect(tls?: ConnectionOptions): Promise<ScriptedPeer>
  /** Resolves when `count` connections in all have been served to their end. */
  served(count?: number): Promise<void>
}

export interface HouseOptions {
  /** What the listener tells its protocol. */
  readonly dialogue?: Partial<DialogueOptions>
  readonly upstream?: Script
  readonly target?: Partial<UpstreamTarget>
  /** Default 'none'. */
  readonly tls?: TlsMode
  readonly contexts?: TlsContexts
  readonly loginMs?: number
  /** Default: more room than a test needs. */
  readonly room?: Room
  readonly dialMs?: number
  readonly idleMs?: number
  /** Default IMAP. */
  readonly protocol?: (options: DialogueOptions) => Protocol
  readonly deps?: Partial<ServeDeps>
  readonly expectBugs?: number
  /** What clients type may be any word, so it proves nothing to find it in the log. */
  readonly hasRandomSecrets?: boolean
  readonly upstreamTls?: Parameters<typeof scriptedServer>[1]
}

/** Builds all of it. Taking it down fails the test when a bug was logged or a grant not settled once. */
export async function openHouse(t: Test, options: HouseOptions = {}): Promise<House> {
  const logs = captureLog()
  const metrics = createMetrics()
  const upstream = await scriptedServer(options.upstream ?? friendlyUpstream(), options.upstreamTls)
  const gate = new ListedGate({
    name: 'main',
    hosts: [{ host: '127.0.0.1', port: upstream.port }],
    tls: 'none',
    ca: null,
    serverName: null,
    proxyProtocol: null,
    identity: { kind: 'password', authcid: 'master', authzid: 'ann@example.org', secret: new Secret(MASTER_SECRET) },
    trusted: false,
    ...options.target,
  })
  const sessions = createSessions()
  const dialogueOptions: DialogueOptions = {
    nameRules: RULES,
    portalUrl: null,
    language: 'en',
    startTls: options.tls === 'starttls' && options.contexts ? { side: 'server', contexts: options.contexts } : null,
    needsTls: options.tls !== undefined && options.tls !== 'none',
    listener: 'test',
    log: logs.log,
    metrics,
    ...options.dialogue,
  }
  const protocol = (options.protocol ?? createImap)(dialogueOptions)
  const deps: ServeDeps = {
    gate,
    sessions,
    dialer: createDialer({ deadlineMs: options.dialMs ?? 5_000 }),
    idleMs: options.idleMs ?? 60_000,
    listener: 'test',
    log: logs.log,
    metrics,
    ...options.deps,
  }
  const served: Promise<void>[] = []
  let arrived = Promise.withResolvers<void>()
  const listener = createListener({
    name: 'test',
    protocol: protocol.name,
    ...PLAIN,
    tls: options.tls ?? PLAIN.tls,
    contexts: options.contexts ?? PLAIN.contexts,
    limits: { loginMs: options.loginMs ?? 30_000 },
    room: options.room ?? createRoom({ connections: 1000, perAddress: 1000 }),
    log: logs.log,
    metrics,
    lastWords: (why) => protocol.lastWords(why),
    onConnection(wire, peer) {
      const done = serveClient(protocol, wire, peer, deps)
      served.push(done)
      arrived.resolve()
      arrived = Promise.withResolvers<void>()
      return done
    },
  })
  const port = await listener.start()
  const clients: ScriptedPeer[] = []

  return {
    port,
    gate,
    sessions,
    logs,
    metrics,
    upstream,
    listener,
    async connect(tls) {
      const client = await scriptedClient(port, tls ? { tls } : {})
      clients.push(client)
      return client
    },
    async served(count = 1) {
      while (served.length < count) await arrived.promise
      await Promise.all(served.slice(0, count))
    },
    async [Symbol.asyncDispose]() {
      for (const client of clients) client[Symbol.dispose]()
      await upstream[Symbol.asyncDispose]()
      await Promise.all(served)
      await listener.stop()
      t.equal(logs.log.bugs, options.expectBugs ?? 0, 'bugs logged')
      t.equal(sessions.size, 0, 'no session is left')
      const ids = gate.settled.map(({ id }) => id)
      t.equal(new Set(ids).size, ids.length, 'invariant 4: no grant was settled twice')
      const accepted = gate.settled.filter(({ outcome }) => outcome === 'accepted').map(({ id }) => id)
      t.strictSame(
        gate.ends.map(({ id }) => id).sort(),
        accepted.sort(),
        'every accepted grant ended once, and no other',
      )
      for (const secret of [...(options.hasRandomSecrets ? [PASSWORD] : gate.secrets), MASTER_SECRET]) {
        if (secret.length > 3) t.notOk(logs.text.includes(secret), 'invariant 5: no secret is in the log')
      }
    },
  }
}
