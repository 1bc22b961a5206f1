/**
 * Whether the bench works, not what it says: a few logins and fetches, on sallyport alone. Never a timed test.
 */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import t from 'tap'
import { parseStat } from '../scripts/bench/process-tree.ts'
import { run } from './support/program.ts'

const BENCH = resolve(import.meta.dirname, '../scripts/bench.ts')

t.setTimeout(240_000)

interface Written {
  readonly samples: readonly {
    readonly test: string
    readonly figure: number
    readonly done: number
    readonly errors: object
  }[]
  readonly admission: { readonly edgeUs: number; readonly keeperUs: number } | null
}

t.test(
  'the bench runs, measures each thing once, and counts argon2',

  async (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'sp-bench-test-'))
    t.teardown(() => rmSync(directory, { recursive: true, force: true }))
    const json = join(directory, 'out.json')
    const env = { ...process.env, TMPDIR: directory }
    const { status, output } = await run(
      process.execPath,
      [BENCH, '--smoke', '--only', 'login,fetch,send,admission', '--json', json],
      {
        env,
        timeoutMs: 170_000,
      },
    )
    t.equal(status, 0, output)
    const { samples, admission } = JSON.parse(readFileSync(json, 'utf8')) as Written
    t.strictSame(
      samples.map(({ test }) => test),
      [
        'login plain',
        'login TLS',
        'login TLS resumed',
        'login plain, new',
        'login TLS, new',
        'fetch plain',
        'fetch TLS',
        'send each plain',
        'send each TLS',
        'send kept plain',
        'send kept TLS',
        'send 20 MB plain',
        'send 20 MB TLS',
      ],
    )
    for (const { test, figure, done, errors } of samples) {
      t.strictSame(errors, {}, `${test}: nothing failed`)
      t.ok(done > 0, `${test}: something was done`)
      t.ok(Number.isFinite(figure), `${test}: a figure`)
    }
    t.ok((admission?.edgeUs ?? 0) > 0 && (admission?.keeperUs ?? 0) > 0, 'the credential check has a figure')
    t.match(output, /\| 12b +\| argon2 runs of a login never seen before +\| 1 /)
    t.match(output, /\| 12b +\| argon2 runs of a login seen before +\| 0 /)
  },
)

t.test('a command line that makes no sense is refused in words', async (t) => {
  const { status, output } = await run(process.execPath, [BENCH, '--only', 'logins'])
  t.equal(status, 2)
  t.match(output, /--only takes login, fetch, send, idle, admission, not logins/)
})

t.test('a process name may hold brackets and blanks', async (t) => {
  const text = `42 (a) b (c)) S 7 42 42 0 -1 4194304 100 0 0 0 11 12 13 14 20 0 1 0 100 200 300`
  t.strictSame(parseStat(text), { pid: 42, parent: 7, ticks: 50 })
})
