/**
 * I-7: a wall clock that jumps by an hour and back changes no deadline, no delay and no session; only what is meant by the
 * wall clock, the expiry of an app password. The whole server in one process, whose clock the test can set.
 */

import { join } from 'node:path'
import t from 'tap'
import { connectServices } from '../../src/contract/services-channel.ts'
import { waitForLine } from '../support/logs.ts'
import { scriptedClient } from '../support/peer.ts'
import { freePort } from '../support/ports.ts'
import { Program } from '../support/program.ts'
import { noteSecret } from '../support/secrets.ts'
import { configText, lives, MAIN, prepare, startMailbox } from './server.ts'

const CLOCK = join(import.meta.dirname, 'shifted-clock.ts')
const LOGIN_MS = 4000

t.setTimeout(240_000)

t.test('I-7: the clock jumps an hour ahead, two back, and to the truth', async (t) => {
  const mailbox = await startMailbox(t)
  const port = await freePort()
  const listeners = `  - { protocol: imap, bind: 127.0.0.1, port: ${port}, tls: none }`
  const text = configText({ mailbox, workers: 0, listeners }).replace(
    'limits: { drain: 500ms }\nthrottle: { delays: [1ms] }',
    `limits: { drain: 500ms, login: ${LOGIN_MS}ms, idle: 31m }\nthrottle: { delays: [1s], trustedNetworks: [127.0.0.1/32] }`,
  )
  const { directory, configFile } = prepare(t, text)
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('SALLYPORT_')))
  const program = new Program(process.execPath, ['--import', CLOCK, MAIN, 'serve', '--config', configFile], { env })
  t.teardown(() => program.stop('SIGKILL'))
  await waitForLine(() => program.output, 'started', undefined, 90_000)
  const services = await connectServices(join(directory, 'data/run'), 'cli:test')
  t.teardown(() => services.close())
  const user = 'ann@example.org'
  await services.call('user.add', { address: user })
  const { password } = await services.call('app-password.create', { user, name: 'phone' })
  const short = await services.call('app-password.create', { user, name: 'for a while', expiresInMs: 30 * 60_000 })
  noteSecret(password)
  noteSecret(short.password)

  const open = async () => {
    const peer = await scriptedClient(port)
    t.teardown(() => peer.socket.destroy())
    await peer.expect(/^\* OK /)
    return peer
  }
  const login = async (secret: string) => {
    const peer = await open()
    peer.send(`1 LOGIN ${user} "${secret}"\r\n`)
    return { peer, answer: await peer.line() }
  }
  let jumps = 0
  const jump = async () => {
    jumps += 1
    program.signal('SIGUSR2')
    await waitForLine(
      () => program.output,
      'clock',
      () => program.output.split('"clock"').length - 1 === jumps,
    )
  }

  const { peer: session, answer } = await login(password)
  t.match(answer, /^1 OK /)
  for (const [i, where] of ['an hour ahead', 'an hour behind', 'the truth'].entries()) {
    const silentSince = performance.now()
    const silent = await open()
    const guessing = await open()
    const guessedAt = performance.now()
    guessing.send(`1 LOGIN ${user} "aaaa bbbb cccc ddd${'efg'[i]}"\r\n`)
    await jump()
    t.match(await guessing.line(), /^1 NO /, where)
    const delayMs = performance.now() - guessedAt
    t.ok(delayMs > 900 && delayMs < 60_000, `${where}: the delay was ${Math.round(delayMs)} ms`)
    t.ok(await lives(session, `a${i}`), `${where}: a session goes on`)
    const right = await login(password)
    t.match(right.answer, /^1 OK /, `${where}: a login, from the cache as before`)
    right.peer.socket.destroy()
    const wanted = where === 'an hour ahead' ? /^1 NO / : /^1 OK /
    const limited = await login(short.password)
    t.match(limited.answer, wanted, `${where}: expiry is what the wall clock is for`)
    limited.peer.socket.destroy()
    t.match(await silent.rest(), /BYE/, `${where}: who says nothing is sent away`)
    const silentMs = performance.now() - silentSince
    t.ok(silentMs > LOGIN_MS - 200 && silentMs < 60_000, `${where}: after ${Math.round(silentMs)} ms`)
  }
})
