/**
 * Every page in a browser: axe finds nothing wrong with it (WCAG 2.2 AA), and it fits its window. Half of them in English on a
 * desk by day, half in Dutch on a phone by night; those that people see most in all four ways. What stands on them comes from a
 * stand-in for the keeper, since some pages take a bad day to come about; the flows are tested on the whole product.
 */

import t from 'tap'
import { flaws, person, startBrowser } from '../support/browser.ts'
import { requireService } from '../support/services.ts'
import type { Shot } from '../web/portal/gallery.ts'
import { SHOTS } from '../web/portal/gallery.ts'
import type { Answers } from '../web/portal/stand-in.ts'
import { SETTINGS, SIGNED_IN, standIn } from '../web/portal/stand-in.ts'

if (requireService(t, 'chromium')) {
  let answers: Answers = {}
  let url = SETTINGS.url
  const app = await standIn(
    () => answers,
    () => ({ ...SETTINGS, url }),
  )
  // Only a server can set a `__Host-` cookie.
  app.get<{ Querystring: { cookies: string } }>('/planted', async (request, reply) => {
    const planted = (JSON.parse(request.query.cookies) as string[]).map((each) => `${each}; Path=/; Secure; HttpOnly`)
    return reply.header('set-cookie', planted).send('')
  })
  url = (await app.listen({ port: 0, host: '127.0.0.1' })).replace('127.0.0.1', 'localhost')
  const browser = await startBrowser()
  t.teardown(() => Promise.all([browser.close(), app.close()]))

  const often = new Set([
    'sign-in',
    'second-step',
    'enrol-authenticator',
    'security-info',
    'security-info-notices',
    'issued',
    'help',
  ])
  // That page goes on to somewhere else by itself.
  const shots = SHOTS.filter(({ name }) => name !== 'forwarding')
  const ways = [
    { language: 'en', width: 1000, dark: false, has: (_: string, index: number) => index % 2 === 0 },
    { language: 'nl', width: 360, dark: true, has: (_: string, index: number) => index % 2 === 1 },
    { language: 'en', width: 360, dark: true, has: (name: string) => often.has(name) },
    { language: 'nl', width: 1000, dark: false, has: (name: string) => often.has(name) },
  ] as const

  for (const { language, width, dark, has } of ways) {
    t.test(`${language}, ${width} px, ${dark ? 'dark' : 'light'}`, async (t) => {
      await using who = await person(browser, { url, language, width, dark })
      const { page } = who
      async function show({ path, form, signedIn, cookie, answers: given = {} }: Shot): Promise<void> {
        answers = given
        await who.context.clearCookies()
        const cookies = [signedIn && SIGNED_IN, cookie].filter((each) => each !== undefined && each !== false)
        if (cookies.length > 0) await who.go(`/planted?cookies=${encodeURIComponent(JSON.stringify(cookies))}`)
        if (form === undefined) return await who.go(path)
        await who.go('/help')
        const sent = page.waitForEvent('load')
        await page.evaluate(`(() => {
          const csrf = document.querySelector('[name=csrf]').value
          const form = Object.assign(document.createElement('form'), { method: 'post', action: ${JSON.stringify(path)} })
          for (const [name, value] of Object.entries({ csrf, ...${JSON.stringify(form)} })) {
            form.append(Object.assign(document.createElement('input'), { type: 'hidden', name, value }))
          }
          document.body.append(form)
          form.submit()
        })()`)
        await sent
      }
      for (const [index, shot] of shots.entries()) {
        if (!has(shot.name, index)) continue
        await show(shot)
        t.strictSame(await flaws(page), [], `${shot.name}: ${await who.heading()}`)
      }
    })
  }
}
