import { join } from 'node:path'
import type { Test } from 'tap'
import t from 'tap'
import type { ChildTuning } from '../../src/supervisor/child.ts'
import { Child } from '../../src/supervisor/child.ts'
import type { KeeperInit } from '../../src/supervisor/messages.ts'
import type { LogCapture } from '../support/logs.ts'
import { captureLog } from '../support/logs.ts'

/** The first message's version says how the child behaves; `moods` gives one for each start, the last for all others. */
function child(
  t: Test,
  moods: string[],
  tuning: Partial<ChildTuning> = {},
): { child: Child; log: LogCapture; starts: () => number } {
  const log = captureLog()
  let starts = 0
  const made = new Child({
    name: 'test',
    launch: {
      execPath: process.execPath,
      execArgv: [],
      modulePath: join(import.meta.dirname, 'child-script.ts'),
      args: [],
      env: {},
    },
    init: () => ({ version: moods[Math.min(starts++, moods.length - 1)] ?? '' }) as KeeperInit,
    log: log.log,
    tuning: { restartMs: 1, ...tuning },
  })
  t.teardown(() => made.kill())
  return { child: made, log, starts: () => starts }
}

t.test('started, asked, stopped', async (t) => {
  const { child: made, log } = child(t, ['well'])
  await t.rejects(made.ask('ping', null, 100), { code: 'ERR_CHILD_GONE' })
  await made.start()
  t.ok(made.isReady)
  t.match(log.of('worker_started'), [{ process: 'test', pid: made.pid }])
  t.strictSame(await made.ask('metrics', null, 1000), [{ mood: 'well' }])
  await t.rejects(made.ask('health', null, 1000), { name: 'ChildError', code: 'ERR_NOT_WELL', message: 'not well' })
  await made.stop(async (ask) => ask('ping', null, 1000))
  t.notOk(made.isReady)
  t.equal(log.of('worker_died').length, 0, 'it was meant to go')
})

t.test('the first start must succeed: its own code and words come back', async (t) => {
  await t.rejects(child(t, ['refuse']).child.start(), {
    name: 'ChildError',
    code: 'ERR_STORE_LOCKED',
    message: 'the store is locked',
  })
  const dying = child(t, ['die'])
  await t.rejects(dying.child.start(), { code: 'ERR_CHILD_GONE' })
  await new Promise((resolve) => setTimeout(resolve, 100))
  t.equal(dying.starts(), 1, 'and is not tried again')
})

t.test('I-8: a system that has no process left is asked again', async (t) => {
  const launch = {
    execPath: process.execPath,
    execArgv: [] as string[],
    modulePath: join(import.meta.dirname, 'child-script.ts'),
    args: [],
    env: {} as Record<string, string>,
  }
  const log = captureLog()
  const init = () => ({ version: 'well' }) as KeeperInit
  const made = new Child({ name: 'test', launch, init, log: log.log, tuning: { restartMs: 1, maxRestartMs: 20 } })
  t.teardown(() => made.kill())
  await made.start()
  // One that the system tells of later, and one that is thrown: what EAGAIN and ENOMEM do.
  for (const broken of [{ execPath: join(import.meta.dirname, 'no-such-program') }, { execPath: '\0' }]) {
    const before = made.pid
    const fails = log.of('warning').length
    Object.assign(launch, broken)
    process.kill(before ?? 0, 'SIGKILL')
    while (log.of('warning').length < fails + 2) await new Promise((resolve) => setTimeout(resolve, 5))
    t.notOk(made.isReady)
    launch.execPath = process.execPath
    while (!made.isReady) await new Promise((resolve) => setTimeout(resolve, 5))
    t.not(made.pid, before)
  }
})

t.test('a child that dies comes back; one that dies again and again less and less often', async (t) => {
  const { child: made, log } = child(t, ['well', 'die', 'refuse', 'die', 'well'], { restartMs: 20 })
  await made.start()
  const first = made.pid ?? 0
  process.kill(first, 'SIGKILL')
  await log.wait('worker_started', ({ pid }) => pid !== first)
  t.ok(made.isReady)
  const waits = log.of('worker_died').map(({ detail }) => Number(/again in (\d+) ms/.exec(String(detail))?.[1]))
  t.strictSame(waits, [20, 40, 80, 160])
  t.match(log.of('worker_died')[0]?.detail, /^SIGKILL/)
  t.match(log.of('worker_died')[1]?.detail, /^exit code 3, before it was ready/)
  t.match(log.of('warning').at(-1) ?? log.of('warning')[0], { msg: /could not be started/ })
})

t.test('a child that lived long enough has its next death counted as the first', async (t) => {
  const { child: made, log } = child(t, ['well'], { restartMs: 5, wellAfterMs: 0 })
  await made.start()
  for (let i = 0; i < 3; i++) {
    const { pid } = made
    process.kill(pid ?? 0, 'SIGKILL')
    await log.wait('worker_started', (line) => line.pid !== pid && log.of('worker_started').length === i + 2)
  }
  t.match(
    log.of('worker_died').map(({ detail }) => detail),
    Array(3).fill(/again in 5 ms/),
  )
})

t.test('E7: a child that stands still is ended and started again', async (t) => {
  const { child: made, log } = child(t, ['hang', 'well'], { beatMs: 200 })
  await made.start()
  const first = made.pid
  await log.wait('worker_started', ({ pid }) => pid !== first)
  t.match(log.of('warning'), [{ msg: /stands still/ }])
  await new Promise((resolve) => setTimeout(resolve, 1000))
  t.equal(log.of('worker_died').length, 1, 'its successor answers and is left alone')
})

t.test('stop and kill while it is down: no more starts', async (t) => {
  for (const end of ['stop', 'kill'] as const) {
    const { child: made, log, starts } = child(t, ['well'], { restartMs: 100 })
    await made.start()
    process.kill(made.pid ?? 0, 'SIGKILL')
    await log.wait('worker_died')
    if (end === 'stop') await made.stop(async () => {})
    else made.kill()
    await new Promise((resolve) => setTimeout(resolve, 250))
    t.equal(starts(), 1, end)
  }
})
