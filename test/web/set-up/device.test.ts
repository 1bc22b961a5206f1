/** The pages that set up a device (M10), before a keeper that answers what it is told: what each route asks of it, and when. */

import t from 'tap'
import { ServiceError } from '../../../src/contract/services.ts'
import type { Answers } from '../portal/stand-in.ts'
import { ago, SETTINGS, SIGNED_IN, sessionView, standIn } from '../portal/stand-in.ts'

const TOKEN = 'k3Jd9fWq0LmZx-VtR2_BnA'
const PROFILE = `/profile/${TOKEN}.mobileconfig`
const asked: [string, Record<string, unknown>][] = []
let answers: Answers = {}
let settings = SETTINGS
const app = await standIn(
  () =>
    Object.fromEntries(
      Object.entries(answers).map(([name, answer]) => [
        name,
        (request: Record<string, unknown>) => {
          asked.push([name, request])
          if (answer instanceof ServiceError) throw answer
          return answer
        },
      ]),
    ) as Answers,
  () => settings,
)
t.teardown(() => app.close())
t.beforeEach(() => {
  answers = {}
  settings = SETTINGS
  asked.length = 0
})

/** What a browser sends with a form of ours. */
async function send(url: string, form: Record<string, string>, signedIn: boolean) {
  const cookie = signedIn ? SIGNED_IN : ''
  const seen = await app.inject({ url: signedIn ? '/set-up' : `/set-up/${TOKEN}`, headers: { cookie } })
  const csrf = signedIn ? sessionView().csrf : (/name="csrf" value="([^"]+)"/.exec(seen.body)?.[1] ?? '')
  const own = String(seen.headers['set-cookie'] ?? '').split(';')[0] ?? ''
  asked.length = 0
  return await app.inject({
    method: 'POST',
    url,
    headers: {
      cookie: [cookie, own].filter(Boolean).join('; '),
      origin: SETTINGS.url,
      'content-type': 'application/x-www-form-urlencoded',
    },
    payload: new URLSearchParams({ csrf, ...form }).toString(),
  })
}
const called = (name: string) => asked.filter(([each]) => each === name).map(([, request]) => request)

const shown = { user: 'ann@example.org', name: 'iPhone', kind: 'imap', expiresAt: ago(-0.1) } as const

t.test('looking never uses a link up; its form does, and answers with the profile', async (t) => {
  const profile = Buffer.from('<plist/>').toString('base64')
  answers = {
    'set-up.show': shown,
    'set-up.consume': { user: 'ann@example.org', name: 'iPhone', kind: 'imap', appPasswordId: 'a1', profile },
  }
  for (const method of ['GET', 'HEAD'] as const) {
    t.equal((await app.inject({ method, url: `/set-up/${TOKEN}` })).statusCode, 200)
    const followed = await app.inject({ method, url: PROFILE })
    t.equal(followed.statusCode, 303)
    t.equal(followed.headers.location, `/set-up/${TOKEN}`)
  }
  t.strictSame(called('set-up.consume'), [])

  const response = await send(PROFILE, {}, false)
  t.equal(response.statusCode, 200)
  t.match(response.headers, {
    'content-type': 'application/x-apple-aspen-config',
    'content-disposition': 'attachment; filename="mail.mobileconfig"',
    'cache-control': 'no-store',
  })
  t.equal(response.body, '<plist/>')
  t.match(called('set-up.consume'), [{ setUp: TOKEN, client: { ip: '192.0.2.7', language: 'en' } }])
})

t.test('a form of somebody else’s page uses nothing up (H1)', async (t) => {
  answers = { 'set-up.show': shown }
  for (const headers of [
    { origin: 'https://evil.example' },
    { origin: SETTINGS.url },
    { 'sec-fetch-site': 'cross-site' },
  ]) {
    const payload = new URLSearchParams({ csrf: 'x'.repeat(43) }).toString()
    const response = await app.inject({
      method: 'POST',
      url: PROFILE,
      headers: { ...headers, 'content-type': 'application/x-www-form-urlencoded' },
      payload,
    })
    t.equal(response.statusCode, 403)
  }
  t.strictSame(called('set-up.consume'), [])
})

t.test('a link that is used, unknown or run out; one with no room left; no address beside it', async (t) => {
  answers = { 'set-up.show': shown, 'set-up.consume': null }
  t.equal((await send(PROFILE, {}, false)).statusCode, 404)
  answers = { 'set-up.show': shown, 'set-up.consume': new ServiceError('unavailable', 'the store is away') }
  t.equal((await send(PROFILE, {}, false)).statusCode, 503, 'ours')
  for (const url of [
    '/profile/short.mobileconfig',
    `/profile/${TOKEN}`,
    `/profile/${TOKEN}.xml`,
    `/profile/${'x'.repeat(200)}.mobileconfig`,
  ]) {
    t.equal((await app.inject({ url })).statusCode, 404, url)
  }
})

t.test('making one asks for a step-up first, and only for what is offered and allowed', async (t) => {
  answers = { 'session.show': sessionView({ freshUntil: null }), 'set-up.list': [] }
  const stale = await app.inject({ url: '/set-up', headers: { cookie: SIGNED_IN } })
  t.equal(stale.headers.location, '/step-up?next=%2Fset-up')
  answers = {
    'session.show': sessionView(),
    'set-up.list': [],
    'set-up.create': new ServiceError('step-up-needed', ''),
  }
  t.match(
    (await send('/set-up', { name: 'iPhone', kind: 'imap' }, true)).headers.location,
    /^\/step-up\?next=%2Fset-up/,
  )

  answers = {
    'session.show': sessionView(),
    'set-up.list': [],
    'set-up.create': { token: TOKEN, expiresAt: ago(-0.16) },
  }
  const made = await send('/set-up', { name: 'iPhone', kind: 'imap' }, true)
  t.match(called('set-up.create'), [{ name: 'iPhone', kind: 'imap' }])
  t.match(made.body, `${SETTINGS.url}/set-up/${TOKEN}`)
  t.match(made.body, /<svg class="qr"/)
  t.equal((await send('/set-up', { name: ' ', kind: 'imap' }, true)).statusCode, 422)
  t.equal((await send('/set-up', { name: 'x', kind: 'pop3' }, true)).statusCode, 400)
  t.strictSame(called('set-up.create'), [])

  const get = async () => await app.inject({ url: '/set-up', headers: { cookie: SIGNED_IN } })
  t.match((await get()).body, /name="kind" value="eas"/)
  settings = { ...SETTINGS, mail: { ...SETTINGS.mail, activeSync: null } }
  t.notMatch((await get()).body, /type="radio"/, 'one kind: nothing to choose')
  t.equal((await send('/set-up', { name: 'x', kind: 'eas' }, true)).statusCode, 404)
  settings = { ...settings, mail: { ...settings.mail, smtp: [] } }
  t.equal((await get()).statusCode, 404, 'nothing can be set up')
  settings = SETTINGS
  const { appPasswords } = sessionView()
  answers = { 'session.show': sessionView({ appPasswords: { ...appPasswords, allowed: false } }) }
  t.equal((await get()).statusCode, 404, 'R29: not there, rather than an error after a click')
  answers = {
    'session.show': sessionView({ appPasswords: { ...appPasswords, protocols: ['imap', 'eas'] } }),
    'set-up.list': [],
  }
  t.notMatch((await get()).body, /value="imap"/, 'mail needs SMTP as well')
})

t.test('a link that nobody has used can be cancelled', async (t) => {
  answers = { 'session.show': sessionView(), 'set-up.list': [], 'set-up.cancel': null }
  const response = await send('/set-up/l1/cancel', {}, true)
  t.equal(response.headers.location, '/set-up')
  t.match(called('set-up.cancel'), [{ id: 'l1' }])
})
