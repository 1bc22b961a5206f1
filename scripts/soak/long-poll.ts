/**
 * `npm run soak:poll [-- MINUTES]`: ActiveSync polls that are held as long as a phone may ask for: 59 minutes.
 *
 * Five phones on connections of their own, over TLS, through a server as it is run; behind it an origin that says
 * nothing until the time is over. Then: the first is answered by the origin, and must get it whole; the second's app password
 * is deleted, and must be answered within a second (M2); the third phone goes away, and its request must leave the origin
 * within a second; the fourth asked for its heartbeat through a keeper that is killed halfway; the fifth's origin hangs up.
 * Before the end no byte may come, and no connection close. Prints what was seen; exit status 1 when anything was otherwise.
 */

import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connectServices } from '../../src/contract/services-channel.ts'
import { PING_OVER } from '../../src/edge/eas/replies.ts'
import { answerTo, plainQuery, startPhoneHouse, USER } from '../../test/support/active-sync.ts'
import { commandLine, cpuBetween, processTree, readCpu, readPssKb } from '../bench/process-tree.ts'

const MINUTES = Number(process.argv[2] ?? 59)
if (!(MINUTES > 0 && MINUTES <= 64)) throw new RangeError('MINUTES is a number above 0, at most 64')
const WITHIN_MS = 1000
const PHONES = ['answered', 'deleted', 'gone', 'outlived', 'dropped'] as const
type Phone = (typeof PHONES)[number]

/** <Ping><Status>2</Status>…: there is new mail. Only a mark here: what it says is the origin's. */
const NEWS = Buffer.from('03016a00000d4547033200014a4b033100010101', 'hex')

const waiting = new Map<string, ServerResponse>()
const origin = createServer({ requestTimeout: 0 }, (incoming, response) => {
  incoming.resume()
  const device = /DeviceId=(\w+)/.exec(incoming.url ?? '')?.[1] ?? ''
  waiting.set(device, response)
  response.on('close', () => waiting.delete(device))
})
origin.listen(0, '127.0.0.1')
await once(origin, 'listening')

const { sallyport, phone: phoneWith } = await startPhoneHouse(
  `http://127.0.0.1:${(origin.address() as AddressInfo).port}`,
  'what the origin knows',
  { workers: 2, settings: { log: { level: 'info' } } },
)
await using gate = sallyport

interface Poll {
  readonly passwordId: string
  readonly from: number
  /** null: it was cut. */
  readonly answer: Promise<{ readonly status: number; readonly body: Buffer; readonly at: number } | null>
  readonly hangUp: () => void
}

async function poll(phone: Phone): Promise<Poll> {
  const { id, password } = await gate.createAppPassword(USER, phone)
  const from = performance.now()
  const asked = phoneWith(password).begin({ query: plainQuery('Ping', phone), body: 'a heartbeat of 3540 seconds' })
  const answer = answerTo(asked).then(
    ({ status, body }) => ({ status, body, at: performance.now() }),
    () => null,
  )
  return { passwordId: id, from, answer, hangUp: () => asked.destroy() }
}

const polls = {} as Record<Phone, Poll>
for (const phone of PHONES) polls[phone] = await poll(phone)
const wrong: string[] = []
const early = (phone: Phone) => polls[phone].answer.then(() => `${phone} heard something, or was cut, before the end`)
let isOver = false
for (const phone of PHONES) {
  void early(phone).then((text) => {
    if (!isOver) wrong.push(text)
  })
}
const ofKeeper = () => processTree(gate.pid).find((pid) => commandLine(pid).includes('internal-role keeper')) ?? 0
const ofEdges = () => processTree(gate.pid).filter((pid) => commandLine(pid).includes('internal-role https'))

console.log(
  `${PHONES.length} polls for ${MINUTES} minutes, from ${new Date().toISOString()}; the gate is process ${gate.pid}`,
)
await sleep(Math.min(60_000, MINUTES * 10_000))
const [edgesKb, edgesCpu] = [readPssKb(ofEdges()), readCpu(ofEdges())]
const restedFrom = performance.now()
const halfMs = MINUTES * 30_000 - (performance.now() - polls.answered.from)
await sleep(Math.max(0, halfMs))
process.kill(ofKeeper(), 'SIGKILL')
console.log(`${new Date().toISOString()} halfway: the keeper was killed`)
await sleep(Math.max(0, MINUTES * 60_000 - (performance.now() - polls.answered.from)))

const restedSeconds = (performance.now() - restedFrom) / 1000
const held = waiting.size
const gainKb = readPssKb(ofEdges()) - edgesKb
const atRest = (cpuBetween(edgesCpu, readCpu(ofEdges())) / restedSeconds) * 100
if (held !== PHONES.length) wrong.push(`${held} of ${PHONES.length} polls were still at the origin`)
isOver = true

/** What the phone hears, and how long after `at`. */
async function heard(phone: Phone, wanted: Buffer, at: number): Promise<void> {
  const answer = await polls[phone].answer
  const ms = (answer?.at ?? Number.NaN) - at
  const isRight = answer?.status === 200 && answer.body.equals(wanted) && ms <= WITHIN_MS
  console.log(
    `${phone}: after ${(((answer?.at ?? 0) - polls[phone].from) / 60_000).toFixed(2)} minutes, ${ms.toFixed(0)} ms behind what ended it: ` +
      `${answer === null ? 'cut' : `${answer.status}, ${answer.body.toString('hex')}`}`,
  )
  if (!isRight) wrong.push(`${phone}: not the answer it should be`)
}

let at = performance.now()
waiting.get('answered')?.end(NEWS)
await heard('answered', NEWS, at)
at = performance.now()
waiting.get('outlived')?.end(NEWS)
await heard('outlived', NEWS, at)
at = performance.now()
waiting.get('dropped')?.destroy()
await heard('dropped', PING_OVER, at)
const services = await connectServices(join(gate.directory, 'data/run'), 'cli:soak')
at = performance.now()
const deletion = services.call('app-password.delete', { id: polls.deleted.passwordId })
await heard('deleted', PING_OVER, at)
if ((await deletion).sessionsEnded !== 1) wrong.push('deleted: not counted as one session')
services.close()
at = performance.now()
polls.gone.hangUp()
while (waiting.has('gone') && performance.now() < at + 5 * WITHIN_MS) await sleep(5)
console.log(`gone: its request left the origin after ${(performance.now() - at).toFixed(0)} ms`)
if (performance.now() - at > WITHIN_MS) wrong.push('gone: the origin went on')

console.log(`https edge: ${gainKb} KB gained meanwhile, ${atRest.toFixed(3)} % of a core`)
for (const line of gate.lines().filter(({ event, level }) => event === 'bug' || level === 'error')) {
  if (line.event !== 'worker_died') wrong.push(JSON.stringify(line))
}
origin.closeAllConnections()
origin.close()
for (const text of wrong) console.log(`WRONG: ${text}`)
console.log(wrong.length === 0 ? 'all as it should be' : `${wrong.length} things were not as they should be`)
process.exitCode = wrong.length === 0 ? 0 : 1
