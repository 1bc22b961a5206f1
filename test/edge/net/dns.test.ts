/**
 * What whoever answers for DNS can do to us (threats D10, D11). Node asks `dns.lookup` at each dial; here the test answers it, and
 * notes whatever else DNS is asked. The servers that names lead to are real, on addresses of loopback.
 */

import type { LookupAddress, LookupOptions } from 'node:dns'
import dns from 'node:dns'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { createServer, isIP } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { Test } from 'tap'
import t from 'tap'
import type { UpstreamTarget } from '../../../src/contract/admission.ts'
import type { PemPair } from '../../support/certificates.ts'
import { createCa } from '../../support/certificates.ts'
import { scriptedServer } from '../../support/peer.ts'
import type { HouseOptions, Script } from '../login/house.ts'
import { AFTER_LOGIN, echo, friendlyUpstream, openHouse, PASSWORD } from '../login/house.ts'
import { POP3 } from '../pop3/house.ts'
import { friendlySmtp, knownSmtp } from '../smtp/house.ts'

const NAME = 'mail.internal'
const HERE = '127.0.0.1'
const ELSEWHERE = '127.0.0.2'

type LookedUp = (error: NodeJS.ErrnoException | null, found: string | LookupAddress[], family?: number) => void

/** The resolver, in somebody else's hands until the test is over. */
function takeResolver(t: Test, answers: () => readonly string[]): { readonly asked: string[] } {
  const asked: string[] = []
  const own = dns.lookup
  const lookup = (name: string, options: LookupOptions, done: LookedUp): void => {
    // Whoever listens on an address has it looked up as well.
    if (isIP(name) !== 0) {
      own(name, options, done)
      return
    }
    asked.push(`lookup ${name}`)
    const found = answers().map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
    const first = found[0]
    process.nextTick(() => (options.all ? done(null, found) : done(null, first?.address ?? '', first?.family)))
  }
  dns.lookup = lookup as typeof dns.lookup
  t.teardown(() => {
    dns.lookup = own
  })
  return { asked }
}

/** Notes every question to DNS but that for the addresses of a name. */
function watchQuestions(t: Test): readonly string[] {
  const asked: string[] = []
  for (const place of [dns, dns.promises, dns.Resolver.prototype, dns.promises.Resolver.prototype]) {
    const table = place as unknown as Record<string, unknown>
    for (const name of Object.getOwnPropertyNames(table)) {
      const own = table[name]
      if (typeof own !== 'function' || !/^(?:resolve|reverse|lookupService)/.test(name)) continue
      table[name] = function (this: unknown, ...given: unknown[]) {
        asked.push(`${name} ${String(given[0])}`)
        return Reflect.apply(own, this, given)
      }
      t.teardown(() => {
        table[name] = own
      })
    }
  }
  return asked
}

const authority = await createCa('of our servers')
const own = await authority.issue({ names: [NAME] })

/** A server that takes anybody, behind STARTTLS. */
const behindStartTls: Script = async (peer) => {
  peer.send('* OK ready\r\n')
  const [, first] = await peer.expect(/^(\S+) STARTTLS$/)
  peer.send(`${first} OK go\r\n`)
  await peer.startTlsServer(own)
  const [, second] = await peer.expect(/^(\S+) CAPABILITY$/)
  peer.send(`* CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN\r\n${second} OK done\r\n`)
  const [, third] = await peer.expect(/^(\S+) AUTHENTICATE PLAIN \S+$/)
  peer.send(`${third} OK [CAPABILITY ${AFTER_LOGIN}] in\r\n`)
  await echo(peer)
}

/** Somebody else on the same port, who writes down all that is said, within TLS as well. */
async function listenElsewhere(t: Test, port: number, pair: PemPair, isImplicit: boolean) {
  const closed: Promise<void>[] = []
  let heard = ''
  const server = createServer((socket) => {
    const { promise, resolve } = Promise.withResolvers<void>()
    closed.push(promise)
    const over = (): void => {
      socket.destroy()
      resolve()
    }
    const hear = (from: Socket): void => {
      for (const event of ['error', 'end', 'close']) from.on(event, over)
    }
    const secure = (greeting: string): void => {
      const inside = new TLSSocket(socket, { isServer: true, ...pair })
      hear(inside)
      inside.on('data', (bytes) => {
        heard += bytes
      })
      // Only now: what is written before may be what the handshake fails of.
      inside.on('secure', () => inside.write(greeting))
    }
    hear(socket)
    if (isImplicit) return secure('* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] ready\r\n')
    socket.write('* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN LOGIN] ready\r\n')
    socket.once('data', (bytes) => {
      heard += bytes
      socket.write(`${String(bytes).split(' ')[0]} OK go\r\n`)
      secure('')
    })
  })
  server.listen(port, ELSEWHERE)
  await once(server, 'listening')
  t.teardown(() => server.close())
  return { closed, heard: () => heard }
}

t.setTimeout(240_000)

for (const tls of ['implicit', 'starttls'] as const) {
  for (const [who, pair] of [
    ['somebody without a certificate of ours', await (await createCa('of nobody')).issue({ names: [NAME] })],
    ['a server of ours with another name', await authority.issue({ names: ['other.internal', ELSEWHERE] })],
  ] as const) {
    await t.test(`D10: a name that comes to mean ${who}, ${tls}`, async (t) => {
      let leadsTo: readonly string[] = [HERE]
      const { asked } = takeResolver(t, () => leadsTo)
      const isImplicit = tls === 'implicit'
      await using right = await scriptedServer(
        isImplicit ? friendlyUpstream() : behindStartTls,
        isImplicit ? { tls: own } : {},
      )
      const wrong = await listenElsewhere(t, right.port, pair, isImplicit)
      const target: Partial<UpstreamTarget> = {
        hosts: [{ host: NAME, port: right.port }],
        tls,
        ca: authority.cert,
        serverName: null,
      }
      await using house = await openHouse(t, { target })
      const logIn = async (): Promise<string> => {
        const client = await house.connect()
        await client.expect(/^\* OK/)
        client.send(`a LOGIN ann@example.org "${PASSWORD}"\r\n`)
        return await client.line()
      }
      t.match(await logIn(), /^a OK /)
      t.strictSame(asked, [`lookup ${NAME}`], 'a name is looked up once for a connection')
      // By now there are tickets of a session to resume: they prove nothing for whoever did not give them.
      leadsTo = [ELSEWHERE]
      t.match(await logIn(), /^a NO \[UNAVAILABLE\] /, 'our trouble, no wrong password')
      leadsTo = [ELSEWHERE, HERE]
      t.match(await logIn(), /^a NO \[UNAVAILABLE\] /, 'nor beside the right one')
      t.equal(right.connections, 1)
      t.equal(wrong.closed.length, 2)
      await Promise.all(wrong.closed)
      t.match(wrong.heard(), isImplicit ? /^$/ : /^(?:S\w+ STARTTLS\r\n){2}$/, 'nothing was told')
      leadsTo = [HERE]
      t.match(await logIn(), /^a OK /, 'and it goes on when the name is right again')
    })
  }
}

for (const [protocol, options, login] of [
  ['imap', { upstream: friendlyUpstream() }, [`a LOGIN ann@example.org "${PASSWORD}"\r\n`, /^a OK /]],
  ['pop3', POP3, [`USER ann@example.org\r\nPASS ${PASSWORD}\r\n`, /^\+OK Logged in/]],
  [
    'smtp',
    { ...knownSmtp(), upstream: friendlySmtp() },
    [`EHLO ${HERE}\r\nAUTH PLAIN ${Buffer.from(`\0ann@example.org\0${PASSWORD}`).toString('base64')}\r\n`, /^235 /],
  ],
] as const satisfies [string, HouseOptions, [string, RegExp]][]) {
  await t.test(`D11: ${protocol}: of DNS only addresses are asked, and only those of the upstream`, async (t) => {
    const others = watchQuestions(t)
    const { asked } = takeResolver(t, () => [HERE])
    await using house = await openHouse(t, options)
    const { port } = house.gate.target.hosts[0] ?? { port: 0 }
    house.gate.target = { ...house.gate.target, hosts: [{ host: NAME, port }] }
    const client = await house.connect()
    client.send(login[0])
    await client.linesUntil(login[1])
    t.strictSame([...asked, ...others], [`lookup ${NAME}`])
  })
}
