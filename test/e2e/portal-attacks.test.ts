/**
 * What an attacker would try at the portal (threats H1–H10), by requests that no browser would send and by pages that a browser
 * must not obey, on the whole product.
 */

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import type { Dispatcher } from 'undici'
import { Agent, request } from 'undici'
import type { Person } from '../support/browser.ts'
import { noteSecret } from '../support/secrets.ts'
import { requireService } from '../support/services.ts'
import { enrol, openPortal, PASSWORD } from './portal-house.ts'

if (requireService(t, 'chromium') && requireService(t, 'dovecot')) {
  const house = await openPortal({ users: ['ann@example.org', 'bob@example.org'] })
  t.teardown(() => house[Symbol.asyncDispose]())
  const agent = new Agent({ connect: { rejectUnauthorized: false }, keepAliveTimeout: 1 })
  t.teardown(() => agent.close())

  interface Ask {
    readonly method?: 'GET' | 'POST' | 'PUT'
    readonly cookie?: string
    readonly headers?: Readonly<Record<string, string>>
    readonly form?: Readonly<Record<string, string>> | string
  }
  async function ask(path: string, { method, cookie, headers, form }: Ask = {}) {
    const response: Dispatcher.ResponseData = await request(`${house.url}${path}`, {
      dispatcher: agent,
      method: method ?? (form === undefined ? 'GET' : 'POST'),
      headers: {
        ...(cookie !== undefined && { cookie }),
        ...(form !== undefined && { 'content-type': 'application/x-www-form-urlencoded', origin: house.url }),
        ...headers,
      },
      ...(form !== undefined && { body: typeof form === 'string' ? form : new URLSearchParams(form).toString() }),
    })
    return { status: response.statusCode, headers: response.headers, text: await response.body.text() }
  }
  const tokenIn = (text: string): string => /name="csrf" value="([^"]+)"/.exec(text)?.[1] ?? ''
  async function cookieOf({ context }: Person): Promise<string> {
    const cookies = await context.cookies()
    return cookies.map(({ name, value }) => `${name}=${value}`).join('; ')
  }
  const sessionOf = async (who: Person): Promise<string> =>
    noteSecret((await who.context.cookies()).find(({ name }) => name.endsWith('-session'))?.value ?? '')

  const ann = await house.person()
  const bob = await house.person()
  t.teardown(() => Promise.all([ann[Symbol.asyncDispose](), bob[Symbol.asyncDispose]()]))
  const annInvited = await house.invite('ann@example.org')
  const beforeSignIn = noteSecret('fixed-by-somebody-else-0001')
  await ann.context.addCookies([
    {
      name: '__Host-sallyport-session',
      value: beforeSignIn,
      url: house.url,
      secure: true,
      httpOnly: true,
      sameSite: 'Lax',
    },
  ])
  const enrolled = await enrol(ann, annInvited, 'iPad')
  await enrol(bob, await house.invite('bob@example.org'), 'Bob’s phone')

  t.test('threats H1: a form of somebody else’s page changes nothing', async (t) => {
    const cookie = await cookieOf(ann)
    const { text } = await ask('/app-passwords/new', { cookie })
    const csrf = noteSecret(tokenIn(text))
    const form = { csrf, name: 'Made by a trick', expiry: '', networks: '' }
    const { csrf: _, ...without } = form
    const cases: readonly (readonly [string, Ask])[] = [
      ['no token', { form: without }],
      [
        'a token of another session',
        { form: { ...form, csrf: tokenIn((await ask('/app-passwords/new', { cookie: await cookieOf(bob) })).text) } },
      ],
      ['a token of before the sign-in', { form: { ...form, csrf: tokenIn((await ask('/help')).text) } }],
      ['another origin', { form, headers: { origin: 'https://evil.example' } }],
      ['a sandboxed frame', { form, headers: { origin: 'null' } }],
      ['another port of this host', { form, headers: { origin: 'https://localhost:1' } }],
      ['the token twice', { form: `${new URLSearchParams(form)}&csrf=${csrf}` }],
      ['a query that looks like a form', { method: 'POST', headers: { origin: house.url } }],
    ]
    for (const [why, asked] of cases) {
      const answer = await ask('/app-passwords/new', { cookie, ...asked })
      t.ok([400, 403, 415].includes(answer.status), `${why}: ${answer.status}`)
    }
    const json = await ask('/app-passwords/new', {
      cookie,
      form: JSON.stringify(form),
      headers: { 'content-type': 'text/plain' },
    })
    t.ok(json.status >= 400, `text/plain, which needs no question beforehand: ${json.status}`)
    t.notMatch((await ask('/security-info', { cookie })).text, 'Made by a trick')
    const stranger = await ask('/sign-in', { form: { user: 'ann@example.org', password: PASSWORD } })
    t.equal(stranger.status, 403, 'signing in as somebody else is a change, too')
    const signOut = await ask('/sign-out', { cookie, form: { csrf: 'x' } })
    t.equal(signOut.status, 403)
    t.equal((await ask('/sign-out', { cookie })).status, 404, 'and no address does it')
    t.equal((await ask('/security-info', { cookie })).status, 200, 'still signed in')
  })

  t.test('threats H2: sessions begin anew, can’t be planted, and end', async (t) => {
    const session = await sessionOf(ann)
    t.not(session, beforeSignIn, 'what was there before the sign-in is worth nothing')
    const [cookie] = (await ann.context.cookies()).filter(({ name }) => name === '__Host-sallyport-session')
    t.match(cookie, { secure: true, httpOnly: true, sameSite: 'Lax', path: '/', domain: 'localhost' })
    await using other = await house.person()
    await other.go('/sign-in')
    await other.page.getByLabel('Email address').fill('ann@example.org')
    await other.page.getByLabel('Password').fill(PASSWORD)
    await other.press('Sign in')
    await other.page.getByLabel('Code', { exact: true }).fill(await enrolled.app.code())
    await other.press('Continue')
    t.equal(await other.heading(), 'Security info')
    const old = await cookieOf(other)
    await other.go('/step-up?next=/profile')
    await other.page.getByLabel('Code', { exact: true }).fill(await enrolled.app.code())
    await other.press('Continue')
    t.equal(await other.heading(), 'Profile', 'step-up leads back')
    t.equal((await ask('/security-info', { cookie: old })).status, 303, 'the token of before the step-up is over')
    const now = await cookieOf(other)
    t.equal((await ask('/security-info', { cookie: now })).status, 200)
    await ann.go('/sessions')
    await ann.press('Sign out everywhere else')
    t.match(await ann.text(), '1 other sign-in was ended')
    t.equal((await ask('/security-info', { cookie: now })).status, 303, 'ended from elsewhere')
    t.equal((await ask('/security-info', { cookie: await cookieOf(ann) })).status, 200)
  })

  t.test('threats H3: not framed, no scripts but ours, no sniffing, nothing kept', async (t) => {
    const { headers, text } = await ask('/security-info', { cookie: await cookieOf(ann) })
    const policy = String(headers['content-security-policy'])
    for (const part of [
      "default-src 'none'",
      "frame-ancestors 'none'",
      "base-uri 'none'",
      "form-action 'self'",
      "script-src 'self'",
      "style-src 'self'",
    ]) {
      t.ok(policy.includes(part), part)
    }
    t.notMatch(policy, /unsafe|\*|https?:/)
    t.match(headers, { 'x-content-type-options': 'nosniff', 'cache-control': /no-store/ })
    t.match(headers['referrer-policy'], /^(no-referrer|same-origin)$/, 'no other site learns of an address')
    t.notMatch(text, /<script(?![^>]*src=)|<style|\son\w+=/i)
    const page = await ann.context.newPage()
    const framing = createServer((_, response) =>
      response.setHeader('content-type', 'text/html').end(`<iframe src="${house.url}/security-info"></iframe>`),
    )
    framing.listen(0, '127.0.0.1')
    t.teardown(() => framing.close())
    await new Promise<void>((done) => framing.once('listening', done))
    await page.goto(`http://127.0.0.1:${(framing.address() as AddressInfo).port}/`)
    const [, frame] = page.frames()
    await frame?.waitForLoadState().catch(() => {})
    t.notMatch((await frame?.content().catch(() => '')) ?? '', 'Security info', 'clickjacking: Chromium shows no frame')
    await page.close()
  })

  t.test('threats H4: nobody is sent elsewhere', async (t) => {
    const cookie = await cookieOf(ann)
    for (const next of [
      'https://evil.example/',
      '//evil.example',
      '/\\evil.example',
      '\\\\evil.example',
      '/%0d%0aSet-Cookie:x',
      '/\t/evil.example',
      'javascript:alert(1)',
      '/security-info\r\nX: y',
      '@evil.example',
      '/..//evil.example',
    ]) {
      const answer = await ask(`/sign-in?next=${encodeURIComponent(next)}`, { cookie })
      const to = String(answer.headers.location ?? '')
      t.equal(new URL(to, house.url).origin, house.url, `${JSON.stringify(next)} → ${to}`)
      t.notMatch(to, /evil/)
      t.notMatch((await ask(`/sign-in?next=${encodeURIComponent(next)}`)).text, /evil/, 'nor is it carried along')
    }
    const answer = await ask('/sign-in?next=/profile', { cookie })
    t.equal(answer.headers.location, '/profile', 'a path of ours is')
  })

  t.test('threats H6: a name is text, in the page, the dialog and the message', async (t) => {
    const name = `"><img src=x onerror="alert(1)"><b>'&amp;`
    const { page } = ann
    let alerts = 0
    page.on('dialog', (dialog) => {
      alerts += 1
      void dialog.dismiss()
    })
    await ann.go(`/app-passwords/new?name=${encodeURIComponent(name)}`)
    t.equal(await page.getByLabel('Which device').inputValue(), name)
    await ann.press('Next')
    noteSecret((await page.locator('#password').innerText()).trim())
    t.equal(await ann.heading(), `App password for ${name}`)
    await ann.press('Done')
    await page.getByRole('link', { name: `Delete ${name}` }).click()
    t.match(await page.getByRole('dialog').innerText(), `Delete “${name}”?`)
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click()
    await page.getByRole('status').waitFor()
    t.match(await page.getByRole('status').innerText(), `“${name}” is deleted`)
    t.equal(await page.locator('img[src="x"]').count(), 0)
    t.equal(alerts, 0)
  })

  t.test('threats H7: what belongs to somebody else is not there', async (t) => {
    const cookie = await cookieOf(bob)
    const theirs = /\/app-passwords\/([\w-]+)\/delete/.exec(
      (await ask('/security-info', { cookie: await cookieOf(ann) })).text,
    )?.[1]
    const method =
      /\/methods\/totp\/([\w-]+)\/delete/.exec((await ask('/methods', { cookie: await cookieOf(ann) })).text)?.[1] ??
      'unknown'
    t.ok(theirs)
    const csrf = noteSecret(tokenIn((await ask('/help', { cookie })).text))
    const form = { csrf }
    for (const path of [
      `/app-passwords/${theirs}/delete`,
      `/app-passwords/${theirs}/rename`,
      `/methods/totp/${method}/delete`,
      '/admin',
      '/admin/audit',
      '/admin/users/ann%40example.org',
      '/admin/policy',
    ]) {
      t.equal((await ask(path, { cookie })).status, 404, `GET ${path}`)
    }
    for (const [path, more] of [
      [`/app-passwords/${theirs}/delete`, {}],
      [`/app-passwords/${theirs}/rename`, { name: 'Mine now' }],
      [`/methods/totp/${method}/delete`, {}],
      ['/admin/users/ann%40example.org/disable', {}],
      ['/admin/users/bob%40example.org/policy', { policy: 'allowed' }],
      ['/admin/users/new', { address: 'eve@example.org', name: '', groups: '', admin: 'yes' }],
    ] as const) {
      t.equal((await ask(path, { cookie, form: { ...form, ...more } })).status, 404, `POST ${path}`)
    }
    const session = await ask('/sessions/no-such-session/end', { cookie, form })
    t.ok([303, 404].includes(session.status))
    const extra = await ask('/app-passwords/new', {
      cookie,
      form: { ...form, name: 'x', user: 'ann@example.org', admin: 'true' },
    })
    t.equal(extra.status, 400, 'a field that no page has is no field')
    t.match((await ask('/security-info', { cookie: await cookieOf(ann) })).text, 'iPad', 'all is where it was')
  })

  t.test('R33, threats B9: an app password opens nothing here', async (t) => {
    const first = await ask('/sign-in')
    const cookie = String(first.headers['set-cookie']).split(';')[0] ?? ''
    const form = { csrf: tokenIn(first.text), user: 'ann@example.org', password: enrolled.appPassword }
    const answer = await ask('/sign-in', { cookie, form })
    t.equal(answer.status, 401)
    t.match(answer.text, 'That didn’t work')
  })

  t.test('threats H10: unknown and known names are answered alike', async (t) => {
    const first = await ask('/sign-in')
    const cookie = String(first.headers['set-cookie']).split(';')[0] ?? ''
    const csrf = tokenIn(first.text)
    const page = async (user: string) => {
      const answer = await ask('/sign-in', { cookie, form: { csrf, user, password: 'not this one' } })
      return { status: answer.status, text: answer.text.replaceAll(user, '') }
    }
    const known = await page('bob@example.org')
    const unknown = await page('nob@example.org')
    t.strictSame(unknown, known)
    t.match(known.text, 'That didn’t work')
  })

  t.test('every form is answered, however quick the answer is', async (t) => {
    const statuses = new Set<number>()
    for (let i = 0; i < 200; i++) statuses.add((await ask('/language', { form: { csrf: 'x', language: 'nl' } })).status)
    t.strictSame([...statuses], [403], 'an answer is not lost because it came before the edge had ended the question')
  })

  t.test('nothing of ours was a bug', async (t) => {
    t.strictSame(house.gate.lines('bug'), [])
  })
}
