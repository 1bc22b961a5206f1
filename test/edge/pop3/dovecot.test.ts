/**
 * Our side of the upstream login against a real Dovecot: each transport, both ways to act for a user, whose connection it is.
 */

import t from 'tap'
import type { Peer, UpstreamTarget } from '../../../src/contract/admission.ts'
import { createDialer } from '../../../src/edge/net/dial.ts'
import { loginUpstream } from '../../../src/edge/pop3/upstream.ts'
import { startDovecot } from '../../support/dovecot.ts'
import { requireService } from '../../support/services.ts'
import { PASSWORD } from '../login/house.ts'
import { byAuthzid, byMasterUser } from '../login/identities.ts'
import { openPop3 } from './house.ts'

t.test('real Dovecot', async (t) => {
  if (!requireService(t, 'dovecot')) return
  await using dovecot = await startDovecot()
  const at = (port: number) => ({ hosts: [{ host: '127.0.0.1', port }], ca: dovecot.ca })
  const identities = [
    { why: 'authzid', identity: byAuthzid(dovecot) },
    { why: 'master user', identity: byMasterUser(dovecot) },
  ] as const
  for (const [transport, target] of [
    ['implicit TLS', { tls: 'implicit', ...at(dovecot.ports.pop3s) }],
    ['STLS', { tls: 'starttls', ...at(dovecot.ports.pop3) }],
    ['clear text', { tls: 'none', ...at(dovecot.ports.pop3) }],
  ] as const satisfies [string, Partial<UpstreamTarget>][]) {
    for (const { why, identity } of identities) {
      for (const trusted of [true, false]) {
        await t.test(`${transport}, ${why}, ${trusted ? 'trusted' : 'not trusted'}`, async (t) => {
          await using house = await openPop3(t, { target: { ...target, identity, trusted } })
          const client = await house.connect()
          await client.line()
          client.send(`USER ann\r\nPASS ${PASSWORD}\r\nSTAT\r\nCAPA\r\nXCLIENT ADDR=10.0.0.1\r\nQUIT\r\n`)
          const replies = (await client.rest()).split('\r\n')
          t.equal(replies[1], '+OK Logged in.')
          t.match(replies[2], /^\+OK \d+ \d+$/)
          t.ok(replies.includes('UIDL'), 'client 14: CAPA is Dovecot’s own')
          t.notOk(replies.includes('XCLIENT'), 'invariant 14')
          t.match(replies.at(-3), /^-ERR /, 'invariant 14: nor does it take one')
          t.match(replies.at(-2), /^\+OK /)
          await house.served()
          t.notOk(dovecot.log().includes(PASSWORD), 'the app password never went upstream')
        })
      }
    }
  }

  await t.test('a wrong credential of ours is no wrong password (D7, invariant 11)', async (t) => {
    const identity = byAuthzid(dovecot, 'not it at all')
    await using house = await openPop3(t, { target: { tls: 'implicit', ...at(dovecot.ports.pop3s), identity } })
    const client = await house.connect()
    await client.line()
    client.send(`USER ann\r\nPASS ${PASSWORD}\r\n`)
    await client.line()
    t.match(await client.line(), /^-ERR \[SYS\/TEMP\] /)
    t.match(await house.logs.wait('upstream_failed'), { reason: 'upstream-refused', detail: /\[AUTH\]/ })
    t.strictSame(house.gate.outcomes, ['upstream-refused'])
  })

  await t.test('a trusted connection carries the client’s address and our session’s name', async (t) => {
    const client: Peer = { ip: '203.0.113.7', port: 4711, localIp: '198.51.100.1', localPort: 995, tls: null }
    for (const ip of ['203.0.113.7', '2001:db8::7']) {
      const target: UpstreamTarget = {
        name: 'main',
        tls: 'implicit',
        ...at(dovecot.ports.pop3s),
        serverName: null,
        proxyProtocol: null,
        identity: identities[0].identity,
        trusted: true,
      }
      const wire = await createDialer().dial(target, client, new AbortController().signal)
      const mark = dovecot.mark()
      const session = await loginUpstream(wire, target, { ...client, ip }, 'our-session-id')
      t.ok(session.capabilities.includes('UIDL'), 'asked for after the login, since XCLIENT was offered before')
      const [line] = await dovecot.waitForLog(/Login: user=<ann@example\.org>.*/, mark)
      t.match(line, `rip=${ip}`)
      t.match(line, 'session=<our-session-id>')
      session.release().socket.destroy()
    }
  })
})
