import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import type { IncomingMessage, RequestListener, Server } from 'node:http'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { connect, createServer as createSocketServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import t from 'tap'
import { clientAtDoor, doorKeys } from '../../src/contract/web-door.ts'
import type { ForwardOptions } from '../../src/edge/forward.ts'
import { createForward } from '../../src/edge/forward.ts'
import { Secret } from '../../src/secret.ts'
import { captureLog } from '../support/logs.ts'

const KEYS = doorKeys(new Secret('a secret of this test'))
const CLIENT = {
  door: 'public',
  ip: '192.0.2.7',
  port: 4711,
  protocol: 'https',
  requestId: '0123456789abcdef',
} as const

interface Web {
  readonly listener?: RequestListener
  readonly raw?: string
  readonly options?: Partial<ForwardOptions>
}

/** A door in front of a web that is the test's. */
async function house(t: Test, { listener, raw, options }: Web) {
  const directory = mkdtempSync(join(tmpdir(), 'forward-'))
  const path = join(directory, 'web.sock')
  const logs = captureLog()
  const forward = createForward({ path, key: KEYS.public, log: logs.log, ...options })
  let done = 0
  const door = createServer((incoming, response) => {
    void forward({ request: incoming, response, client: CLIENT, wantBody() {} }).then(() => {
      done += 1
    })
  }).listen(0, '127.0.0.1')
  await once(door, 'listening')
  const web =
    listener !== undefined
      ? createServer(listener).listen(path)
      : raw !== undefined
        ? createSocketServer((socket) => socket.on('error', () => {}).once('data', () => socket.end(raw))).listen(path)
        : null
  if (web !== null) await once(web, 'listening')
  t.teardown(() => {
    door.closeAllConnections()
    door.close()
    if (web !== null && 'closeAllConnections' in web) (web as Server).closeAllConnections()
    web?.close()
    rmSync(directory, { recursive: true, force: true })
  })
  const begin = (headers: Record<string, string | string[]> = {}, method = 'GET') =>
    request({ port: (door.address() as AddressInfo).port, agent: false, method, headers })
  return {
    logs,
    begin,
    /** Of a client that reads nothing before it has sent all. */
    async sendFirst(head: string, body: Buffer) {
      const client = connect((door.address() as AddressInfo).port, '127.0.0.1')
      client.on('error', () => {})
      client.write(`POST / HTTP/1.1\r\nHost: portal.example.org\r\n${head}\r\n\r\n`)
      await new Promise((resolve) => client.write(body, resolve))
      const [part = ''] = await Promise.race([once(client, 'data'), once(client, 'close').then(() => [])])
      client.destroy()
      return String(part)
    },
    get done() {
      return done
    },
    async send(headers: Record<string, string | string[]> = {}, method = 'GET', body = '') {
      const asked = begin(headers, method)
      asked.on('error', () => {})
      asked.end(body)
      const [response] = (await once(asked, 'response')) as [IncomingMessage]
      let text = ''
      for await (const part of response) text += part
      return { status: response.statusCode ?? 0, headers: response.headers, text }
    },
  }
}

t.test(
  'what a client says of itself ends here; what we know of it goes along, under the key of the door',
  async (t) => {
    let seen: IncomingMessage | null = null
    const h = await house(t, {
      listener: (incoming, response) => {
        seen = incoming
        response.setHeader('Set-Cookie', ['a=1', 'b=2'])
        response.setHeader('Connection', 'close, X-Hop')
        response.setHeader('X-Hop', '1')
        response.end('hello')
      },
    })
    const answer = await h.send({
      'X-Forwarded-For': '10.0.0.1',
      Forwarded: 'for=10.0.0.1',
      'X-Real-IP': '10.0.0.1',
      'X-Sallyport-Key': 'guess',
      'x-sallyport-client': Buffer.from('{"ip":"10.0.0.1"}').toString('base64url'),
      Connection: 'X-Mine',
      'X-Mine': '1',
      Cookie: 'c=3',
      'X-Kept': '1',
    })
    t.match(answer, { status: 200, text: 'hello', headers: { 'set-cookie': ['a=1', 'b=2'] } })
    t.notOk(answer.headers['x-hop'])
    const { headers } = seen as unknown as IncomingMessage
    t.strictSame(clientAtDoor(headers, KEYS), CLIENT, 'A13')
    t.match(headers, { cookie: 'c=3', 'x-kept': '1' })
    for (const name of ['x-forwarded-for', 'forwarded', 'x-real-ip', 'x-mine', 'x-sallyport-key'])
      t.notOk(headers[name], name)
  },
)

t.test('a door’s key opens that door and no other', (t) => {
  const other = doorKeys(new Secret('another secret'))
  const headersWith = (key: Secret) => ({
    'x-sallyport-key': key.reveal(),
    'x-sallyport-client': Buffer.from(JSON.stringify({ ...CLIENT, door: 'operator' })).toString('base64url'),
  })
  t.equal(clientAtDoor(headersWith(KEYS.public), KEYS)?.door, 'public', 'whatever it says itself')
  t.equal(clientAtDoor(headersWith(KEYS.operator), KEYS)?.door, 'operator')
  t.equal(clientAtDoor(headersWith(other.public), KEYS), null)
  t.equal(clientAtDoor({}, KEYS), null)
  t.end()
})

t.test('web away, broken or silent is a page, and the client’s language is its own', async (t) => {
  for (const [web, status, why] of [
    [{}, 503, 'nobody listens'],
    [{ raw: 'no HTTP\r\n\r\n' }, 502, 'no HTTP'],
    [{ raw: '' }, 502, 'hangs up'],
    [{ listener: () => {}, options: { answerMs: 150 } }, 504, 'silence'],
  ] as [Web, number, string][]) {
    const h = await house(t, web)
    const answer = await h.send({ 'Accept-Language': 'nl' })
    t.equal(answer.status, status, why)
    t.match(answer.text, /lang="nl"/)
    t.match(answer.headers, { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff', 'retry-after': /\d/ })
    t.equal(h.logs.log.bugs, 0)
  }
})

t.test('a body is streamed up to its limit, and not read beyond it', async (t) => {
  let got = 0
  const h = await house(t, {
    listener: async (incoming, response) => {
      try {
        for await (const part of incoming) got += (part as Buffer).length
        response.end(String(got))
      } catch {
        // The door has hung up.
      }
    },
    options: { maxBodyBytes: 100_000 },
  })
  t.equal((await h.send({}, 'POST', 'x'.repeat(100_000))).text, '100000')
  t.equal((await h.send({ 'Content-Length': '100001' }, 'POST', 'x'.repeat(100_001))).status, 413, 'announced')
  const chunked = await h.send({ 'Transfer-Encoding': 'chunked' }, 'POST', 'x'.repeat(100_001))
  t.equal(chunked.status, 413, 'found out')
  t.equal((await h.send({}, 'TRACE')).status, 405)
})

t.test('who is answered early and reads only when all is sent gets the answer, and no reset', async (t) => {
  // More than the buffers between two sockets hold.
  const body = Buffer.alloc(14_000_000, 'x')
  const chunked = Buffer.concat([Buffer.from(`${body.length.toString(16)}\r\n`), body, Buffer.from('\r\n0\r\n\r\n')])
  const large = await house(t, { listener: (incoming) => incoming.resume(), options: { maxBodyBytes: 100_000 } })
  const early = await house(t, {
    listener(incoming, response) {
      incoming.resume()
      response.writeHead(403).end()
    },
    options: { maxBodyBytes: 2 * body.length },
  })
  for (const [h, status] of [
    [large, 413],
    [early, 403],
  ] as const) {
    t.match(await h.sendFirst(`Content-Length: ${body.length}`, body), `HTTP/1.1 ${status}`)
    t.match(await h.sendFirst('Transfer-Encoding: chunked', chunked), `HTTP/1.1 ${status}`)
  }
})

t.test('G-1: where a body ends is said anew, so no request hides in another', async (t) => {
  const seen: string[] = []
  const h = await house(t, {
    listener: async (incoming, response) => {
      let body = ''
      for await (const part of incoming) body += part
      seen.push(`${incoming.method} ${incoming.url} ${body.length}`)
      response.end()
    },
  })
  const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n'
  for (const method of ['GET', 'POST', 'DELETE', 'OPTIONS']) {
    const headers = { Connection: 'Content-Length', 'Content-Length': String(smuggled.length) }
    t.equal((await h.send(headers, method, smuggled)).status, 200)
  }
  t.strictSame(seen, ['GET / 35', 'POST / 35', 'DELETE / 35', 'OPTIONS / 35'])
})

t.test('half an answer does not look like a whole one', async (t) => {
  const h = await house(t, {
    listener: (_, response) => {
      response.writeHead(200, { 'Content-Length': '100' })
      response.write('half')
      setTimeout(() => response.destroy(), 20)
    },
  })
  await t.rejects(h.send(), { code: 'ECONNRESET' })
})

t.test('a client that leaves is not waited for at web', async (t) => {
  let closed: Promise<unknown> | null = null
  const arrived = Promise.withResolvers<void>()
  const h = await house(t, {
    listener: (_, response) => {
      closed = once(response, 'close')
      arrived.resolve()
    },
  })
  const asked = h.begin()
  asked.on('error', () => {})
  asked.end()
  await arrived.promise
  asked.destroy()
  await closed
  t.equal(h.done, 1, 'and its forward is over')
})
