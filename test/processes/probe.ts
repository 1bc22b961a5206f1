/**
 * What somebody who runs code inside an edge would try: started under exactly an edge's flags and environment.
 */

import { spawn } from 'node:child_process'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { open, readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { Worker } from 'node:worker_threads'
import { connectIpc } from '../../src/ipc.ts'
import { Secret } from '../../src/secret.ts'

export interface ProbeRequest {
  readonly read: readonly string[]
  readonly list: readonly string[]
  readonly write: readonly string[]
  readonly controlSocket: string
  readonly edgeSocket: string
}

async function outcome(what: () => unknown): Promise<string> {
  try {
    await what()
    return 'done'
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error)
  }
}

const handlers = { request: async () => null, notice() {}, closed() {}, bug() {} }

async function probe(request: ProbeRequest): Promise<Record<string, string>> {
  const results: Record<string, string> = {}
  for (const path of request.read) {
    results[`readFileSync ${path}`] = await outcome(() => readFileSync(path))
    results[`readFile ${path}`] = await outcome(() => readFile(path))
    results[`open ${path}`] = await outcome(async () => (await open(path, 'r')).close())
    results[`stat ${path}`] = await outcome(() => statSync(path))
    results[`import ${path}`] = await outcome(() => import(`${path}?x`))
  }
  for (const path of request.list) results[`list ${path}`] = await outcome(() => readdirSync(path))
  for (const path of request.write) results[`write ${path}`] = await outcome(() => writeFileSync(path, 'x'))
  results['child process'] = await outcome(() => spawn('/bin/cat', ['/etc/passwd']))
  results.worker = await outcome(() => new Worker('0', { eval: true, execArgv: [] }))
  results.addon = await outcome(() => process.dlopen({ exports: {} } as NodeJS.Module, '/tmp/x.node'))
  results.inspector = await outcome(async () => (await import('node:inspector')).open(0))
  for (const [name, path, role] of [
    ['control', request.controlSocket, 'control'],
    ['edge', request.edgeSocket, 'edge'],
  ] as const) {
    for (const key of ['', 'a guess']) {
      const connect = () => connectIpc({ path, role, name: 'edge-1', key: new Secret(key), handlers })
      results[`${name} socket with key "${key}"`] = await outcome(connect)
    }
  }
  // The permission model does not keep it from listening at unix sockets either, so no path that matters may be free.
  for (const path of [request.controlSocket, request.edgeSocket]) {
    results[`listen ${path}`] = await outcome(
      () =>
        new Promise<void>((resolve, reject) => {
          const server = createServer().listen(path, () => server.close(() => resolve()))
          server.once('error', reject)
        }),
    )
  }
  results.environment = Object.keys(process.env).sort().join(' ')
  return results
}

process.on('message', (request: ProbeRequest) => {
  void probe(request).then((results) => process.send?.(results, () => process.disconnect()))
})
