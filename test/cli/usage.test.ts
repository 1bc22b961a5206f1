import { spawn } from 'node:child_process'
import { resolve } from 'node:path'
import t from 'tap'
import { house, launched, sallyport } from './run.ts'

// Each case starts processes, and the machine may be busy.
t.setTimeout(240_000)

const COMMANDS = [
  'serve',
  'health',
  'check',
  'config',
  'user',
  'app-password',
  'policy',
  'device',
  'throttle',
  'token',
  'dns',
  'session',
  'secret',
  'audit',
  'keys',
  'backup',
  'restore',
]

t.test('help: every command explains itself and names its options', async (t) => {
  const top = await launched(['--help'])
  t.equal(top.status, 0)
  t.equal(top.stderr, '')
  for (const command of COMMANDS) t.match(top.stdout, new RegExp(`^  ${command} `, 'm'), command)
  t.match(top.stdout, /Exit codes: 0 ok, 1 failed, 2 wrong usage, 69 .*77 .*78 /)
  for (const command of COMMANDS) {
    const { status, stdout } = await sallyport([command, '--help'])
    t.equal(status, 0, command)
    t.match(stdout, `Usage: sallyport ${command}`)
    t.match(stdout, '--config <file>')
    t.match(stdout, '--json')
    t.notMatch(stdout, /--(password|secret)[ =]</, `${command}: no secret is an argument`)
  }
  t.match((await sallyport(['help', 'user'])).stdout, 'Usage: sallyport user')
  t.match((await sallyport(['user', 'add', '--help'])).stdout, '--password-stdin')
  t.match((await launched(['--version'])).stdout, /^\d+\.\d+\.\d+\n$/)
})

t.test('what does not work yet is not listed', async (t) => {
  const { stdout } = await sallyport(['--help'])
  for (const later of ['grant', 'migrate']) {
    t.notMatch(stdout, new RegExp(`^ +${later}\\b`, 'm'), later)
    t.equal((await sallyport([later])).status, 2)
  }
  t.equal((await sallyport(['keys', 'rotate'])).status, 2)
})

t.test('wrong usage: exit 2, on standard error, with what to do', async (t) => {
  const { run } = house(t)
  for (const [args, message] of [
    [[], /Usage: sallyport/],
    [['user'], /Usage: sallyport user/],
    [['frobnicate'], /unknown command 'frobnicate'/],
    [['usr'], /unknown command 'usr'.*Did you mean user/],
    [['user', 'add'], /missing required argument 'address'/],
    [['user', 'list', 'extra'], /too many arguments/],
    [['device', 'blok', 'x', '--user', 'a'], /unknown command 'blok'.*Did you mean block/],
    [['app-password', 'create', '--user', 'ann'], /required option '--name/],
    [['app-password', 'create', '--user', 'ann', '--name', 'x', '--protocols', 'imap,ftp'], /imap,pop3,smtp,eas/],
    [['app-password', 'create', '--user', 'ann', '--name', 'x', '--networks', '10.0.0.0/99'], /10\.0\.0\.0\/8/],
    [['app-password', 'create', '--user', 'ann', '--name', 'x', '--expires', 'soon'], /90d/],
    [['app-password', 'delete'], /say what is meant: ID, or --user with --all, or --unused-for/],
    [['app-password', 'delete', '--user', 'ann'], /go together/],
    [['app-password', 'delete', '--all'], /go together/],
    [['app-password', 'delete', 'some-id', '--unused-for', '90d'], /do not go together/],
    [['session', 'end'], /--user, --app-password or --id/],
    [['user', 'set-password', 'ann'], /standard input is empty/],
  ] as const) {
    const { status, stdout, stderr } = await run(args)
    t.equal(status, 2, args.join(' '))
    t.equal(stdout, '')
    t.match(stderr, message)
  }
})

t.test('a secret that somebody tries to pass as an argument is refused and not repeated', async (t) => {
  const { status, stderr } = await sallyport(['user', 'add', 'ann', '--password=hunter2-correct-horse'])
  t.equal(status, 2)
  t.match(stderr, /unknown option '--password'/)
  t.notMatch(stderr, 'hunter2')
})

t.test('with --json errors are JSON, too', async (t) => {
  const { launch } = house(t)
  const usage = await launch(['user', 'frob', '--json'])
  t.match(usage.error(), { code: 'usage', message: /unknown command/ })
  const missing = await launch(['--json', 'user', 'show', 'nobody'])
  t.equal(missing.status, 1)
  t.equal(missing.stdout, '')
  t.strictSame(Object.keys(missing.error()), ['code', 'message'])
  t.match(missing.error(), { code: 'not-found', message: /nobody@example\.org/ })
  const config = await launch(['user', 'list', '--json', '--config', 'none.yaml'])
  t.equal(config.status, 78)
  t.match(config.error(), { code: 'configuration', message: /none\.yaml: does not exist/ })
})

t.test('a reader that goes away is no fault (EPIPE)', async (t) => {
  const launcher = resolve(import.meta.dirname, '../../scripts/sallyport')
  const child = spawn('/bin/sh', ['-c', `{ "${launcher}" config schema; echo "status $?" >&2; } | head -c 1`])
  let stderr = ''
  child.stderr.on('data', (chunk) => {
    stderr += String(chunk)
  })
  await new Promise((done) => child.on('close', done))
  t.equal(stderr, 'status 0\n')
})
