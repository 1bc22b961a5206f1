/**
 * Mails to users, through a real Postfix that delivers to a real Dovecot.
 */

import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import type { Config, UpstreamConfig } from '../../src/config.ts'
import { Secret } from '../../src/secret.ts'
import type { Dovecot } from '../support/dovecot.ts'
import { startDovecot } from '../support/dovecot.ts'
import { freePort } from '../support/ports.ts'
import { canRunPostfix, saslListener, startPostfix } from '../support/postfix.ts'
import { plainPassword } from '../support/secrets.ts'
import { CLIENT, PASSWORD, peopleHouse } from './people.ts'

t.setTimeout(240_000)

const USERS = { 'ann@example.org': plainPassword(), 'noreply@example.org': plainPassword() }

/** The text of the one message in a mailbox that holds this, as it was delivered. */
async function delivered(dovecot: Dovecot, user: string, holding: string): Promise<string> {
  const folder = join(dovecot.directory, 'mail', user, 'Maildir/new')
  for (let waitedMs = 0; waitedMs < 60_000; waitedMs += 50) {
    const files = existsSync(folder) ? readdirSync(folder) : []
    const text = files.map((file) => readFileSync(join(folder, file), 'utf8')).find((each) => each.includes(holding))
    if (text !== undefined) return text
    await delay(50)
  }
  throw new Error(`no message that holds "${holding}"`)
}

function forget(dovecot: Dovecot, user: string): void {
  rmSync(join(dovecot.directory, 'mail', user, 'Maildir/new'), { recursive: true, force: true })
}

const withSender = (config: Config): Config => ({
  ...config,
  domains: ['example.org'],
  routes: [{ domain: 'example.org', users: null, upstream: 'main' }],
  mail: { from: 'noreply@example.org', name: 'Mail service' },
})

function upstreamOf(config: Config): UpstreamConfig {
  const { main } = config.upstreams
  if (main === undefined) throw new Error('every house has this one')
  return main
}

t.test('an invitation by mail; what others do to an account is told to its owner', async (t) => {
  if (!canRunPostfix(t)) return
  const saslPort = await freePort()
  await using dovecot = await startDovecot({ users: USERS, extra: saslListener(saslPort) })
  await using postfix = await startPostfix(dovecot, saslPort)
  const { user, password } = dovecot.master
  for (const [how, tls, port] of [
    ['STARTTLS', 'starttls', postfix.ports.submission],
    ['implicit TLS', 'implicit', postfix.ports.submissions],
    ['behind a PROXY header', 'starttls', postfix.ports.proxied],
  ] as const) {
    const h = await peopleHouse(t, {
      yaml: 'enrolment: password',
      config: (config) => ({
        ...withSender(config),
        upstreams: {
          main: {
            ...upstreamOf(config),
            smtp: { hosts: [{ host: '127.0.0.1', port }], tls, ca: postfix.ca, serverName: 'localhost' },
            proxyProtocol: port === postfix.ports.proxied ? 'v1' : null,
            identity: { method: 'authzid', user, password: new Secret(password) },
          },
        },
      }),
    })
    await h.call('user.add', { address: 'ann@example.org', password: PASSWORD })
    const invited = await h.call('user.invite', { address: 'ann@example.org', mail: true })
    t.match(invited, { url: null, mailed: true }, how)
    const text = await delivered(dovecot, 'ann@example.org', '/invitation/')
    forget(dovecot, 'ann@example.org')
    t.match(text, /^From: Mail service <noreply@example\.org>$/m)
    t.match(text, /^Auto-Submitted: auto-generated$/m)
    const invitation = /https:\/\/mail\.a\.test\/invitation\/([\w-]+)/.exec(text)?.[1] ?? ''
    t.match(await h.ask('invitation.show', { client: CLIENT, invitation }), { user: 'ann@example.org' })

    await h.call('app-password.create', { user: 'ann@example.org', name: 'Drucker "3"' })
    t.match(await delivered(dovecot, 'ann@example.org', 'made an app password'), /Drucker "3"/)
    forget(dovecot, 'ann@example.org')
    await h.ask('sign-in.password', { client: CLIENT, user: 'ann@example.org', password: PASSWORD })
    t.match(await delivered(dovecot, 'ann@example.org', 'signed in with your password'), /from 192\.0\.2\.7/)
    forget(dovecot, 'ann@example.org')
    await h.close()
  }
})

t.test('without a sender nothing is mailed; with one that can not be reached an invitation says so', async (t) => {
  const h = await peopleHouse(t)
  await h.call('user.add', { address: 'ann@a.test' })
  await t.rejects(h.call('user.invite', { address: 'ann@a.test', mail: true }), {
    code: 'not-configured',
    message: /set mail\.from/,
  })
  const away = await peopleHouse(t, { config: withSender })
  await away.call('user.add', { address: 'ann@example.org' })
  await t.rejects(away.call('user.invite', { address: 'ann@example.org', mail: true }), { code: 'unavailable' })
  await away.call('app-password.create', { user: 'ann@example.org', name: 'x' })
  t.match(await away.capture.wait('warning'), { user: 'ann@example.org' }, 'and what can not be mailed is logged')
})
