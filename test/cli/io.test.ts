import { PassThrough } from 'node:stream'
import t from 'tap'
import type { Io } from '../../src/cli/io.ts'
import { confirm, readSecret } from '../../src/cli/io.ts'
import { plain, table } from '../../src/cli/output.ts'

/** Streams of a person at a terminal, or of a script. */
function io(isTTY: boolean) {
  const stdin = Object.assign(new PassThrough(), { isTTY, setRawMode: () => undefined })
  const stderr = new PassThrough()
  const stdout = new PassThrough()
  const all: Io = { stdin, stdout, stderr, env: {}, cwd: '/', interrupted: new AbortController().signal }
  return { stdin, shown: () => String(stderr.read() ?? '') + String(stdout.read() ?? ''), all }
}

/** Types a line when the prompt for it has appeared. */
async function type(terminal: ReturnType<typeof io>, ...lines: string[]) {
  for (const line of lines) {
    await new Promise((resolve) => setTimeout(resolve, 20))
    terminal.stdin.write(line)
  }
}

t.test('a secret is typed without being shown', async (t) => {
  const terminal = io(true)
  const read = readSecret(terminal.all, 'Password', { stdin: false, confirm: true })
  await type(terminal, 'hunter2\r', 'hunter2\r')
  t.equal((await read).reveal(), 'hunter2')
  const shown = terminal.shown()
  t.match(shown, 'Password: \nPassword, once more: \n')
  t.notMatch(shown, 'hunter2')
})

t.test('two different answers change nothing; Ctrl-C changes nothing', async (t) => {
  const different = io(true)
  const read = readSecret(different.all, 'Password', { stdin: false, confirm: true })
  await type(different, 'one\r', 'two\r')
  await t.rejects(read, { exit: 'failed', message: /not the same/ })
  const interrupted = io(true)
  const again = readSecret(interrupted.all, 'Password', { stdin: false, confirm: false })
  await type(interrupted, 'hun\u0003')
  await t.rejects(again, { message: /interrupted/ })
})

t.test('a secret from standard input: all of it without its last newline', async (t) => {
  for (const [input, want] of [
    ['pw', 'pw'],
    ['pw\n', 'pw'],
    ['pw\r\n', 'pw'],
    [' p w ', ' p w '],
    ['pässwörd\n', 'pässwörd'],
    ['', /empty/],
    ['\n', /empty/],
    ['a\nb', /one line/],
    ['x'.repeat(1100), /1024/],
  ] as const) {
    const script = io(false)
    script.stdin.end(input)
    const read = readSecret(script.all, 'Password', { stdin: true, confirm: true })
    if (typeof want === 'string') t.equal((await read).reveal(), want)
    else await t.rejects(read, { exit: 'usage', message: want })
  }
})

t.test('confirm: only y goes on; --yes and scripts are not asked', async (t) => {
  await confirm(io(false).all, 'Delete?', false)
  await confirm(io(true).all, 'Delete?', true)
  for (const [answer, goesOn] of [
    ['y\n', true],
    ['YES\n', true],
    ['\n', false],
    ['n\n', false],
    ['yesterday\n', false],
  ] as const) {
    const terminal = io(true)
    const asked = confirm(terminal.all, 'Delete?', false)
    terminal.stdin.write(answer)
    if (goesOn) await t.resolves(asked, JSON.stringify(answer))
    else await t.rejects(asked, { exit: 'failed', message: 'nothing was changed' }, JSON.stringify(answer))
  }
})

t.test('tables line up; what came from elsewhere cannot steer the terminal', (t) => {
  t.equal(
    table(
      [
        { a: 'x', b: 'long' },
        { a: 'yyy', b: '' },
      ],
      { A: (r) => r.a, BEE: (r) => r.b },
    ),
    'A    BEE\nx    long\nyyy\n',
  )
  t.equal(plain('a\u001b[31mb\nc\u202ed\u0085'), 'a?[31mb?c?d?')
  t.end()
})
