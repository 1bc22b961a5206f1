import { join } from 'node:path'
import type { Test } from 'tap'
import t from 'tap'
import { startDovecot } from '../support/dovecot.ts'
import type { MailProtocol, Protection } from '../support/mail-client.ts'
import { greeted, MAIL_PROTOCOLS, say, TALK } from '../support/mail-client.ts'
import type { ScriptedPeer } from '../support/peer.ts'
import { scriptedClient } from '../support/peer.ts'
import { freePort } from '../support/ports.ts'
import { canRunPostfix, saslListener, startPostfix } from '../support/postfix.ts'
import { run } from '../support/program.ts'
import type { Sallyport } from '../support/sallyport.ts'
import { cleanEnvironment, masterPasswordFile, startSallyport, upstreamOf } from '../support/sallyport.ts'
import { program, requireService } from '../support/services.ts'

t.setTimeout(240_000)

const LAST_WORDS: Readonly<Record<MailProtocol, RegExp>> = {
  imap: /^\* BYE The server is going down\.\r\n$/,
  pop3: /^-ERR \[SYS\/TEMP\] The server is going down\.\r\n$/,
  smtp: /^421 4\.3\.2 The server is going down\.\r\n$/,
}

/** In each edge: more than the first test needs, and few enough to take them all. */
const PER_ADDRESS = 20
const EDGES = 2

t.test('I-9: a drain tells everybody who has not logged in, on each protocol, wherever they are', async (t) => {
  if (!canRunPostfix(t)) return
  const saslPort = await freePort()
  await using dovecot = await startDovecot({ extra: saslListener(saslPort) })
  await using postfix = await startPostfix(dovecot, saslPort)
  const smtp = { port: postfix.ports.submissions, caFile: postfix.caFile }
  await using gate = await startSallyport({
    upstreams: { main: upstreamOf(dovecot, masterPasswordFile(dovecot), { pop3: {}, smtp }) },
    workers: EDGES,
    settings: { limits: { perAddress: PER_ADDRESS } },
  })

  const waiting: { readonly where: string; readonly protocol: MailProtocol; readonly peer: ScriptedPeer }[] = []
  for (const protocol of MAIL_PROTOCOLS) {
    for (const protection of ['clear', 'starttls', 'implicit'] satisfies Protection[]) {
      waiting.push({ where: `${protocol}, ${protection}`, protocol, peer: await greeted(gate, protocol, protection) })
    }
    const peer = await greeted(gate, protocol)
    if (protocol === 'smtp') await say(peer, ['EHLO client.example.org', /^250 /])
    await say(peer, TALK[protocol].halfLogin)
    waiting.push({ where: `${protocol}, asked for its password`, protocol, peer })
  }
  // One that never begins with TLS: there is nothing that it could be told.
  const silent = await scriptedClient(gate.ports.imaps)
  await t.test('E2: an address that has all its connections is told so, and its admin', async (t) => {
    await crowd(t, gate, waiting.length + 1)
  })

  const status = gate.stop('SIGTERM')
  for (const { where, protocol, peer } of waiting) t.match(await peer.rest(10_000), LAST_WORDS[protocol], where)
  await silent.untilClosed(10_000)
  t.equal(await status, 0)
})

async function crowd(t: Test, gate: Sallyport, inside: number): Promise<void> {
  if (!requireService(t, 'python3')) return
  // Which edge takes a connection is a matter of chance.
  for (let tries = 0; inside < EDGES * PER_ADDRESS && tries < 1000; tries++) {
    const word = await (await scriptedClient(gate.ports.imap)).line()
    if (word.startsWith('* OK')) inside += 1
  }
  const { imap, pop3, smtp } = gate.ports
  const { status, output } = await run(program('python3'), ['-I', join(import.meta.dirname, 'turned_away_client.py')], {
    env: cleanEnvironment(),
    input: JSON.stringify({ imap, pop3, smtp }),
  })
  const words = 'Too many connections from your address, please try again later.'
  t.equal(status, 0)
  t.same(output.trim().split('\n'), [
    `error: b'* BYE [UNAVAILABLE] ${words}'`,
    `error_proto: b'-ERR [SYS/TEMP] ${words}'`,
    `SMTPConnectError: (421, b'4.7.0 ${words}')`,
  ])
  for (const protocol of MAIL_PROTOCOLS) {
    t.match(
      await gate.waitForLog('warning', ({ listener }) => String(listener).startsWith(protocol)),
      { remote_ip: '127.0.0.1', msg: /raise limits\.perAddress/, detail: /127\.0\.0\.1 has 20 conn/ },
      protocol,
    )
  }
}
