import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { createCertificateWatch } from '../../src/supervisor/certificate-watch.ts'
import { captureLog } from '../support/logs.ts'

/** A watch, and the times it called. */
function watching(t: { teardown(undo: () => void): void }, settleMs: number) {
  const { log, of } = captureLog()
  const calls: number[] = []
  let heard: (() => void) | null = null
  const watch = createCertificateWatch({
    log,
    settleMs,
    changed() {
      calls.push(performance.now())
      heard?.()
    },
  })
  // A watch keeps no process alive, and a test has nothing else.
  const alive = setInterval(() => {}, 1000)
  t.teardown(() => {
    watch[Symbol.dispose]()
    clearInterval(alive)
  })
  return { watch, calls, of, next: () => new Promise<void>((resolve) => (heard = resolve)) }
}

t.test('I-12: a renewal of several files is one look, however the files get there', async (t) => {
  const directory = t.testdir({ 'cert.pem': 'old', 'key.pem': 'old', old: {}, live: {} })
  const files = [{ certFile: join(directory, 'cert.pem'), keyFile: join(directory, 'key.pem') }]
  const { watch, calls, next } = watching(t, 60)
  watch.follow(files)

  let heard = next()
  for (const name of ['cert.pem', 'key.pem']) writeFileSync(join(directory, name), 'new')
  await heard
  await delay(150)
  t.equal(calls.length, 1, 'written into')

  heard = next()
  for (const name of ['cert.pem', 'key.pem']) {
    writeFileSync(join(directory, `${name}.new`), 'newer')
    renameSync(join(directory, `${name}.new`), join(directory, name))
  }
  await heard
  t.equal(calls.length, 2, 'replaced')

  heard = next()
  symlinkSync('elsewhere', join(directory, 'link'))
  renameSync(join(directory, 'link'), join(directory, 'cert.pem'))
  await heard
  t.equal(calls.length, 3, 'a link that leads elsewhere now')
})

t.test('only the directories that count are watched, and one that is not there is said', async (t) => {
  const directory = t.testdir({ a: {}, b: {} })
  const pair = (name: string) => ({ certFile: join(directory, name, 'c.pem'), keyFile: join(directory, name, 'k.pem') })
  const { watch, calls, of, next } = watching(t, 20)
  watch.follow([pair('a')])
  watch.follow([pair('b'), pair('missing')])
  t.match(of('warning'), [{ detail: /missing: ENOENT/ }])
  writeFileSync(join(directory, 'a', 'c.pem'), 'x')
  await delay(100)
  t.equal(calls.length, 0, 'a is of no interest any more')
  const heard = next()
  writeFileSync(join(directory, 'b', 'c.pem'), 'x')
  await heard
  mkdirSync(join(directory, 'missing'))
  watch.follow([pair('missing')])
  const again = next()
  writeFileSync(join(directory, 'missing', 'k.pem'), 'x')
  await again
  watch[Symbol.dispose]()
  const count = calls.length
  writeFileSync(join(directory, 'missing', 'k.pem'), 'y')
  await delay(80)
  t.equal(calls.length, count, 'not after the end')
})
