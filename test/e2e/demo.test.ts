/** The demo as a newcomer runs it. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import t from 'tap'
import { freePort } from '../support/ports.ts'
import { Program } from '../support/program.ts'
import { noteSecret } from '../support/secrets.ts'
import { hasService, requireService } from '../support/services.ts'

const DEMO = resolve(import.meta.dirname, '../../scripts/demo.ts')

/** The steps that failed, and why. The whole output holds an app password, which must not come into a report. */
const failedSteps = (output: string): string[] => output.match(/\u2717 .*\n.*/g) ?? []

/** Started now and looked at below: it takes as long as the other one, and neither minds. */
const staying = hasService('dovecot') ? new Program(process.execPath, [DEMO]) : null

t.test('npm run demo -- --once does the whole job', async (t) => {
  if (!requireService(t, 'dovecot')) return
  const demo = new Program(process.execPath, [DEMO, '--once'])
  const status = await demo.exit
  for (const done of [
    'logs in over IMAPS with the app password',
    'lists its inbox',
    'sends a message over SMTPS',
    'finds it in its inbox',
    'reads a message over POP3S',
    'own password is refused',
    'who logged in for demo@example.org',
    'has never seen the app password',
    'sallyport app-password delete',
    'is refused from now on',
    'the page behind the link says welcome',
    'two-step sign-in is set up, and the first app password made',
    'a link that works once, and the profile behind it',
    'what the profile holds reads the inbox',
  ]) {
    t.ok(new RegExp(`\u2713 .*${done}`).test(demo.output), done)
  }
  t.same(failedSteps(demo.output), [])
  t.equal(status, 0)
})

t.test('without --once it stays up, and says what a mail client has to be told', async (t) => {
  const demo = staying
  if (!requireService(t, 'dovecot') || demo === null) return
  for (let tries = 0; tries < 2400 && !demo.output.includes('The job is done.') && !demo.ended.aborted; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  t.same(failedSteps(demo.output), [])
  const settings = demo.output.slice(demo.output.indexOf('Try the portal in a browser'))
  for (const name of ['IMAP', 'POP3', 'SMTP']) {
    t.ok(new RegExp(`^ +${name} +port \\d+, SSL/TLS +or port \\d+, STARTTLS$`, 'm').test(settings), name)
  }
  t.ok(/^ +user name +demo@example\.org/m.test(settings) && /^ +password +[a-z ]{19}$/m.test(settings))
  t.ok(/https:\/\/localhost:\d+\/invitation\/[\w-]{22}/.test(settings), 'the portal, with an invitation')
  t.equal(await demo.stop('SIGINT'), 0)
})

t.test('a step that fails is said, and the exit status is 1', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'sp-demo-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const passwordFile = join(directory, 'password')
  writeFileSync(passwordFile, noteSecret('of a master nobody knows'), { mode: 0o600 })
  const addresses = ['imaps', 'smtps', 'pop3s'].map(async (scheme) => `${scheme}://127.0.0.1:${await freePort()}`)
  const upstream = (await Promise.all(addresses)).flatMap((address) => ['--upstream', address])
  const demo = new Program(process.execPath, [DEMO, '--once', ...upstream, '--master-password-file', passwordFile])
  t.equal(await demo.exit, 1)
  for (const step of [/logs in over IMAPS/, /sends a message over SMTPS/, /reads a message over POP3S/]) {
    t.ok(new RegExp(`\u2717 ${step.source}`).test(demo.output), step.source)
  }
  t.match(demo.output, /\d steps? failed/)
  const odd = new Program(process.execPath, [DEMO, '--once', '--upstream', 'ftp://x', '--master-password-file', 'y'])
  t.equal(await odd.exit, 1)
  t.match(odd.output, /--upstream takes imaps:/)
})

t.test('--help', async (t) => {
  const demo = new Program(process.execPath, [DEMO, '--help'])
  t.equal(await demo.exit, 0)
  t.match(demo.output, /--once/)
})
