import type { ChildProcess } from 'node:child_process'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { createSink } from '../../src/log/sink.ts'

const NOISY = join(import.meta.dirname, 'noisy.ts')

interface State {
  readonly longestMs: number
  readonly lost: number
  readonly waitingMs: number
  readonly rssMb: number
  readonly flushMs: number
}

async function told(child: ChildProcess, order: string): Promise<State> {
  const answer = once(child, 'message')
  child.send(order)
  return (await answer)[0] as State
}

/** A process whose standard output is a pipe that nobody reads until `read` is called. */
function noisy(t: { teardown(undo: () => void): void }) {
  const child = fork(NOISY, [], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'], execArgv: [], env: {} })
  t.teardown(() => child.kill('SIGKILL'))
  const chunks: Buffer[] = []
  return {
    child,
    read: () => child.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk)),
    text: () => Buffer.concat(chunks).toString(),
  }
}

t.test('I-10: a log that nobody takes blocks nothing, is bounded, and counts what it loses', async (t) => {
  const { child, read, text } = noisy(t)
  const { longestMs, lost, waitingMs, rssMb } = await told(child, 'noise')
  t.ok(longestMs < 2000, `the longest line took ${longestMs.toFixed(1)} ms`)
  t.ok(lost > 5000, `${lost} lines of 30,000 were lost`)
  t.ok(waitingMs > 200, 'and it is known that nobody takes it')
  t.ok(rssMb < 250, `${rssMb.toFixed(0)} MB`)
  read()
  while ((await told(child, 'state')).waitingMs > 0) await delay(20)
  await told(child, 'end')
  await once(child, 'close')
  const lines = text().trimEnd().split('\n')
  t.equal(lines.length, 30_001 - lost, 'every line that was not lost came out whole, once')
  t.ok(lines.every((line) => line.endsWith('}')))
  t.match(lines.at(-1), /last words/)
})

t.test('I-10: a process ends although nobody takes its last words', async (t) => {
  const { child } = noisy(t)
  await told(child, 'noise')
  const { flushMs } = await told(child, 'end')
  t.ok(flushMs < 3000, `gave up after ${flushMs.toFixed(0)} ms`)
  t.strictSame((await once(child, 'exit'))[0], 0)
})

t.test('I-10: a full disk loses lines and nothing else', async (t) => {
  const full = openSync('/dev/full', 'w')
  t.teardown(() => closeSync(full))
  const sink = createSink(full)
  for (let i = 0; i < 100; i++) sink.write('a line\n')
  while (sink.lost < 100) await delay(5)
  t.equal(sink.waitingMs, 0, 'nothing waits for a disk that does not come back')
  sink.write('one more\n')
  sink.flushSync()
  while (sink.lost < 101) await delay(5)
  t.equal(sink.lost, 101)
})

t.test('lines come out in order, whatever their size', async (t) => {
  const file = join(t.testdir(), 'log')
  const fd = openSync(file, 'w')
  const sink = createSink(fd)
  const lines = Array.from({ length: 2000 }, (_, i) => `${i} ${'é'.repeat(i % 97)}\n`)
  for (const [i, line] of lines.entries()) {
    sink.write(line)
    if (i % 500 === 0) await delay(1)
  }
  while (sink.waitingMs > 0) await delay(1)
  sink.flushSync()
  closeSync(fd)
  t.equal(readFileSync(file, 'utf8'), lines.join(''))
})
