/**
 * Our side of the upstream login against a real Dovecot: each transport, both ways to act for a user, whose connection it is.
 */

import t from 'tap'
import type { Peer, UpstreamTarget } from '../../../src/contract/admission.ts'
import { createImap } from '../../../src/edge/imap/index.ts'
import { createDialer } from '../../../src/edge/net/dial.ts'
import { createMetrics } from '../../../src/metrics.ts'
import { startDovecot } from '../../support/dovecot.ts'
import { captureLog } from '../../support/logs.ts'
import { requireService } from '../../support/services.ts'
import { openHouse, PASSWORD, RULES } from '../login/house.ts'
import { byAuthzid, byMasterUser } from '../login/identities.ts'

t.test('real Dovecot', async (t) => {
  if (!requireService(t, 'dovecot')) return
  await using dovecot = await startDovecot()
  const at = (port: number) => ({ hosts: [{ host: '127.0.0.1', port }], ca: dovecot.ca })
  const identities = [
    { why: 'authzid', identity: byAuthzid(dovecot) },
    { why: 'master user', identity: byMasterUser(dovecot) },
  ] as const
  for (const [transport, target] of [
    ['implicit TLS', { tls: 'implicit', ...at(dovecot.ports.imaps) }],
    ['STARTTLS', { tls: 'starttls', ...at(dovecot.ports.imap) }],
    ['clear text', { tls: 'none', ...at(dovecot.ports.imap) }],
  ] as const satisfies [string, Partial<UpstreamTarget>][]) {
    for (const { why, identity } of identities) {
      await t.test(`${transport}, ${why}`, async (t) => {
        await using house = await openHouse(t, { target: { ...target, identity, trusted: true } })
        const client = await house.connect()
        await client.line()
        client.send(`a LOGIN ann "${PASSWORD}"\r\nb SELECT INBOX\r\nc LOGOUT\r\n`)
        const [first = '', ...rest] = (await client.rest()).split('\r\n')
        t.match(first, /^a OK \[CAPABILITY IMAP4rev1 .*IDLE.* COMPRESS=DEFLATE.*\] Logged in\.$/)
        t.notMatch(first, /AUTH=|SASL-IR|STARTTLS|LOGINDISABLED/)
        t.ok(rest.some((line) => line.startsWith('b OK ')))
        t.ok(rest.some((line) => line.startsWith('c OK ')))
        await house.served()
        t.notOk(dovecot.log().includes(PASSWORD), 'the app password never went upstream')
      })
    }
  }

  await t.test('a wrong credential of ours is no wrong password (D7, invariant 11)', async (t) => {
    const identity = byAuthzid(dovecot, 'not it at all')
    await using house = await openHouse(t, { target: { tls: 'implicit', ...at(dovecot.ports.imaps), identity } })
    const client = await house.connect()
    await client.line()
    client.send(`a LOGIN ann "${PASSWORD}"\r\n`)
    t.match(await client.line(), /^a NO \[UNAVAILABLE\] /)
    t.match(await house.logs.wait('upstream_failed'), { reason: 'upstream-refused', detail: /AUTHENTICATIONFAILED/ })
    t.strictSame(house.gate.outcomes, ['upstream-refused'])
  })

  await t.test('a trusted connection carries the client’s address and our session’s name', async (t) => {
    const metrics = createMetrics()
    const imap = createImap({
      nameRules: RULES,
      portalUrl: null,
      language: 'en',
      startTls: null,
      needsTls: true,
      listener: 'test',
      log: captureLog().log,
      metrics,
    })
    const client: Peer = { ip: '203.0.113.7', port: 4711, localIp: '198.51.100.1', localPort: 993, tls: null }
    const target: UpstreamTarget = {
      name: 'main',
      tls: 'implicit',
      ...at(dovecot.ports.imaps),
      serverName: null,
      proxyProtocol: null,
      identity: identities[0].identity,
      trusted: true,
    }
    const wire = await createDialer().dial(target, client, new AbortController().signal)
    const mark = dovecot.mark()
    const session = await imap.login(wire, target, client, 'our-session-id')
    t.ok(session.capabilities.includes('IDLE'))
    const [line] = await dovecot.waitForLog(/Login: user=<ann@example\.org>.*/, mark)
    t.match(line, 'rip=203.0.113.7')
    t.match(line, 'lip=198.51.100.1')
    t.match(line, 'session=<our-session-id>')
    session.release().socket.destroy()
  })
})
