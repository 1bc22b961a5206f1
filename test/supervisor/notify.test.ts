import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { notifyService } from '../../src/supervisor/notify.ts'

const isThere = (program: string) => spawnSync('which', [program]).status === 0
const missing = ['systemd-notify', 'python3'].filter((program) => !isThere(program))

t.test('systemd is told', { skip: missing.length > 0 && `needs ${missing.join(' and ')}` }, async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'notify-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const path = join(directory, 'notify')
  const listener = spawn('python3', [
    '-uc',
    `import socket,sys
s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM); s.bind(sys.argv[1]); print('bound')
while True: print(s.recv(4096).decode().replace('\\n',' '))`,
    path,
  ])
  t.teardown(() => listener.kill())
  let said = ''
  listener.stdout.on('data', (data: Buffer) => {
    said += data.toString()
  })
  await once(listener.stdout, 'data')
  for (const state of ['ready', 'stopping'] as const) {
    await notifyService(state, { NOTIFY_SOCKET: path, PATH: process.env.PATH })
  }
  while (!/STOPPING=1/.test(said)) await once(listener.stdout, 'data')
  t.match(said, new RegExp(`READY=1.*MAINPID=${process.pid}|MAINPID=${process.pid}.*READY=1`))
})

t.test('elsewhere nothing happens, and a missing helper is no error', async (t) => {
  await notifyService('ready', {})
  await notifyService('ready', { NOTIFY_SOCKET: '/nowhere', PATH: '/nowhere' })
  t.pass()
})
