/**
 * G-2: an upstream connection is its client's alone, and what is kept of it goes as soon as it could be wrong.
 */

import { once } from 'node:events'
import { Agent } from 'node:http'
import type { Socket } from 'node:net'
import type { Test } from 'tap'
import t from 'tap'
import { Secret } from '../../../src/secret.ts'
import type { EasHouse, EasHouseOptions } from './house.ts'
import { openHouse, PATH } from './house.ts'

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
const PING = { path: `${PATH}?Cmd=Ping&User=ann&DeviceId=PHONE1&DeviceType=iPhone` }
/** Longer than any test: what goes earlier goes for another reason. */
const LONG_MS = 60_000

interface Kept {
  readonly house: EasHouse
  /** Connections to the upstream, in their order. */
  readonly sockets: readonly Socket[]
  /** A client connection that stays open. */
  phone(): Agent
}

/** @param speak what the upstream does with the nth request on its nth connection, both from 1; default: it answers 'ok' */
async function keeping(
  t: Test,
  speak: (socket: Socket, request: number, connection: number) => void = (socket) => void socket.write(OK),
  options: EasHouseOptions = {},
): Promise<Kept> {
  const sockets: Socket[] = []
  const house = await openHouse(t, {
    keepMs: LONG_MS,
    socket: (socket) => {
      const connection = sockets.push(socket)
      let requests = 0
      socket.on('data', (bytes) => {
        if (bytes.includes(`${PATH}`)) speak(socket, ++requests, connection)
      })
    },
    ...options,
  })
  return {
    house,
    sockets,
    phone() {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 })
      t.teardown(() => agent.destroy())
      return agent
    },
  }
}

const closed = (socket: Socket | undefined) => (socket?.closed ? undefined : socket && once(socket, 'close'))

t.test('one client connection has one upstream connection, and shares it with no other', async (t) => {
  const { house, sockets, phone } = await keeping(t)
  const [one, other] = [phone(), phone()]
  for (let i = 0; i < 3; i++) {
    t.equal((await house.send({ agent: one })).body.toString(), 'ok')
    t.equal((await house.send({ agent: other })).body.toString(), 'ok')
  }
  t.equal(sockets.length, 2)
  one.destroy()
  await closed(sockets[0])
  t.notOk(sockets[1]?.destroyed, 'it goes with its own client')
  t.equal((await house.send({ agent: other })).status, 200)
  t.equal(sockets.length, 2)
})

t.test('whatever differs between two requests is another connection', async (t) => {
  const { house, sockets, phone } = await keeping(t)
  const agent = phone()
  const { target } = house.gate
  const secret = new Secret('another secret of the upstream')
  const differences: (() => void)[] = [
    () => Object.assign(house.gate, { userId: 'u2' }),
    () => Object.assign(house.gate, { target: { ...target, identity: { ...target.identity, secret } } }),
    () => Object.assign(house.gate, { target: { ...target, http: { host: 'other.internal', path: '' } } }),
    () => Object.assign(house.gate, { target: { ...target, proxyProtocol: 'v1' } }),
    () => Object.assign(house.gate, { target: { ...target, trusted: true } }),
  ]
  t.equal((await house.send({ agent })).status, 200)
  for (const differ of differences) {
    const before = sockets.length
    differ()
    t.equal((await house.send({ agent })).status, 200)
    t.equal(sockets.length, before + 1)
    await closed(sockets[before - 1])
    t.equal((await house.send({ agent })).status, 200)
    t.equal(sockets.length, before + 1, 'and that is kept')
  }
})

t.test('what an upstream says unasked ends its connection, and reaches nobody', async (t) => {
  const { house, sockets, phone } = await keeping(t)
  const agent = phone()
  await house.send({ agent })
  sockets[0]?.write('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen')
  await closed(sockets[0])
  t.equal((await house.send({ agent })).body.toString(), 'ok')
  t.equal(sockets.length, 2)

  const behind = await keeping(t, (socket) => {
    socket.write(`${OK}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen`)
  })
  const other = behind.phone()
  for (let i = 1; i <= 3; i++) {
    t.equal((await behind.house.send({ agent: other })).body.toString(), 'ok')
    t.equal(behind.sockets.length, i)
    await closed(behind.sockets[i - 1])
  }
})

t.test('an upstream may end it, at once or later', async (t) => {
  const { house, sockets, phone } = await keeping(t, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok')
  })
  const agent = phone()
  await house.send({ agent })
  await closed(sockets[0])
  t.equal((await house.send({ agent })).status, 200)
  t.equal(sockets.length, 2)

  const later = await keeping(t)
  const other = later.phone()
  await later.house.send({ agent: other })
  later.sockets[0]?.end()
  await closed(later.sockets[0])
  t.equal((await later.house.send({ agent: other })).status, 200)
  t.equal(later.sockets.length, 2)
})

t.test('it ends when nobody asks for it', async (t) => {
  const { house, sockets, phone } = await keeping(t, undefined, { keepMs: 50 })
  const agent = phone()
  await house.send({ agent })
  await closed(sockets[0])
  t.equal((await house.send({ agent })).status, 200)
})

t.test('its end crosses a request: the phone is asked to come again soon, and that goes well', async (t) => {
  const { house, phone } = await keeping(t, (socket, request) => {
    if (request === 1) socket.write(OK)
    else socket.destroy()
  })
  const agent = phone()
  await house.send({ agent })
  const crossed = await house.send({ agent, body: 'x' })
  t.match(crossed, { status: 503, headers: { 'retry-after': '5' } })
  t.equal((await house.send({ agent })).status, 200)
  const ping = await house.send({ agent, ...PING })
  t.match(ping, { status: 200, headers: { 'content-type': 'application/vnd.ms-sync.wbxml' } })
  t.equal((await house.send({ agent })).status, 200)
})

t.test(
  'an answer that is not the phone’s, or comes before its request was sent, is not followed by another',
  async (t) => {
    const refused = await keeping(t, (socket) => {
      socket.write('HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno')
    })
    const agent = refused.phone()
    for (let i = 1; i <= 2; i++) {
      t.equal((await refused.house.send({ agent })).status, 503)
      t.equal(refused.sockets.length, i)
      await closed(refused.sockets[i - 1])
    }

    const early = await keeping(t)
    const other = early.phone()
    const asked = early.house.begin({ agent: other, headers: { 'content-length': '100000' } }, false)
    asked.on('error', () => {})
    asked.write('the beginning')
    const [response] = await once(asked, 'response')
    response.resume()
    await closed(early.sockets[0])
    asked.destroy()
    await early.house.quiet()
  },
)

t.test('a poll that is given up takes it along', async (t) => {
  const { house, sockets, phone } = await keeping(t, (socket, request) => {
    if (request === 1) socket.write(OK)
  })
  const agent = phone()
  await house.send({ agent })
  await house.quiet()
  const asked = house.begin({ agent, ...PING })
  asked.on('error', () => {})
  while (house.sessions.size === 0) await new Promise(setImmediate)
  asked.destroy()
  await closed(sockets[0])
  await house.quiet()
  t.equal(sockets.length, 1)
})
