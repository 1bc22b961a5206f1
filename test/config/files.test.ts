import { execFileSync } from 'node:child_process'
import { chmodSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readCaFile, readSecretFile } from '../../src/config/files.ts'

t.test('a secret’s file: whose it is, what is in it (threat I-11)', async (t) => {
  const directory = t.testdir({})
  const file = (name: string, content: string, mode: number) => {
    const path = join(directory, name)
    writeFileSync(path, content)
    chmodSync(path, mode)
    return path
  }
  for (const [name, content, mode, want] of [
    ['plain', 'pw', 0o600, 'pw'],
    ['newline', 'pw\n', 0o600, 'pw'],
    ['crlf', 'pw\r\n', 0o400, 'pw'],
    ['two newlines', 'pw\n\n', 0o600, /more than one line/],
    ['blanks are part of it', ' p w ', 0o600, ' p w '],
    ['empty', '', 0o600, /empty/],
    ['only a newline', '\n', 0o600, /empty/],
    ['nul', 'p\0w', 0o600, /control character/],
    ['group may read', 'pw', 0o640, /mode 0640\): chmod 0600 /],
    ['world may read', 'pw', 0o604, /mode 0604/],
    ['executable', 'pw', 0o700, /mode 0700/],
    ['big', 'x'.repeat(64 * 1024 + 1), 0o600, /bigger/],
  ] as const) {
    const read = await readSecretFile(file(name, content, mode), true)
    if (typeof want === 'string') t.equal(read.ok && read.value.reveal(), want, name)
    else t.match(read, { ok: false, message: want }, name)
    t.notMatch(JSON.stringify(read), /"[^"]*p.?w[^"]*"(?!:)/, `${name}: the value shows nowhere`)
  }
  t.match(await readSecretFile(file('several', 'a\nb', 0o600), false), { ok: true }, 'a service account may have lines')
  const fifo = join(directory, 'fifo')
  execFileSync('mkfifo', ['-m', '600', fifo])
  t.match(await readSecretFile(fifo, true), { ok: false, message: /no regular file/ }, 'a pipe does not make it wait')
  const link = join(directory, 'link')
  symlinkSync(file('target', 'linked', 0o600), link)
  t.equal(
    await readSecretFile(link, true).then((read) => read.ok && read.value.reveal()),
    'linked',
    'as Kubernetes mounts secrets',
  )
  t.match(await readSecretFile(join(directory, 'none'), true), { ok: false, message: /does not exist/ })
  t.match(await readSecretFile(join(directory, 'plain/below'), true), { ok: false, message: /does not exist/ })
})

t.test('certificate authorities', async (t) => {
  const directory = t.testdir({ 'ca.pem': '-----BEGIN CERTIFICATE-----\nx', key: '-----BEGIN PRIVATE KEY-----' })
  t.match(await readCaFile(join(directory, 'ca.pem')), { ok: true })
  t.match(await readCaFile(join(directory, 'key')), { ok: false, message: /no certificate in PEM/ })
})
