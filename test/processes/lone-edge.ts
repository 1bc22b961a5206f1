/**
 * One real edge process under an edge's own flags, for a look into its memory. The keeper's side of its gate is the test: it
 * lets in whom `admit` lets in, and remembers every secret that it gave away for a login upstream.
 */

import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Test } from 'tap'
import type { LoginAttempt } from '../../src/contract/admission.ts'
import { edgeKey, serveGate } from '../../src/contract/gate-server.ts'
import { Secret } from '../../src/secret.ts'
import { launchOf } from '../../src/supervisor/launch.ts'
import type { Ask, EdgeInit, EdgeListener } from '../../src/supervisor/messages.ts'
import { asking } from '../../src/supervisor/messages.ts'
import { grantOf, scriptedHouse } from '../contract/gate-house.ts'
import { createCa } from '../support/certificates.ts'
import { captureLog } from '../support/logs.ts'
import { freePort } from '../support/ports.ts'
import { noteSecret } from '../support/secrets.ts'
import type { LongestTurns } from '../support/turns.ts'
import { startUnhooked } from './unhooked.ts'

/** A secret that is found again wherever it was left. */
export const planted = (): string => noteSecret(`Planted${randomBytes(12).toString('hex')}`)

export interface LoneEdge {
  readonly ask: Ask
  readonly port: number
  /** TLS from the first byte, and how a client speaks it. */
  readonly tlsPort: number
  readonly tls: { readonly ca: string; readonly servername: string }
  /** What the grants held, in their order. */
  readonly upstreamSecrets: readonly string[]
  /** Collects garbage, all there is, and answers what is left. */
  heapKiB(): Promise<number>
  /** The longest turns of its event loop since the last time. */
  turns(): Promise<LongestTurns>
  /** A turn in which it works for 25 ms of CPU. */
  beBusy(): void
}

const KIB = 1024
const TURNS = resolve(import.meta.dirname, '../support/turns.ts')
/** Run in the edge before its own program, which has no such door: whoever may send it a signal reads its memory use. */
const MEASURE = `data:text/javascript,${encodeURIComponent(`
  process.on('SIGUSR2', async () => {
    for (let i = 0; i < 3; i++) { gc(); await new Promise(setImmediate) }
    process.send({ heapUsed: process.memoryUsage().heapUsed })
  })
  import { watchTurns } from '${pathToFileURL(TURNS)}'
  const watch = watchTurns()
  process.on('SIGURG', () => process.send({ turns: watch.take() }))
  process.on('SIGWINCH', () => { for (const from = process.threadCpuUsage(); process.threadCpuUsage(from).user < 25_000; ); })
`)}`

/** @param admit @throws LoginFailure for whom the edge has to refuse */
export async function startLoneEdge(
  t: Test,
  protocol: EdgeListener['protocol'],
  upstreamPort: number,
  admit: (attempt: LoginAttempt) => Promise<void>,
): Promise<LoneEdge> {
  const directory = mkdtempSync(join(tmpdir(), 'lone-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const secret = new Secret(planted())
  const upstreamSecrets: string[] = []
  const house = scriptedHouse({
    async admit(attempt) {
      await admit(attempt)
      const upstream = planted()
      upstreamSecrets.push(upstream)
      const { authcid } = attempt.credential
      return grantOf(attempt, {
        hosts: [{ host: '127.0.0.1', port: upstreamPort }],
        tls: 'none',
        identity: { kind: 'password', authcid: 'master', authzid: authcid, secret: new Secret(upstream) },
      })
    },
  })
  const path = join(directory, 'run/edge.sock')
  const server = await serveGate({ path, secret, house: house.house, log: captureLog().log })
  t.teardown(() => server.close())

  const ca = await createCa()
  const { cert, key } = await ca.issue({ names: ['localhost'] })
  const [port, tlsPort] = [await freePort(), await freePort()]
  const listener = (name: string, port: number, tls: EdgeListener['tls']): EdgeListener => ({
    name,
    protocol,
    bind: '127.0.0.1',
    port,
    tls,
    proxyFrom: [],
    tlsMinVersion: null,
    scanner: null,
  })
  const edgeId = 'edge-1.lone'
  const init: EdgeInit = {
    limits: { connections: 1000, perAddress: 1000, loginMs: 60_000, idleMs: 60_000 },
    names: { domains: ['example.org'], allow: '', separators: ['*'], windowsDomains: {} },
    portalUrl: null,
    language: 'en',
    easHost: null,
    upstreams: [],
    tls: {
      certificates: [{ name: 'test', cert, key }],
      minVersion: 'TLSv1.2',
      ticketKeys: randomBytes(48).toString('base64'),
    },
    logLevel: 'error',
    auditRequired: false,
    version: 'test',
    name: 'edge-1',
    edgeId,
    gate: { path, key: edgeKey(secret, edgeId).reveal() },
    listeners: [listener('clear', port, 'none'), listener('implicit', tlsPort, 'implicit')],
    testHooks: true,
  }
  // Long strings are written whole into a snapshot, and what nobody holds is collected first.
  const flags = [
    '--expose-gc',
    '--heap-snapshot-string-limit=10000000',
    '--import',
    MEASURE,
    `--allow-fs-read=${TURNS}`,
    '--allow-fs-read=/proc/*',
  ]
  const child = startUnhooked(launchOf('edge', process.env, flags))
  t.teardown(() => child.kill('SIGKILL'))
  const ask = asking(child, 'edge')
  await ask('start', init, 30_000)

  /** What the edge answers to a signal. */
  function told<T>(signal: NodeJS.Signals, key: string): Promise<T> {
    return new Promise((resolve) => {
      child.on('message', function listen(message: Readonly<Record<string, T>>) {
        const value = message[key]
        if (value === undefined) return
        child.off('message', listen)
        resolve(value)
      })
      child.kill(signal)
    })
  }
  return {
    ask,
    port,
    tlsPort,
    tls: { ca: ca.cert, servername: 'localhost' },
    upstreamSecrets,
    heapKiB: async () => (await told<number>('SIGUSR2', 'heapUsed')) / KIB,
    turns: () => told<LongestTurns>('SIGURG', 'turns'),
    beBusy: () => void child.kill('SIGWINCH'),
  }
}
