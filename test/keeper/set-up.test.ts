/** Setting up a device by a one-time link, at the keeper (M10): made fresh, used once, told of, and bound to one device. */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import t from 'tap'
import type { Config } from '../../src/config.ts'
import { Secret } from '../../src/secret.ts'
import { createCa } from '../support/certificates.ts'
import { run } from '../support/program.ts'
import { noteSecret } from '../support/secrets.ts'
import { program } from '../support/services.ts'
import { edge } from './house.ts'
import { CLIENT, enrol, peopleHouse } from './people.ts'
import { at, objections, parsePlist } from './set-up/apple.ts'

const PHONE = { ...CLIENT, ip: '198.51.100.9', agent: 'Safari' }

const published = (config: Config): Config => ({
  ...config,
  clientSetup: {
    ...config.clientSetup,
    host: 'mail.a.test',
    imap: [{ port: 993, tls: 'implicit' }],
    smtp: [{ port: 465, tls: 'implicit' }],
  },
})

async function house(t: Test, config: (config: Config) => Config = published, yaml = '') {
  const h = await peopleHouse(t, { config, yaml })
  const ann = await enrol(h, 'ann@a.test')
  return {
    ...h,
    ann,
    async link(name = 'iPhone', kind: 'imap' | 'eas' = 'imap') {
      return (await h.ask('set-up.create', { client: CLIENT, session: ann.session, name, kind })).token
    },
    consume: (setUp: string) => h.ask('set-up.consume', { client: PHONE, setUp }),
  }
}

/** The payload of a profile that is not signed, and the app password in it. */
function payloadOf(profile: string) {
  const document = parsePlist(Buffer.from(profile, 'base64').toString())
  const [payload] = at(document, 'PayloadContent') as readonly Record<string, string>[]
  const password = payload?.IncomingPassword ?? payload?.Password ?? ''
  noteSecret(password)
  return { document, payload, password }
}

t.test('looking uses nothing up; using it once makes the app password, which works at once', async (t) => {
  const h = await house(t)
  const setUp = await h.link()
  for (let i = 0; i < 3; i++) {
    t.match(await h.ask('set-up.show', { client: PHONE, setUp }), { user: 'ann@a.test', name: 'iPhone', kind: 'imap' })
  }
  const list = () => h.ask('methods.list', { session: h.ann.session })
  t.strictSame((await list()).appPasswords, [], 'nothing is made before')

  const made = await h.consume(setUp)
  t.match(made, { user: 'ann@a.test', name: 'iPhone', kind: 'imap' })
  const { document, payload, password } = payloadOf(made?.profile ?? '')
  t.strictSame(objections(document), [])
  t.match(payload, { IncomingMailServerHostName: 'mail.a.test', IncomingMailServerUsername: 'ann@a.test' })
  const e = edge(h.keeper)
  t.match(await e.login('ann@a.test', password), { appPassword: { name: 'iPhone' } })

  const { appPasswords, notices } = await list()
  t.match(appPasswords, [{ name: 'iPhone', protocols: ['imap', 'smtp'] }], 'M9: for what the device does, no more')
  t.match(notices, [{ kind: 'set-up-used', name: 'iPhone', ip: PHONE.ip, appPassword: made?.appPasswordId }])
  t.match(await h.ask('set-up.list', { session: h.ann.session }), [
    { name: 'iPhone', usedIp: PHONE.ip, appPassword: made?.appPasswordId },
  ])

  t.equal(await h.consume(setUp), null, 'useless afterwards')
  t.equal(await h.ask('set-up.show', { client: PHONE, setUp }), null)
  const revoked = await h.ask('app-password.revoke', {
    client: CLIENT,
    session: h.ann.session,
    id: made?.appPasswordId ?? '',
  })
  t.match(revoked, { sessionsEnded: 1 }, '"not me": gone, with its session')
  const audit = await h.call('audit.list', { user: 'ann@a.test' })
  t.match(
    audit.entries.filter(({ event }) => event.startsWith('set_up')),
    [{ event: 'set_up_made' }, { event: 'set_up_used', detail: { ip: PHONE.ip } }],
  )
  t.notMatch(JSON.stringify(audit), setUp, 'never with its token')
  t.notMatch(JSON.stringify(h.capture.lines), setUp)
})

t.test('of two at once one is too late, and there is one app password', async (t) => {
  const h = await house(t)
  const setUp = await h.link()
  const both = await Promise.all([h.consume(setUp), h.consume(setUp)])
  t.equal(both.filter((made) => made !== null).length, 1)
  t.equal((await h.ask('methods.list', { session: h.ann.session })).appPasswords.length, 1)
})

t.test('ten minutes, and not when it was cancelled, or its user disabled', async (t) => {
  const h = await house(t)
  const late = await h.link('late')
  const cancelled = await h.link('cancelled')
  const links = await h.ask('set-up.list', { session: h.ann.session })
  await h.ask('set-up.cancel', { session: h.ann.session, id: links.find(({ name }) => name === 'cancelled')?.id ?? '' })
  t.equal(await h.consume(cancelled), null)
  t.match((await h.call('audit.list', { user: 'ann@a.test', order: 'newest', limit: 1 })).entries, [
    { event: 'set_up_cancelled', actor: `user:${(await h.call('user.show', { address: 'ann@a.test' })).id}` },
  ])
  h.pass(10 * 60_000 + 1)
  t.equal(await h.ask('set-up.show', { client: PHONE, setUp: late }), null)
  t.equal(await h.consume(late), null)
  t.equal(await h.consume('x'.repeat(22)), null, 'unknown')

  const other = await house(t)
  const disabled = await other.link()
  await other.call('user.disable', { address: 'ann@a.test' })
  t.equal(await other.consume(disabled), null)
  await other.call('user.enable', { address: 'ann@a.test' })
  t.equal(await other.consume(disabled), null, 'nor when the user is back')
  const third = await house(t)
  const before = await third.link()
  await third.call('user.set-password', { address: 'ann@a.test', password: 'another horse 2' })
  t.equal(await third.consume(before), null, 'nor does it outlive the sessions that a new password ends')
})

t.test('who deletes all app passwords of a user has deleted the one that a link was to make', async (t) => {
  const h = await house(t)
  const user = 'ann@a.test'
  const open = await h.link()
  t.match(await h.call('app-password.delete-all', { user }), { deleted: [] })
  t.equal(await h.ask('set-up.show', { client: PHONE, setUp: open }), null)
  t.equal(await h.consume(open), null)
  t.match((await h.call('audit.list', { user, order: 'newest', limit: 1 })).entries, [
    { event: 'set_up_cancelled', actor: 'cli' },
  ])

  t.ok(await h.consume(await h.link()))
  const [own, other] = [await h.link('own'), await h.link('other')]
  await h.ask('app-password.revoke-all', { client: CLIENT, session: h.ann.session })
  t.equal(await h.consume(own), null, 'by their owner as well')
  t.equal(await h.consume(other), null)

  // At the same moment: whoever was first, nothing is left.
  for (let turns = 0; turns < 12; turns++) {
    const link = await h.link(`at once ${turns}`)
    const made = h.consume(link)
    for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate)
    await h.call('app-password.delete-all', { user })
    await made
    t.strictSame(await h.call('app-password.list', { user }), [], `after ${turns} turns of the event loop`)
    t.equal(await h.consume(link), null)
  }
})

t.test('a link is no way around the cap or the policy, also when they change while it waits', async (t) => {
  const h = await house(t, published, 'appPasswords: { perUser: 1 }')
  const [one, two] = [await h.link('one'), await h.link('two')]
  t.ok(await h.consume(one))
  await t.rejects(h.consume(two), { code: 'cap-reached' }, 'R8')
  await t.rejects(h.link('three'), { code: 'cap-reached' })
  t.equal((await h.ask('methods.list', { session: h.ann.session })).appPasswords.length, 1)
  const [only] = await h.call('app-password.list', { user: 'ann@a.test' })
  await h.call('app-password.delete', { id: only?.id ?? '' })
  t.ok(await h.consume(two), 'what was refused has not used it up')
  t.equal(await h.consume(two), null)

  const narrow = await house(t, published, 'appPasswords: { protocols: [imap] }')
  await t.rejects(narrow.link(), { code: 'forbidden', message: /smtp/ })
  const forbidden = await house(t, published, 'appPasswords: { allowed: false }')
  await t.rejects(forbidden.link(), { code: 'forbidden' }, 'R29')
})

t.test('no link for servers that are not offered', async (t) => {
  const h = await house(t)
  await t.rejects(h.link('iPhone', 'eas'), { code: 'not-configured' })
  const bare = await house(t, (config) => config)
  await t.rejects(bare.link(), { code: 'not-configured' })
})

t.test('signed where there is a certificate: openssl finds our profile inside', async (t) => {
  const ca = await createCa()
  const pair = await ca.issue({ names: ['mail.a.test'] })
  const h = await house(t, (config) => {
    const base = published(config)
    const signing = { chain: pair.cert, privateKey: new Secret(pair.key) }
    return { ...base, clientSetup: { ...base.clientSetup, signing } }
  })
  const made = await h.consume(await h.link())
  const file = (name: string, content: string | Buffer) => {
    writeFileSync(join(h.directory, name), content)
    return join(h.directory, name)
  }
  const signed = file('signed', Buffer.from(made?.profile ?? '', 'base64'))
  const { status, output } = await run(
    program('openssl'),
    ['cms', '-verify', '-inform', 'DER', '-purpose', 'any', '-in', signed, '-CAfile', file('ca.pem', ca.cert)],
    { input: '' },
  )
  t.equal(status, 0)
  const document = parsePlist(output.slice(output.indexOf('<?xml'), output.indexOf('</plist>') + 8))
  t.strictSame(objections(document), [])
})
