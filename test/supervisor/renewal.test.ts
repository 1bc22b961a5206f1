import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { loadConfig } from '../../src/config.ts'
import type { EdgeSlice } from '../../src/supervisor/messages.ts'
import type { EdgeRole, KeeperRole } from '../../src/supervisor/roles.ts'
import { runServer } from '../../src/supervisor.ts'
import { createCa } from '../support/certificates.ts'

t.test('I-12: certificates renewed while a reload waits for the keeper are not put back by it', async (t) => {
  const ca = await createCa()
  const directory = mkdtempSync(join(tmpdir(), 'renewal-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const renew = async (name: string) => {
    const { cert, key } = await ca.issue({ names: [name] })
    writeFileSync(join(directory, 'pair.new'), `${cert}\n${key}\n`)
    renameSync(join(directory, 'pair.new'), join(directory, 'pair.pem'))
    return cert.trim()
  }
  await renew('first.test')
  const path = join(directory, 'sallyport.yaml')
  writeFileSync(
    path,
    `dataDirectory: ${directory}/data
runtimeDirectory: ${directory}/run
domains: [example.org]
tls: { certificates: [{ certFile: pair.pem, keyFile: pair.pem }] }
listeners: [{ protocol: imap, bind: 127.0.0.1, port: 0, tls: implicit }]
upstreams: { main: { imap: { host: 127.0.0.1, port: 1, tls: none }, identity: { method: stored-secret } } }
routes: [{ domain: example.org, upstream: main }]
log: { level: error }
workers: 0
`,
    { mode: 0o600 },
  )
  /** What the edge has been given, in order. */
  const given: string[] = []
  const asked = Promise.withResolvers<void>()
  const mayReload = Promise.withResolvers<void>()
  let heard: (() => void) | null = null
  let reloading = false
  const take = ({ tls }: EdgeSlice) => {
    given.push(tls.certificates[0]?.cert ?? '')
    heard?.()
  }
  const keeper: KeeperRole = {
    isReady: true,
    async reload() {
      reloading = true
      asked.resolve()
      await mayReload.promise
    },
    health: async () => ({ ok: true, store: 'up', redis: 'off' }),
    expectEdges() {},
    metrics: async () => [],
    stop: async () => {},
    kill() {},
  }
  const edge: EdgeRole = {
    isReady: true,
    reload: async (slice) => take(slice),
    metrics: async () => [],
    drainAndStop: async () => {},
    kill() {},
  }
  const never = async (): Promise<never> => {
    throw new Error('not in this configuration')
  }
  const load = () => loadConfig({ path, env: {} })
  const up = Promise.withResolvers<void>()
  const server = runServer({
    loaded: await load(),
    reload: load,
    version: 'test',
    roles: {
      keeper: async () => keeper,
      async edge(init) {
        take(init)
        up.resolve()
        return edge
      },
      https: never,
      web: never,
    },
  })
  await up.promise
  // Heard from the end of the start on; it also keeps this process alive, which has no children here.
  const alive = setInterval(() => reloading || process.kill(process.pid, 'SIGHUP'), 500)
  t.teardown(() => clearInterval(alive))
  await asked.promise
  const renewed = await renew('second.test')
  // Long enough for the change to be noticed, which no reload must hide.
  await sleep(1500)
  mayReload.resolve()
  while (given.length < 3) await new Promise<void>((resolve) => (heard = resolve))
  t.ok(given.at(-1)?.includes(renewed), 'once by the reload, once by the renewal, and the last word is the new one')
  process.kill(process.pid, 'SIGTERM')
  t.equal(await server, 0)
})
