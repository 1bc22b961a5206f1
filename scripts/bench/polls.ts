/**
 * `node scripts/bench/polls.ts [POLLS] [tls]`: what waiting ActiveSync polls cost, and what a request costs that was seen before.
 *
 * The upstream answers OPTIONS and Sync at once and a Ping never; clients speak TLS, each on a connection of its own, and so does
 * the upstream with `tls`. What is measured is the https edge and the keeper, by the kernel's figures: memory shared with others is
 * divided among them.
 */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { IncomingMessage, RequestListener } from 'node:http'
import { createServer } from 'node:http'
import { Agent, createServer as createTlsServer, request } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createCa } from '../../test/support/certificates.ts'
import { freePort, waitForPort } from '../../test/support/ports.ts'
import { commandLine, cpuBetween, processTree, readCpu, readPssKb } from './process-tree.ts'

const POLLS = Number(process.argv[2] ?? 2000)
const WITH_TLS = process.argv[3] === 'tls'
const REQUESTS = 2000
const REST_MS = 20_000
const AT_ONCE = 50
const USER = 'ann@example.org'
const PATH = '/Microsoft-Server-ActiveSync'

/** The upstream is a process of its own, so that its sockets and its work are not ours: this file again. */
if (process.argv[2] === 'upstream') {
  const answer: RequestListener = (incoming, response) => {
    incoming.resume()
    if (!(incoming.url ?? '').includes('Cmd=Ping')) response.end('x'.repeat(100))
  }
  const [cert, key] = process.argv.slice(3).map((name) => readFileSync(name))
  const server =
    cert && key
      ? createTlsServer({ requestTimeout: 0, cert, key }, answer)
      : createServer({ requestTimeout: 0 }, answer)
  server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port))
} else await main()

async function main(): Promise<void> {
  await using stack = new AsyncDisposableStack()
  const directory = mkdtempSync(join(tmpdir(), 'sp-polls-'))
  chmodSync(directory, 0o700)
  stack.defer(() => rmSync(directory, { recursive: true, force: true, maxRetries: 5 }))
  const ca = await createCa()
  const pair = await ca.issue()
  const file = (name: string, text: string) => {
    writeFileSync(join(directory, name), text, { mode: 0o600 })
    return join(directory, name)
  }
  const [certFile, keyFile] = [file('cert.pem', pair.cert), file('key.pem', pair.key)]
  const upstream = spawn(
    process.execPath,
    [import.meta.filename, 'upstream', ...(WITH_TLS ? [certFile, keyFile] : [])],
    {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    },
  )
  stack.defer(() => void upstream.kill())
  const [upstreamPort] = await once(upstream, 'message')

  const port = await freePort()
  const config = file(
    'sallyport.yaml',
    JSON.stringify({
      dataDirectory: join(directory, 'data'),
      domains: ['example.org'],
      tls: { certificates: [{ certFile, keyFile }] },
      listeners: [{ protocol: 'https', bind: '127.0.0.1', port, serves: ['eas'] }],
      upstreams: {
        main: {
          eas: WITH_TLS
            ? { url: `https://127.0.0.1:${upstreamPort}`, caFile: file('ca.pem', ca.cert) }
            : { url: `http://127.0.0.1:${upstreamPort}` },
          identity: { method: 'master-user', user: 'sp', passwordFile: file('master', 'the bench itself\n') },
        },
      },
      limits: { connections: 100_000, perAddress: 100_000, perUser: 100_000 },
      throttle: { trustedNetworks: ['127.0.0.0/8'] },
      workers: 1,
      log: { level: 'error' },
    }),
  )
  const command = resolve(import.meta.dirname, '../sallyport')
  const server = spawn(command, ['serve', '--config', config], { stdio: ['ignore', 'inherit', 'inherit'] })
  stack.defer(async () => {
    server.kill('SIGTERM')
    await once(server, 'exit')
  })
  await waitForPort(port, { timeoutMs: 60_000 })
  await cli(command, ['user', 'add', USER, '--config', config])
  const issued = await cli(command, [
    'app-password',
    'create',
    '--user',
    USER,
    '--name',
    'phone',
    '--json',
    '--config',
    config,
  ])
  const { password } = JSON.parse(issued) as { password: string }
  const authorization = `Basic ${Buffer.from(`${USER}:${password}`).toString('base64')}`
  const shared = { host: '127.0.0.1', port, ca: ca.cert, servername: 'localhost', method: 'POST' }
  const headers = { authorization, 'content-type': 'application/vnd.ms-sync.wbxml' }

  const role = (name: string) => {
    const pid = processTree(server.pid ?? 0).find((each) => commandLine(each).includes(`internal-role ${name}`))
    if (pid === undefined) throw new Error(`no process ${name}`)
    return pid
  }
  const pids = [role('https'), role('keeper')]
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  stack.defer(() => agent.destroy())
  const sync = async () => {
    const asked = request({ ...shared, agent, headers, path: `${PATH}?Cmd=Sync&User=ann&DeviceId=d0&DeviceType=x` })
    asked.end('x')
    const [response] = (await once(asked, 'response')) as [IncomingMessage]
    for await (const _ of response);
    if (response.statusCode !== 200) throw new Error(`status ${response.statusCode}`)
  }
  for (let i = 0; i < 500; i++) await sync()
  const before = readCpu(pids)
  for (let i = 0; i < REQUESTS; i++) await sync()
  const perRequestMs = (cpuBetween(before, readCpu(pids)) / REQUESTS) * 1000

  const emptyKb = readPssKb(pids)
  const waiting: ReturnType<typeof request>[] = []
  stack.defer(() => {
    for (const each of waiting) each.destroy()
  })
  for (let i = 0; i < POLLS; i += AT_ONCE) {
    const opened = Array.from({ length: Math.min(AT_ONCE, POLLS - i) }, () => {
      const asked = request({
        ...shared,
        agent: false,
        headers,
        path: `${PATH}?Cmd=Ping&User=ann&DeviceId=d0&DeviceType=x`,
      })
      asked.on('error', () => {})
      asked.end('x')
      waiting.push(asked)
      return once(asked, 'finish')
    })
    await Promise.all(opened)
    await sleep(50)
  }
  await sleep(REST_MS)
  const fullKb = readPssKb(pids)
  const resting = readCpu(pids)
  await sleep(REST_MS)
  const atRest = cpuBetween(resting, readCpu(pids)) / (REST_MS / 1000)
  const sessions = JSON.parse(await cli(command, ['session', 'list', '--json', '--config', config])) as unknown[]
  const [https = 0, keeper = 0] = pids
  process.stdout.write(
    `${JSON.stringify({
      polls: sessions.length,
      kbPerPoll: Number(((fullKb - emptyKb) / POLLS).toFixed(1)),
      httpsMb: Math.round(readPssKb([https]) / 1024),
      keeperMb: Math.round(readPssKb([keeper]) / 1024),
      cpuAtRestPercent: Number((atRest * 100).toFixed(2)),
      cpuPerRequestMs: Number(perRequestMs.toFixed(2)),
    })}\n`,
  )
}

async function cli(command: string, args: readonly string[]): Promise<string> {
  const child = spawn(command, [...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  for await (const part of child.stdout) output += part
  return output
}
