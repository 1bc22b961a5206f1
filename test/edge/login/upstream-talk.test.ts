import t from 'tap'
import type { UpstreamIdentity } from '../../../src/contract/admission.ts'
import { UpstreamTalk, withoutSecret } from '../../../src/edge/login/upstream-talk.ts'
import { trusting } from '../../../src/edge/net/tls.ts'
import { Wire } from '../../../src/edge/net/wire.ts'
import { Secret } from '../../../src/secret.ts'
import { never, socketPair } from '../net/sockets.ts'

const MASTER = 'Pw7d5ca8e1"master-2f'
const TOKEN = 'ya29.a0AfB_byC-0123456789abcdefghijklmnopqrstuvwxyz'
const base64 = (text: string) => Buffer.from(text, 'utf8').toString('base64')

t.test('J2: nothing of a secret that an upstream echoes is left, whole, in part or encoded', async (t) => {
  const master: UpstreamIdentity = { kind: 'password', authcid: 'sally', authzid: 'ann', secret: new Secret(MASTER) }
  const oauth: UpstreamIdentity = {
    kind: 'oauth',
    authcid: 'ann@example.org',
    accessToken: new Secret(TOKEN),
    expiresAt: new Date(),
  }
  const plain = base64(`ann\0sally\0${MASTER}`)
  const xoauth2 = base64(`user=ann@example.org\x01auth=Bearer ${TOKEN}\x01\x01`)
  const bearer = (host: string) => base64(`n,a=ann@example.org,\x01host=${host}\x01auth=Bearer ${TOKEN}\x01\x01`)
  for (const [what, identity, secret, echoed] of [
    ['as it is', master, MASTER, MASTER],
    ['cut at its end', master, MASTER, MASTER.slice(0, 15)],
    ['cut at its start', master, MASTER, MASTER.slice(6)],
    ['PLAIN', master, plain, plain],
    ['PLAIN, cut as a server cuts lines', master, plain, plain.slice(0, 30)],
    ['LOGIN', master, base64(MASTER), base64(MASTER)],
    ['a token', oauth, TOKEN, TOKEN],
    ['XOAUTH2, cut', oauth, xoauth2, xoauth2.slice(0, 90)],
    ['OAUTHBEARER', oauth, bearer('a'), bearer('a')],
    ['OAUTHBEARER', oauth, bearer('ab'), bearer('ab')],
    ['OAUTHBEARER, cut', oauth, bearer('abc'), bearer('abc').slice(0, 110)],
  ] as const) {
    const text = withoutSecret(`BAD can not parse: AUTHENTICATE X ${echoed} (line 2)`, identity)
    t.match(text, /^BAD can not parse: AUTHENTICATE X .*\[secret\].* \(line 2\)$/, what)
    // Where an encoding holds the secret and nothing of what stands before and behind it.
    const length = base64(identity === master ? MASTER : TOKEN).length
    const inside = secret.slice(Math.max(0, secret.length - length + 4), -8)
    const fromSecret = (piece: string) => [MASTER, TOKEN, inside].some((form) => form.includes(piece))
    for (let at = 0; at + 8 <= text.length; at++) {
      if (fromSecret(text.slice(at, at + 8))) t.fail(`${what}: ${text}`)
    }
  }
})

t.test('D2: ten rounds and a hundred lines, whatever a protocol makes of them', async (t) => {
  for (const [what, step, times] of [
    ['10 rounds', async (talk: UpstreamTalk) => talk.writeLine('x'), 10],
    ['100 lines', async (talk: UpstreamTalk) => void (await talk.readLine('an answer')), 100],
  ] as const) {
    const { near, far } = await socketPair(t)
    using wire = new Wire(near, { budgetBytes: 64 * 1024, deadline: never })
    const talk = new UpstreamTalk(wire, 'main', (text) => text)
    if (times === 100) far.write('y\r\n'.repeat(101))
    for (let i = 0; i < times; i++) await step(talk)
    await t.rejects(step(talk), { reason: 'upstream-protocol', message: new RegExp(`more than ${what}`) })
  }
})

t.test('RFC 7628 §3.1: a token is shown to the host that was dialled, by the best way that is offered', async (t) => {
  const { near } = await socketPair(t)
  const endpoint = { host: 'second.example.org', port: 993 }
  const dialled = { side: 'client', serverName: 'x', context: trusting(null), endpoint } as const
  using wire = new Wire(near, { budgetBytes: 64 * 1024, deadline: never, dialled })
  const talk = new UpstreamTalk(wire, 'main', (text) => text)
  const identity = { kind: 'oauth', authcid: 'ann', accessToken: new Secret('t'), expiresAt: new Date() } as const
  const shown = (...offered: string[]) => {
    const { mechanism, message, giveUp } = talk.tokenMessage(identity, (name) => offered.includes(name))
    return [mechanism, message.ok && Buffer.from(message.value, 'base64').toString(), giveUp]
  }
  const bearer = 'n,a=ann,\x01host=second.example.org\x01port=993\x01auth=Bearer t\x01\x01'
  t.strictSame(shown('XOAUTH2', 'OAUTHBEARER'), ['OAUTHBEARER', bearer, 'AQ=='])
  t.strictSame(shown('XOAUTH2'), ['XOAUTH2', 'user=ann\x01auth=Bearer t\x01\x01', ''])
  t.throws(() => shown('PLAIN'), { reason: 'upstream-protocol', message: /neither OAUTHBEARER nor XOAUTH2/ })
})

t.test('what is no secret stays, and so does a text that has none', async (t) => {
  const identity: UpstreamIdentity = { kind: 'password', authcid: 'sally', authzid: '', secret: new Secret('aXb') }
  t.equal(withoutSecret('NO [LIMIT] too many for sally', identity), 'NO [LIMIT] too many for sally')
  t.equal(withoutSecret('NO aXbaXb', identity), 'NO [secret][secret]')
  t.equal(withoutSecret('', identity), '')
})
