import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { localPortal } from '../../src/contract/portal-channel.ts'
import { doorHeaders, doorKeys } from '../../src/contract/web-door.ts'
import { createMetrics } from '../../src/metrics.ts'
import { Secret } from '../../src/secret.ts'
import { createWebServer } from '../../src/web/server.ts'
import { captureLog } from '../support/logs.ts'

const keys = doorKeys(new Secret(randomBytes(16).toString('hex')))

async function webAt(path: string) {
  const server = await createWebServer({
    path,
    keys,
    keeper: localPortal({} as never), // nothing here gets as far as a question
    settings: () => ({}) as never,
    log: captureLog().log,
    metrics: createMetrics(),
  })
  t.teardown(() => server.close())
}

t.test('an answer that comes before the end of a body is not lost to whoever is still sending', async (t) => {
  // Short: the name of a unix socket has 107 characters at most.
  const directory = mkdtempSync(join(tmpdir(), 'web-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const path = join(directory, 'web.sock')
  await webAt(path)
  const socket = connect(path)
  const headers = doorHeaders(
    { door: 'operator', ip: '192.0.2.1', port: 1, protocol: 'http', requestId: '0123456789abcdef' },
    keys.operator,
  )
  const length = 900_000
  socket.write(
    `POST /api/v1/users HTTP/1.1\r\nHost: localhost\r\n${Object.entries(headers)
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join(
        '',
      )}Authorization: Bearer ${'x'.repeat(43)}\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n`,
  )
  let answer = ''
  socket.on('data', (part: Buffer) => {
    answer += part.toString('latin1')
  })
  const failed = once(socket, 'error').then(([error]) => error as Error)
  await once(socket, 'data')
  t.match(answer, /^HTTP\/1\.1 413 /, 'answered before the body')
  for (let sent = 0; sent < length; sent += 90_000) {
    socket.write(Buffer.alloc(90_000, ' '))
    await sleep(2)
  }
  const outcome = await Promise.race([failed, sleep(100, 'still open' as const)])
  t.equal(outcome, 'still open', 'nobody has closed on the sender')
  socket.destroy()
})
