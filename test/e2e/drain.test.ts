import t from 'tap'
import { startDovecot } from '../support/dovecot.ts'
import type { MailProtocol, Protection } from '../support/mail-client.ts'
import { greeted, MAIL_PROTOCOLS, say, TALK } from '../support/mail-client.ts'
import type { ScriptedPeer } from '../support/peer.ts'
import { scriptedClient } from '../support/peer.ts'
import { freePort } from '../support/ports.ts'
import { canRunPostfix, saslListener, startPostfix } from '../support/postfix.ts'
import { masterPasswordFile, startSallyport, upstreamOf } from '../support/sallyport.ts'

t.setTimeout(120_000)

const LAST_WORDS: Readonly<Record<MailProtocol, RegExp>> = {
  imap: /^\* BYE The server is going down\.\r\n$/,
  pop3: /^-ERR \[SYS\/TEMP\] The server is going down\.\r\n$/,
  smtp: /^421 4\.3\.2 The server is going down\.\r\n$/,
}

t.test('I-9: a drain tells everybody who has not logged in, on each protocol, wherever they are', async (t) => {
  if (!canRunPostfix(t)) return
  const saslPort = await freePort()
  await using dovecot = await startDovecot({ extra: saslListener(saslPort) })
  await using postfix = await startPostfix(dovecot, saslPort)
  const smtp = { port: postfix.ports.submissions, caFile: postfix.caFile }
  await using gate = await startSallyport({
    upstreams: { main: upstreamOf(dovecot, masterPasswordFile(dovecot), { pop3: {}, smtp }) },
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

  const status = gate.stop('SIGTERM')
  for (const { where, protocol, peer } of waiting) t.match(await peer.rest(10_000), LAST_WORDS[protocol], where)
  await silent.untilClosed(10_000)
  t.equal(await status, 0)
})
