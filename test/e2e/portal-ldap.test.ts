/**
 * People of an LDAP directory at the portal, in a browser, with a real OpenLDAP beside the whole product: signing in with the
 * directory's password, setting up a second step, the first app password; and what is read when the directory says no or nothing.
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { Person } from '../support/browser.ts'
import { AuthenticatorApp, flaws } from '../support/browser.ts'
import { noteSecret, plainPassword } from '../support/secrets.ts'
import { requireService } from '../support/services.ts'
import { startSlapd } from '../support/slapd.ts'
import { openPortal } from './portal-house.ts'

const ANN = 'ann@example.org'
const BOB = 'bob@example.org'

if (requireService(t, 'chromium') && requireService(t, 'dovecot') && requireService(t, 'slapd')) {
  const passwords = { ann: plainPassword(), bob: plainPassword() }
  const slapd = await startSlapd([
    { uid: 'ann', mail: ANN, password: passwords.ann },
    { uid: 'bob', mail: BOB, password: passwords.bob },
  ])
  t.teardown(() => slapd[Symbol.asyncDispose]())
  const files = mkdtempSync(join(tmpdir(), 'sp-ldap-'))
  t.teardown(() => rmSync(files, { recursive: true, force: true }))
  const passwordFile = join(files, 'search-password')
  const caFile = join(files, 'ca.pem')
  writeFileSync(passwordFile, slapd.adminPassword, { mode: 0o600 })
  writeFileSync(caFile, slapd.ca)
  const house = await openPortal({
    users: [ANN, BOB],
    settings: {
      enrolment: 'password',
      signIn: {
        local: false,
        ldap: {
          url: slapd.ldapsUrl,
          baseDn: slapd.baseDn,
          userFilter: '(&(objectClass=person)(mail={user}))',
          bindDn: slapd.adminDn,
          passwordFile,
          caFile,
        },
      },
    },
  })
  t.teardown(() => house[Symbol.asyncDispose]())
  await house.gate.addUser(ANN)

  async function signIn({ page }: Person, user: string, password: string): Promise<void> {
    await page.getByLabel('Email address').fill(user)
    await page.getByLabel('Password', { exact: true }).fill(password)
    await page.getByRole('button', { name: 'Sign in', exact: true }).click()
    await page.waitForLoadState()
  }

  /** From the choice of a second step to the list, with the first app password made on the way. */
  async function setUp(who: Person, device: string) {
    const { page } = who
    await page.locator('a[href="/add/authenticator"]').click()
    const app = new AuthenticatorApp(noteSecret((await page.locator('#key').innerText()).replace(/\s/g, '')))
    await page.getByLabel('Code', { exact: true }).fill(await app.code())
    await who.press('Confirm')
    for (const code of await page.locator('#codes code').allInnerTexts()) noteSecret(code)
    await page.getByLabel('I have saved them').check()
    await who.press('Next')
    t.equal(await who.heading(), 'Your first app password', 'no password is chosen here: the directory has it')
    await page.locator('#name').fill(device)
    await who.press('Next')
    const appPassword = noteSecret((await page.locator('#password').innerText()).trim())
    await who.press('Done')
    return { app, appPassword }
  }

  t.test(
    'R20, R33: signed in with the password of the directory, second step, first app password, and in again',
    async (t) => {
      await using ann = await house.person()
      const { page } = ann
      await ann.go('/security-info')
      t.equal(await ann.heading(), 'Sign in')
      t.strictSame(await flaws(page), [])
      await signIn(ann, ANN, plainPassword())
      t.match(await page.getByRole('alert').innerText(), 'That didn’t work', 'the directory says no')
      const mark = slapd.log().length
      await signIn(ann, ANN, passwords.ann)
      t.strictSame(await flaws(page), [])
      const { app, appPassword } = await setUp(ann, 'iPad')
      t.equal(await ann.heading(), 'Security info')
      t.match(slapd.log().slice(mark), new RegExp(`BIND dn="uid=ann,${slapd.baseDn}"`), 'the directory was asked')
      t.match(await ann.text(), /iPad[\s\S]*Never used/)
      t.notOk(await house.isRefused(ANN, appPassword), 'a mail program logs in with it')
      t.ok(await house.isRefused(ANN, passwords.ann), 'and not with the password of the directory')

      await ann.press('Sign out')
      await signIn(ann, ANN, passwords.ann)
      t.equal(await ann.heading(), 'Is it really you?', 'the password alone is not enough any more')
      await page.getByLabel('Code', { exact: true }).fill(await app.code())
      await ann.press('Continue')
      t.equal(await ann.heading(), 'Security info')
    },
  )

  t.test('by invitation: the second step is set up without choosing another password', async (t) => {
    await using bob = await house.person({ width: 360 })
    await bob.go(await house.invite(BOB))
    await bob.press('Start')
    const { app } = await setUp(bob, 'Phone')
    await bob.press('Sign out')
    await signIn(bob, BOB, passwords.bob)
    await bob.page.getByLabel('Code', { exact: true }).fill(await app.code())
    await bob.press('Continue')
    await bob.page.getByRole('heading', { name: 'Security info' }).waitFor()
    t.match(await bob.text(), 'Phone')
  })

  t.test('invariant 11: a directory that is away is never a wrong password', async (t) => {
    await slapd.stop()
    await using ann = await house.person()
    await ann.go('/sign-in')
    await signIn(ann, ANN, passwords.ann)
    await ann.page.getByText('Your mail keeps working').waitFor()
    t.notMatch(await ann.text(), 'That didn’t work')
    t.strictSame(await flaws(ann.page), [])
  })

  t.test('nothing of ours was a bug', async (t) => {
    t.strictSame(house.gate.lines('bug'), [])
  })
}
