/**
 * An Idempotency-Key whose keeper dies in the middle of the call: whoever asks again is told that nobody knows, at once.
 */

import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { scriptedServer } from '../support/peer.ts'
import { freePort } from '../support/ports.ts'
import { startSallyport } from '../support/sallyport.ts'
import { noteSecret, plainPassword } from '../support/secrets.ts'

t.test('kill -9 of the keeper in the middle of a call with an Idempotency-Key', async (t) => {
  // A submission server that takes the sender's login and says nothing to it: the call that mails an invitation hangs there.
  const hanging = Promise.withResolvers<void>()
  await using mail = await scriptedServer(async (peer) => {
    peer.send('220 mail.example.org ESMTP\r\n')
    for (;;) {
      const line = await peer.line()
      if (/^EHLO/i.test(line)) peer.send('250-mail.example.org\r\n250-8BITMIME\r\n250 AUTH PLAIN\r\n')
      else if (/^AUTH/i.test(line)) return hanging.resolve()
      else return peer.send('221 bye\r\n')
    }
  })
  const port = await freePort()
  const clear = { host: '127.0.0.1', port: mail.port, tls: 'none' }
  await using gate = await startSallyport({
    upstreams: { main: { imap: { ...clear, port: 1 }, smtp: clear, identity: { method: 'stored-secret' } } },
    listeners: [{ protocol: 'http', bind: '127.0.0.1', port, serves: ['api'] }],
    portal: {},
    settings: { mail: { from: 'noreply@example.org' } },
  })
  for (const user of ['noreply', 'ann']) await gate.addUser(`${user}@example.org`)
  await gate.json(['secret', 'set', '--user', 'noreply@example.org', '--upstream', 'main'], `${plainPassword()}\n`)
  const scopes = ['token', 'create', '--name', 'test', '--scopes', 'users:read,users:write']
  const token = noteSecret((await gate.json<{ token: string }>(scopes)).token)
  const invite = async (key: string, mail: boolean) => {
    const response = await fetch(`http://127.0.0.1:${port}/api/v1/users/ann@example.org/invite`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', 'idempotency-key': key },
      body: JSON.stringify({ mail }),
    })
    const json = (await response.json()) as Readonly<Record<string, unknown>>
    if (typeof json.url === 'string') noteSecret(json.url)
    return { status: response.status, type: json.type, detail: json.detail }
  }

  const first = invite('key-1', true)
  await hanging.promise
  t.match(await invite('key-1', true), { status: 503, type: 'urn:sallyport:problem:unavailable' }, 'still under way')
  const mark = gate.mark()
  const keeper = gate.lines('worker_started').findLast(({ process: name }) => name === 'keeper')
  process.kill(Number(keeper?.pid), 'SIGKILL')
  await gate.waitForLog('worker_started', ({ process: name }) => name === 'keeper', mark)
  t.match(await first, { status: 503 }, 'the caller hears that it is not known')

  let again = await invite('key-1', true)
  // The keeper is up when it says so, and answers a moment later.
  while (again.status === 503) {
    await delay(20)
    again = await invite('key-1', true)
  }
  const unknown = { status: 409, type: 'urn:sallyport:problem:outcome-unknown', detail: /look, and .* another key/ }
  t.match(again, unknown)
  t.match(await invite('key-1', true), unknown, 'and so it stays')
  t.match(await invite('key-1', false), { status: 422 }, 'it is no key for another request')
  t.match(await invite('key-2', false), { status: 201 }, 'another key does it')
  t.same(gate.lines('bug'), [])
})
