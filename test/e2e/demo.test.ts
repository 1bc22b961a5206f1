/** The demo as a newcomer runs it. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import t from 'tap'
import { freePort } from '../support/ports.ts'
import { Program } from '../support/program.ts'
import { noteSecret } from '../support/secrets.ts'
import { requireService } from '../support/services.ts'

const DEMO = resolve(import.meta.dirname, '../../scripts/demo.ts')

/** The steps that failed, and why. The whole output holds an app password, which must not come into a report. */
const failedSteps = (output: string): string[] => output.match(/\u2717 .*\n.*/g) ?? []

t.test('npm run demo -- --once does the whole job', async (t) => {
  if (!requireService(t, 'dovecot')) return
  const demo = new Program(process.execPath, [DEMO, '--once'])
  const status = await demo.exit
  for (const done of [
    'logs in over IMAPS with the app password',
    'lists its inbox',
    'own password is refused',
    'who logged in for demo@example.org',
    'has never seen the app password',
    'sallyport app-password delete',
    'is refused from now on',
  ]) {
    t.ok(new RegExp(`\u2713 .*${done}`).test(demo.output), done)
  }
  t.same(failedSteps(demo.output), [])
  t.equal(status, 0)
})

t.test('a step that fails is said, and the exit status is 1', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'sp-demo-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const passwordFile = join(directory, 'password')
  writeFileSync(passwordFile, noteSecret('of a master nobody knows'), { mode: 0o600 })
  const upstream = ['--upstream', `imaps://127.0.0.1:${await freePort()}`, '--master-password-file', passwordFile]
  const demo = new Program(process.execPath, [DEMO, '--once', ...upstream])
  t.equal(await demo.exit, 1)
  t.match(demo.output, /\u2717 logs in over IMAPS/)
  t.match(demo.output, /\d steps? failed/)
})

t.test('--help', async (t) => {
  const demo = new Program(process.execPath, [DEMO, '--help'])
  t.equal(await demo.exit, 0)
  t.match(demo.output, /--once/)
})
