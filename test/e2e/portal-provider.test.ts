/**
 * Signing in at an OpenID provider, in a browser, with a real provider beside the whole product: linked by an invitation, signed
 * in by its button, and signed out from there.
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { Agent, request } from 'undici'
import { flaws } from '../support/browser.ts'
import { startOidc } from '../support/oidc.ts'
import { freePort } from '../support/ports.ts'
import { noteSecret } from '../support/secrets.ts'
import { requireService } from '../support/services.ts'
import { openPortal } from './portal-house.ts'

if (requireService(t, 'chromium') && requireService(t, 'dovecot')) {
  const port = await freePort()
  const op = await startOidc(t, { redirectUri: `https://localhost:${port}/sign-in/return` })
  const files = mkdtempSync(join(tmpdir(), 'sp-oidc-'))
  t.teardown(() => rmSync(files, { recursive: true, force: true }))
  const clientSecretFile = join(files, 'client-secret')
  const caFile = join(files, 'ca.pem')
  writeFileSync(clientSecretFile, op.clientSecret, { mode: 0o600 })
  writeFileSync(caFile, op.ca)
  const provider = { name: 'Contoso', issuer: op.issuer, clientId: op.clientId, clientSecretFile, caFile }
  const house = await openPortal({
    users: ['ann@example.org'],
    port,
    settings: { signIn: { local: false, oidc: [provider] } },
  })
  t.teardown(() => house[Symbol.asyncDispose]())
  const user = 'ann@example.org'

  t.test(
    'R20, R33, threats H5: linked by the invitation, signed in by the button, signed out from there',
    async (t) => {
      await using ann = await house.person({ width: 360 })
      const { page } = ann
      await ann.go('/sign-in')
      t.strictSame(await flaws(page), [])
      await page.getByRole('button', { name: 'Sign in with Contoso' }).click()
      await page.getByRole('alert').waitFor()
      t.match(await page.getByRole('alert').innerText(), 'isn’t linked with a mailbox here', 'nobody we know')

      await ann.go(await house.invite(user))
      await ann.press('Start')
      t.strictSame(await flaws(page), [])
      await page.getByRole('button', { name: 'Sign in with Contoso' }).click()
      await page.waitForURL((url) => url.origin === house.url && url.pathname !== '/sign-in/return')
      if ((await ann.heading()) === 'Save your recovery codes') {
        await ann.press('Make recovery codes')
        for (const code of await page.locator('#codes code').allInnerTexts()) noteSecret(code)
        await page.getByLabel('I have saved them').check()
        await ann.press('Next')
      }
      t.equal(await ann.heading(), 'Your first app password')
      await page.locator('#name').fill('iPad')
      await ann.press('Next')
      const password = noteSecret((await page.locator('#password').innerText()).trim())
      await ann.press('Done')
      t.match(await ann.text(), /Linked account/)
      t.notOk(await house.isRefused(user, password))

      await ann.press('Sign out')
      await page.getByRole('button', { name: 'Sign in with Contoso' }).click()
      await page.getByRole('heading', { name: 'Security info' }).waitFor()
      await ann.go('/step-up?next=/app-passwords/new?name=Phone')
      await page.getByRole('button', { name: 'Sign in with Contoso' }).click()
      await page.getByRole('heading', { name: 'New app password' }).waitFor()
      t.equal(await page.getByLabel('Which device').inputValue(), 'Phone', 'step-up there, and back to where one was')

      const agent = new Agent({ connect: { rejectUnauthorized: false } })
      t.teardown(() => agent.close())
      const logOut = async (body: string): Promise<number> => {
        const answer = await request(`${house.url}/sign-in/provider/contoso/logout`, {
          dispatcher: agent,
          method: 'POST',
          headers: { 'content-type': 'application/x-www-form-urlencoded' },
          body,
        })
        await answer.body.dump()
        return answer.statusCode
      }
      t.equal(await logOut('logout_token=eyJhbGciOiJub25lIn0.e30.'), 400, 'not signed by the provider')
      t.equal(await logOut('x=y'), 400)
      const now = Math.floor(Date.now() / 1000)
      const token = await op.sign(
        {
          iss: op.issuer,
          aud: op.clientId,
          sub: op.person.subject,
          iat: now,
          exp: now + 60,
          jti: 'one',
          events: { 'http://schemas.openid.net/event/backchannel-logout': {} },
        },
        { typ: 'logout+jwt' },
      )
      t.equal(await logOut(new URLSearchParams({ logout_token: token }).toString()), 200)
      await ann.go('/security-info')
      t.equal(await ann.heading(), 'Sign in', 'signed out there, signed out here')
    },
  )

  t.test('nothing of ours was a bug', async (t) => {
    t.strictSame(house.gate.lines('bug'), [])
  })
}
