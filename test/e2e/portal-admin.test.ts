/**
 * Administrators at the portal, step-up, and what people are told: in a browser, on the whole product.
 */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t from 'tap'
import { flaws } from '../support/browser.ts'
import { noteSecret } from '../support/secrets.ts'
import { requireService } from '../support/services.ts'
import { enrol, openPortal } from './portal-house.ts'

if (requireService(t, 'chromium') && requireService(t, 'dovecot')) {
  const house = await openPortal({
    users: ['ann', 'bob', 'cas', 'dan'].map((name) => `${name}@example.org`),
    settings: { groups: { contractors: {} } },
  })
  t.teardown(() => house[Symbol.asyncDispose]())

  /** Eleven minutes pass for every portal session: the store says when a factor was last shown. */
  async function letFactorsGoStale(): Promise<void> {
    await house.gate.stop('SIGKILL')
    const db = new DatabaseSync(join(house.gate.directory, 'data/sallyport.db'))
    for (const { id, factors } of db.prepare('select id, factors from portal_sessions').all()) {
      // [which, when, whether it counts as fresh]
      const older = (JSON.parse(String(factors)) as [string, number, number][]).map(([which, at, fresh]) => [
        which,
        at - 660_000,
        fresh,
      ])
      db.prepare('update portal_sessions set factors = ? where id = ?').run(JSON.stringify(older), String(id))
    }
    db.close()
    await house.gate.start()
  }

  const ann = await house.person({ width: 1100 })
  const bob = await house.person({ language: 'nl', width: 360 })
  t.teardown(() => Promise.all([ann[Symbol.asyncDispose](), bob[Symbol.asyncDispose]()]))
  const admin = await enrol(ann, await house.invite('ann@example.org', ['--admin']), 'Laptop')

  t.test('an administrator adds somebody, who sets up two-step by the link (R38, H8)', async (t) => {
    await ann.press('Administration')
    t.strictSame(await flaws(ann.page), [])
    await ann.press('Add a user')
    await ann.page.getByLabel('Email address').fill('bob@example.org')
    await ann.page.getByLabel('Name').fill('Bob')
    await ann.page.getByLabel('Groups').fill('contractors')
    await ann.press('Add')
    t.equal(await ann.heading(), 'Invitation for bob@example.org')
    const link = noteSecret((await ann.page.locator('#link').innerText()).trim())
    noteSecret(link.slice(link.lastIndexOf('/') + 1))
    await ann.press('Done')
    t.match(await ann.text(), /Bob · contractors[\s\S]*None set up/)
    await enrol(bob, link.slice(house.url.length), 'Telefoon van Bob', 'nl')
    t.equal(await bob.heading(), 'Beveiliging')
    t.notMatch(await bob.page.locator('nav').innerText(), 'Beheer', 'others see no such section')

    await ann.go('/admin?find=bo')
    await ann.press('bob@example.org')
    t.match(await ann.text(), /Authenticator-app\s+Authenticator app/, 'methods')
    t.match(await ann.text(), /Telefoon van Bob[\s\S]*Never used/, 'and app passwords')
    t.strictSame(await flaws(ann.page), [])
  })

  t.test(
    'R29, M2: forbidden for a group: sessions end, nothing is offered, what is there can be deleted',
    async (t) => {
      await bob.go('/app-passwords/new')
      await bob.page.locator('#name').fill('Tablet')
      await bob.press('Volgende')
      const password = noteSecret((await bob.page.locator('#password').innerText()).trim())
      const imap = await house.imap('bob@example.org', password)
      const closed = new Promise<void>((done) => imap.once('close', () => done()))
      await ann.go('/admin/policy')
      t.strictSame(await flaws(ann.page), [])
      await ann.page.getByLabel('Group', { exact: true }).fill('contractors')
      await ann.page
        .locator('form', { has: ann.page.getByLabel('Group', { exact: true }) })
        .getByRole('button')
        .click()
      await closed
      t.ok(await house.isRefused('bob@example.org', password), 'existing ones stop working at once')
      t.match(
        await ann.text(),
        /The policy is changed\. 1 open connection was ended\.[\s\S]*Group contractors/,
        'M2: how many',
      )
      await bob.go('/security-info')
      t.match(await bob.text(), 'Je organisatie heeft app-wachtwoorden uitgezet')
      await bob.go('/add')
      t.notMatch(await bob.text(), 'App-wachtwoord', 'absent, not an error after a click')
      await bob.go('/security-info')
      for (const name of ['Tablet', 'Telefoon van Bob']) {
        await bob.page.getByRole('link', { name: `Verwijderen: ${name}` }).click()
        await bob.page.getByRole('dialog').getByRole('button', { name: 'Verwijderen' }).click()
        await bob.page.getByText(`‘${name}’ is verwijderd`).waitFor()
      }
      t.notMatch((await bob.text()).replace(/^‘[^\n]*/, ''), /app-wachtwoord/i, 'and then they are not mentioned')

      await ann.go('/admin/users/bob%40example.org')
      await ann.page.locator('select[name="policy"]').selectOption('allowed')
      await ann.press('Change')
      t.match(await ann.text(), 'The policy is changed')
      await bob.go('/app-passwords/new')
      await bob.page.locator('#name').fill('Tablet')
      await bob.press('Volgende')
      const again = noteSecret((await bob.page.locator('#password').innerText()).trim())
      t.notOk(await house.isRefused('bob@example.org', again), 'a user’s own setting goes before that of a group')
      await bob.press('Klaar')
    },
  )

  t.test('threats H9: a step-up before anything is changed, and back to where one was', async (t) => {
    const { page } = bob
    await page.goto('/app-passwords/new?name=Camera')
    t.equal(await bob.heading(), 'Nieuw app-wachtwoord')
    await letFactorsGoStale()
    await page.locator('#name').fill('Camera bij de deur')
    await bob.press('Volgende')
    t.equal(await bob.heading(), 'Bevestig even dat jij het bent', 'the keeper insists')
    t.match(page.url(), 'next=%2Fapp-passwords%2Fnew%3Fname%3DCamera')
    t.strictSame(await flaws(page), [])
    for (const path of ['/add/authenticator', '/add/passkey', '/recovery-codes']) {
      await bob.go(path)
      t.equal(await bob.heading(), 'Bevestig even dat jij het bent', path)
    }
    await ann.go('/admin/users/bob%40example.org/disable')
    t.equal(await ann.heading(), 'Please confirm it’s you', 'administrators as well')
    await ann.page.getByLabel('Code', { exact: true }).fill(await admin.app.code())
    await ann.press('Continue')
    t.equal(await ann.heading(), 'Disable bob@example.org?', 'back')

    await bob.go('/security-info')
    await page.getByRole('link', { name: 'Verwijderen: Tablet' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Verwijderen' }).click()
    await page.getByText('‘Tablet’ is verwijderd').waitFor()
    t.pass('taking an app password away needs none')
  })

  t.test('M5, and what an administrator did: people are told', async (t) => {
    const created = await house.gate.createAppPassword('bob@example.org', 'Scanner')
    await house.gate.cli(['app-password', 'delete', created.id, '--yes'])
    t.ok(await house.isRefused('bob@example.org', created.letters))
    await bob.go('/security-info')
    t.match(await bob.text(), 'Een beheerder heeft een app-wachtwoord voor je gemaakt: Scanner')
    t.match(await bob.text(), 'Een beheerder heeft een app-wachtwoord van je verwijderd: Scanner')
    const tries = bob.page.getByText('Scanner, nu verwijderd, probeert nog steeds in te loggen')
    const old = bob.page.getByText(/Scanner, .* verwijderd, probeert nog steeds in te loggen/)
    for (let looks = 0; looks < 40 && (await old.count()) === 0; looks++) {
      await new Promise((resolve) => setTimeout(resolve, 500))
      await bob.page.reload()
    }
    t.equal((await tries.count()) + (await old.count()) > 0, true, 'the forgotten phone is named to its owner')
    t.match(await bob.text(), /via IMAP vanaf 127\.0\.0\.1/)
    await bob.page.locator('.notice', { has: old }).getByRole('button', { name: 'Begrepen' }).click()
    await bob.page.waitForLoadState()
    t.equal(await old.count(), 0, 'dismissed')
  })

  t.test('disable and enable, reset two-step, and the audit trail', async (t) => {
    await ann.go('/admin/users/bob%40example.org')
    await ann.press('Disable')
    await ann.press('Disable')
    t.match(await ann.text(), 'The user is disabled')
    await bob.go('/security-info')
    t.equal(await bob.heading(), 'Inloggen', 'signed out')
    t.match(await bob.text(), 'Je bent uitgelogd')
    await ann.press('Enable')
    t.match(await ann.text(), 'The user is enabled')
    await ann.press('Reset two-step sign-in')
    await ann.press('Reset')
    const link = noteSecret((await ann.page.locator('#link').innerText()).trim())
    noteSecret(link.slice(link.lastIndexOf('/') + 1))
    await ann.press('Done')
    t.match(await ann.text(), 'None set up')
    await bob.go(link.slice(house.url.length))
    t.match(await bob.text(), 'is teruggezet', 'and set up anew')

    await ann.press('Audit trail')
    t.match(await ann.text(), /two_step_reset|user_disabled/)
    t.strictSame(await flaws(ann.page), [])
    await ann.go('/admin/users/nobody%40example.org')
    t.equal(await ann.heading(), 'There is nothing here')
  })

  t.test(
    'the audit trail begins with what happened last, goes on to older entries, and knows who is gone',
    async (t) => {
      const names = Array.from({ length: 120 }, (_, i) => `guest${i}@example.org`)
      const file = join(house.gate.directory, 'guests.csv')
      writeFileSync(file, `address\n${names.join('\n')}\n`)
      await house.gate.json(['user', 'import', file])
      await house.gate.json(['user', 'delete', 'guest7@example.org', '--yes'])

      const rows = () => ann.page.locator('tbody tr').allInnerTexts()
      await ann.go('/admin/audit')
      const newest = await rows()
      t.match(newest[0], /user_deleted[\s\S]*guest7@example\.org/)
      t.match(newest[1], /user_added[\s\S]*guest119@example\.org/)
      t.equal(newest.length, 100)
      t.equal(await ann.page.getByRole('link', { name: 'Newest' }).count(), 0)
      await ann.press('Older')
      const older = await rows()
      t.match(older[0], 'guest20@example.org', 'on from where the first page ended')
      t.match(older.join('\n'), 'two_step_reset')
      t.equal(await ann.page.getByRole('link', { name: 'Older' }).count(), 0, 'and that is all')
      t.strictSame(await flaws(ann.page), [])
      await ann.press('Newest')
      t.strictSame(await rows(), newest)

      await ann.go('/admin/audit?user=guest7%40example.org')
      t.strictSame(
        (await rows()).map((row) => row.match(/user_\w+/)?.[0]),
        ['user_deleted', 'user_added'],
      )
    },
  )

  t.test('while the keeper is away: a page that says mail keeps working', async (t) => {
    const keeper = house.gate.lines('worker_started').findLast(({ process }) => process === 'keeper')
    process.kill(Number(keeper?.pid), 'SIGSTOP')
    const answer = ann.page.goto('/security-info', { timeout: 30_000 })
    await new Promise((resolve) => setTimeout(resolve, 300))
    process.kill(Number(keeper?.pid), 'SIGCONT')
    t.equal((await answer)?.status(), 200, 'a short wait is not even seen')
  })

  t.test('nothing of ours was a bug', async (t) => {
    t.strictSame(house.gate.lines('bug'), [])
  })
}
