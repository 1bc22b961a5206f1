/**
 * One real edge process under an edge's own flags, for a look into its memory. The keeper's side of its gate is the test: it
 * lets in whom `admit` lets in, and remembers every secret that it gave away for a login upstream.
 */

import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { LoginAttempt } from '../../src/contract/admission.ts'
import { edgeKey, serveGate } from '../../src/contract/gate-server.ts'
import { Secret } from '../../src/secret.ts'
import { launchOf } from '../../src/supervisor/launch.ts'
import type { Ask, EdgeInit, EdgeListener, HttpsInit } from '../../src/supervisor/messages.ts'
import { asking } from '../../src/supervisor/messages.ts'
import type { ScriptedHouse } from '../contract/gate-house.ts'
import { grantOf, scriptedHouse } from '../contract/gate-house.ts'
import { createCa } from '../support/certificates.ts'
import { captureLog } from '../support/logs.ts'
import { freePort } from '../support/ports.ts'
import { noteSecret } from '../support/secrets.ts'
import type { LongestTurns } from '../support/turns.ts'
import { SCHEDSTAT } from '../support/turns.ts'
import { startUnhooked } from './unhooked.ts'

/** A secret that is found again wherever it was left. */
export const planted = (): string => noteSecret(`Planted${randomBytes(12).toString('hex')}`)

export interface LoneEdge {
  readonly ask: Ask
  /** Without TLS; an https edge has none. */
  readonly port: number
  /** TLS from the first byte, and how a client speaks it. */
  readonly tlsPort: number
  readonly tls: { readonly ca: string; readonly servername: string }
  /** What the grants held, in their order. */
  readonly upstreamSecrets: readonly string[]
  /** The keeper's side, for telling the edge that sessions end. */
  readonly house: ScriptedHouse
  /** Collects garbage, all there is, and answers what is left. */
  heapKiB(): Promise<number>
  /** The longest turns of its loop since the last time; with `watched`. */
  turns(): Promise<LongestTurns>
}

export interface LoneEdgeOptions {
  readonly limits?: Partial<EdgeInit['limits']>
  /** Its loop is watched. */
  readonly watched?: boolean
  /** And what it writes is hindered now and then (`hindered.ts`). */
  readonly hindered?: boolean
}

const KIB = 1024
/** Run in the edge before its own program, which has no such door: whoever may send it a signal reads its memory use. */
const MEASURE = `data:text/javascript,${encodeURIComponent(`
  process.on('SIGUSR2', async () => {
    for (let i = 0; i < 3; i++) { gc(); await new Promise(setImmediate) }
    process.send({ heapUsed: process.memoryUsage().heapUsed })
  })
`)}`

/** @param admit @throws LoginFailure for whom the edge has to refuse */
export async function startLoneEdge(
  t: Test,
  protocol: EdgeListener['protocol'] | 'https',
  upstreamPort: number,
  admit: (attempt: LoginAttempt) => Promise<void>,
  { limits, watched = false, hindered = false }: LoneEdgeOptions = {},
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
        identity: {
          kind: 'password',
          authcid: 'master',
          authzid: protocol === 'https' ? '' : authcid,
          secret: new Secret(upstream),
        },
        ...(protocol === 'https' && { http: { host: 'mail.internal', path: '' } }),
      })
    },
  })
  const path = join(directory, 'run/edge.sock')
  const server = await serveGate({ path, secret, house: house.house, log: captureLog().log })
  t.teardown(() => server.close())

  const ca = await createCa()
  const { cert, key } = await ca.issue({ names: ['localhost'] })
  const [port, tlsPort] = [await freePort(), await freePort()]
  const at = (name: string, port: number) => ({ name, bind: '127.0.0.1', port, proxyFrom: [] })
  const mail = { tlsMinVersion: null, scanner: null }
  const listening: Pick<EdgeInit, 'listeners'> | Pick<HttpsInit, 'listeners' | 'web'> =
    protocol === 'https'
      ? {
          listeners: [{ ...at('https', tlsPort), protocol, serves: ['eas'] }],
          web: { path: join(directory, 'no-web'), key: planted() },
        }
      : {
          listeners: [
            { ...at('clear', port), protocol, tls: 'none', ...mail },
            { ...at('implicit', tlsPort), protocol, tls: 'implicit', ...mail },
          ],
        }
  const edgeId = 'edge-1.lone'
  const init: EdgeInit | HttpsInit = {
    limits: { connections: 1000, perAddress: 1000, loginMs: 60_000, idleMs: 60_000, ...limits },
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
    ...listening,
    testHooks: true,
  }
  // Long strings are written whole into a snapshot, and what nobody holds is collected first.
  const flags = ['--expose-gc', '--heap-snapshot-string-limit=10000000', '--import', MEASURE]
  if (watched) flags.push(...preloads('turns-inside.ts'), `--allow-fs-read=${SCHEDSTAT}`)
  if (hindered) flags.push(...preloads('hindered.ts'))
  const child = startUnhooked(launchOf(protocol === 'https' ? 'https' : 'edge', process.env, flags))
  t.teardown(() => child.kill('SIGKILL'))
  const ask = asking(child, 'edge')
  await ask('start', init, 30_000)

  /** What is sent by what was run before the edge's own program. */
  function told<T>(name: string, signal: NodeJS.Signals): Promise<T> {
    return new Promise((resolve) => {
      child.on('message', function listen(message: Readonly<Record<string, unknown>>) {
        if (!(name in message)) return
        child.off('message', listen)
        resolve(message[name] as T)
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
    house,
    heapKiB: async () => (await told<number>('heapUsed', 'SIGUSR2')) / KIB,
    turns: () => told<LongestTurns>('turns', 'SIGWINCH'),
  }
}

/** Runs a file of this folder in the edge, which can read nothing but its program, before that. */
function preloads(name: string): readonly string[] {
  const file = join(import.meta.dirname, name)
  return [
    '--import',
    file,
    `--allow-fs-read=${file}`,
    `--allow-fs-read=${join(import.meta.dirname, '../support/turns.ts')}`,
  ]
}
