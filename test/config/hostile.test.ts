import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t from 'tap'
import { ConfigError, loadConfig } from '../../src/config.ts'
import { directoryFor, GOOD, writeConfig } from './fixture.ts'

/** A small generator of one's own (mulberry32), so that a failure can be had again. */
function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const PIECES = [
  '{',
  '}',
  '[',
  ']',
  ':',
  ': ',
  '- ',
  '\n',
  '\n  ',
  '*',
  '&a ',
  '!x ',
  '#',
  '"',
  "'",
  '|',
  '>',
  '?',
  '---\n',
  '\t',
  '\0',
  '…',
  '__proto__: ',
  'constructor: ',
  '<<: ',
  'null',
  '1e999',
  '-1',
  'true',
  '~',
]

t.test('whatever stands in the file, the answer is a configuration or ConfigError', async (t) => {
  const directory = directoryFor(t)
  const path = writeConfig(directory)
  const sample = readFileSync(resolve(import.meta.dirname, '../../config/several-nodes.yaml'), 'utf8')
  const seed = Number(process.env.FUZZ_SEED ?? 20_261_121)
  const next = random(seed)
  const pick = <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)] as T
  let refused = 0
  const runs = Number(process.env.FUZZ_RUNS ?? 400)
  for (let i = 0; i < runs; i++) {
    let text = pick([GOOD, GOOD, sample])
    for (let edits = 1 + Math.floor(next() * 4); edits > 0; edits--) {
      const at = Math.floor(next() * text.length)
      const length = Math.floor(next() * 12)
      text = text.slice(0, at) + (next() < 0.7 ? pick(PIECES) : '') + text.slice(next() < 0.5 ? at : at + length)
    }
    writeFileSync(path, text)
    try {
      await loadConfig({ path, env: {} })
    } catch (error) {
      refused += 1
      if (
        !(error instanceof ConfigError) ||
        error.problems.length === 0 ||
        error.problems.some(({ message }) => message === '')
      ) {
        writeFileSync(join(directory, 'failing.yaml'), text)
        t.comment(text)
        t.fail(`seed ${seed}, run ${i}: ${error instanceof Error ? error.stack : String(error)}`)
        return
      }
    }
  }
  t.ok(refused > runs / 4, `${refused} of ${runs} were refused`)
})

t.test('whatever stands in the environment, too', async (t) => {
  const path = writeConfig(directoryFor(t))
  for (const [name, value] of [
    ['SALLYPORT___PROTO____X', '1'],
    ['SALLYPORT___PROTO__', '{x: 1}'],
    ['SALLYPORT_CONSTRUCTOR', '1'],
    ['SALLYPORT_UPSTREAMS__CONSTRUCTOR__TRUSTED', 'true'],
    ['SALLYPORT_UPSTREAMS', '[]'],
    ['SALLYPORT_UPSTREAMS__MAIN', 'null'],
    ['SALLYPORT_UPSTREAMS__MAIN__IMAP__HOST__X', '1'],
    ['SALLYPORT_LISTENERS__0', 'x'],
    ['SALLYPORT_LISTENERS__999999__PORT', '1'],
    ['SALLYPORT_DOMAINS__0', 'A'],
    ['SALLYPORT_LIMITS__LOGIN__', '1s'],
    ['SALLYPORT_STORE', '{sqlite: [1]}'],
    ['SALLYPORT_REDIS__URL', '\0'],
    ['SALLYPORT_GROUPS', '&a [*a]'],
  ] as const) {
    await t.rejects(
      loadConfig({ path, env: { [name]: value } }),
      { name: 'ConfigError' },
      `${name}=${JSON.stringify(value)}`,
    )
  }
  t.notOk(Object.hasOwn(Object.prototype, 'x'), 'nothing reached the prototype')
})
