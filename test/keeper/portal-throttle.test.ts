/** The portal and the mail protocols share one throttle (threats B2, B12, H10). */

import t from 'tap'
import { edge } from './house.ts'
import { CLIENT, codeOf, enrol, PASSWORD, peopleHouse } from './people.ts'

const DELAYS = [2000, 4000, 8000, 15_000]
const HERE = CLIENT.ip

t.test('threats B2, H10: what is guessed by mail delays the portal, and the other way round', async (t) => {
  const h = await peopleHouse(t, { throttleDelaysMs: DELAYS })
  await enrol(h, 'ann@a.test')
  const e = edge(h.keeper)
  const signIn = (user: string, password: string) => h.ask('sign-in.password', { client: CLIENT, user, password })
  for (let i = 0; i < 4; i++) {
    h.pass(15_000)
    await e.refusal('ann@a.test', `guess ${i}`, { ip: '203.0.113.9' })
  }
  const early = await signIn('ann@a.test', PASSWORD)
  t.match(early, { next: 'refused', why: 'throttled' }, 'right, and not even looked at')
  t.ok(early.next === 'refused' && early.why === 'throttled' && early.retryAfterMs > 14_000)
  h.pass(15_000)
  t.match(await signIn('ann@a.test', PASSWORD), { next: 'second-step' }, 'a delay, no lock-out (B4)')

  t.match(await signIn('ann@a.test', 'wrong here'), { why: 'bad-credentials' })
  t.match(await e.refusal('ann@a.test', 'next guess', { ip: HERE }), { reason: 'throttled' }, 'mail hears of it')
  h.pass(15_000)
  t.match(await signIn('nobody@a.test', 'a guess'), { why: 'bad-credentials' })
  t.match(await signIn('nobody@a.test', 'a guess'), { why: 'throttled' }, 'B1: so it is for an invented name')
})

t.test('threat B12: five wrong codes, then a delay that a right one waits for, too', async (t) => {
  const h = await peopleHouse(t, { throttleDelaysMs: DELAYS })
  const ann = await enrol(h, 'ann@a.test')
  h.pass(60_000)
  /** A flow of its own, since a flow has five tries by itself. */
  const tryCode = async (code: string, ip: string) => {
    const client = { ...CLIENT, ip }
    const first = await h.ask('sign-in.password', { client, user: 'ann@a.test', password: PASSWORD })
    if (first.next !== 'second-step') throw new Error(JSON.stringify(first))
    const answer = await h.ask('sign-in.totp', { client, flow: first.flow, code })
    return answer.next === 'refused' ? answer.why : answer.next
  }
  // From five addresses, so that the delays of one address don't speak.
  for (let i = 1; i <= 5; i++) t.equal(await tryCode('000000', `203.0.113.${i}`), 'bad-credentials', `try ${i}`)
  t.equal(await tryCode(codeOf(ann.seed, h.time.at), '203.0.113.6'), 'throttled', 'from anywhere')
  h.pass(15_000)
  t.equal(await tryCode(codeOf(ann.seed, h.time.at), '203.0.113.6'), 'signed-in')
})
