/**
 * People at the portal, in a real browser on the whole product: from the invitation to a mail program that works, and back
 * out of it. In English and Dutch, on a desk and on a phone, with scripts, without, and by the keyboard alone.
 */

import t from 'tap'
import { AuthenticatorApp, flaws, givePasskeyDevice } from '../support/browser.ts'
import { noteSecret } from '../support/secrets.ts'
import { requireService } from '../support/services.ts'
import { choosePassword, enrol, openPortal, PASSWORD } from './portal-house.ts'

if (requireService(t, 'chromium') && requireService(t, 'dovecot')) {
  const house = await openPortal({
    users: ['ann', 'bob', 'kim', 'pia', 'cas'].map((name) => `${name}@example.org`),
    settings: { appPasswords: { perUser: 3 } },
  })
  t.teardown(() => house[Symbol.asyncDispose]())

  t.test('R20, R21, R13–R19, R23–R28, M2: invitation, enrolment, a login, and its end', async (t) => {
    const user = 'ann@example.org'
    const invitation = await house.invite(user, ['--name', 'Ann'])
    await using ann = await house.person()
    const { page } = ann

    await ann.go('/')
    t.equal(await ann.heading(), 'Sign in', 'R33: nothing is shown to nobody')
    t.strictSame(await flaws(page), [])

    await ann.go(invitation)
    t.equal(await ann.heading(), 'Welcome, Ann')
    t.strictSame(await flaws(page), [])
    const { appPassword } = await enrol(ann, invitation, 'iPad')

    t.equal(await ann.heading(), 'Security info')
    t.match(await ann.text(), 'You are all set', 'says so')
    t.match(await ann.text(), /iPad[\s\S]*Never used/, 'R18: it is in the list')
    t.match(await ann.text(), /10 codes left/)
    t.strictSame(await flaws(page), [])

    await using first = await house.imap(user, appPassword).then(disposable)
    t.ok(first.imap.usable, 'R1, R3, R19: a mail program logs in with it straight away')
    await page.reload()
    t.match(await ann.text(), /iPad\s+1 open connection/, 'M2: and is seen')

    await ann.go('/sessions')
    t.match(await ann.text(), /iPad\s+IMAP, from 127\.0\.0\.1/, 'M12: where am I signed in')
    t.match(await ann.text(), /Chrome, Linux\s+This browser/)
    t.strictSame(await flaws(page), [])

    // A second one, with the copy button (R12, R15, R22).
    await ann.press('Security info')
    await ann.press('Add method')
    t.match(await ann.text(), /Authenticator app[\s\S]*Passkey[\s\S]*Recovery codes[\s\S]*App password/, 'R32, R40')
    t.strictSame(await flaws(page), [])
    await page.locator('a[href="/app-passwords/new"]').click()
    t.strictSame(await flaws(page), [])
    await page.getByLabel('Which device').fill('Outlook at home')
    await ann.press('Next')
    t.strictSame(await flaws(page), [])
    const shown = noteSecret((await page.locator('#password').innerText()).trim())
    t.match(shown, /^[a-z]{4}( [a-z]{4}){3}$/, 'R7')
    await page.getByRole('button', { name: 'Copy' }).click()
    await page.getByText('✓ Copied').waitFor()
    const copied = noteSecret(await page.evaluate<string>('navigator.clipboard.readText()'))
    t.equal(copied, shown, 'R15: the button copies it')
    await page.reload()
    t.equal(await ann.heading(), 'Security info', 'R16: shown once; loading the page again makes no other')
    t.notMatch(await page.content(), shown, 'R16')
    t.equal(await page.getByRole('link', { name: 'Delete Outlook at home' }).count(), 1)
    await using outlook = await house.imap(user, copied).then(disposable)
    const closed = new Promise<void>((done) => outlook.imap.once('close', () => done()))

    // Deleted in a dialog (R24–R27), over the keyboard's way out first.
    await page.reload()
    await page.getByRole('link', { name: 'Delete Outlook at home' }).click()
    const dialog = page.getByRole('dialog')
    t.match(await dialog.innerText(), /Delete “Outlook at home”\?[\s\S]*can’t be undone/, 'R24: names it')
    t.strictSame(await flaws(page), [])
    await page.keyboard.press('Escape')
    t.notOk(await dialog.isVisible())
    await page.getByRole('link', { name: 'Delete Outlook at home' }).click()
    const pressed = performance.now()
    await dialog.getByRole('button', { name: 'Delete' }).click()
    await closed
    t.ok(performance.now() - pressed < 30_000, 'M2: the connection ends, which nothing else would do')
    await page.getByRole('status').waitFor()
    t.match(
      await page.getByRole('status').innerText(),
      '“Outlook at home” is deleted. 1 open connection was ended.',
      'R25',
    )
    t.notMatch(await page.locator('#app-passwords').locator('..').innerText(), 'Outlook', 'R26: gone from the list')
    t.match(await page.evaluate<string>('document.activeElement.className'), /note/, 'and it is read out')
    await page.getByRole('link', { name: 'Close this message' }).click()
    t.equal(await page.getByRole('status').count(), 0, 'R25: closed')
    t.ok(await house.isRefused(user, copied), 'R27: refused for good')
    t.ok(first.imap.usable, 'R12: the other one goes on')

    t.ok(await house.isRefused(user, house.dovecot.users[user] ?? ''), 'R2: the mailbox’s own password is refused')

    // Narrowed under "More" (M9): to what the device does, and from where.
    await ann.go('/app-passwords/new')
    await page.getByLabel('Which device').fill('Far away')
    await page.getByText('More', { exact: true }).click()
    await page.getByLabel('From which networks').fill('192.0.2.0/24, 2001:db8::/32')
    await page.getByLabel('How long it works').selectOption({ label: '30 days' })
    await ann.press('Next')
    const elsewhere = noteSecret((await page.locator('#password').innerText()).trim())
    await ann.press('Done')
    t.match(await ann.text(), /Far away[\s\S]*Only from 192\.0\.2\.0\/24 and 2001:db8::\/32 · Runs out/, 'M9')
    t.ok(await house.isRefused(user, elsewhere), 'M9: refused from here')
    await ann.press('Sign out')
    t.match(await ann.text(), 'You are signed out')
    await page.goBack()
    await page.reload()
    t.equal(await ann.heading(), 'Sign in', 'threats H2: the session is gone')
  })

  t.test('the same in Dutch, on a phone, without scripts; then at the limit (R9, R10, R39)', async (t) => {
    const user = 'bob@example.org'
    const invitation = await house.invite(user)
    await using bob = await house.person({ language: 'nl', width: 360, scripts: false })
    const { page } = bob
    const { app, codes, appPassword } = await enrol(bob, invitation, 'Scanner', 'nl')
    t.equal(await bob.heading(), 'Beveiliging')
    t.notOk(await house.isRefused(user, appPassword))

    await bob.go(invitation)
    t.equal(await bob.heading(), 'Deze link werkt niet meer', 'an invitation works once')

    await bob.go('/security-info')
    await bob.press('Uitloggen')
    await page.getByLabel('E-mailadres').fill(user)
    await page.getByLabel('Wachtwoord').fill('something else')
    await bob.press('Inloggen')
    t.match(await page.getByRole('alert').innerText(), 'Dat klopt niet')
    await page.getByLabel('Wachtwoord').fill(PASSWORD)
    await bob.press('Inloggen')
    t.equal(await bob.heading(), 'Ben jij het echt?', 'R33: two steps')
    await page.getByLabel('Code', { exact: true }).fill('000000')
    await bob.press('Doorgaan')
    t.match(await page.getByRole('alert').innerText(), 'Die code klopt niet')
    await bob.press('Met een herstelcode')
    await page.getByLabel('Herstelcode').fill(codes[0] ?? '')
    await bob.press('Doorgaan')
    t.equal(await bob.heading(), 'Beveiliging')
    t.match(await bob.text(), 'Nog 9 codes')

    for (const name of ['Oude telefoon', 'Laptop']) {
      await bob.go('/app-passwords/new')
      await page.getByLabel('Voor welk apparaat').fill(name)
      await bob.press('Volgende')
      await bob.press('Klaar')
    }
    await bob.go('/app-passwords/new')
    await page.getByLabel('Voor welk apparaat').fill('iPad van Bob')
    await bob.press('Volgende')
    t.equal(await bob.heading(), 'Je hebt 3 app-wachtwoorden; meer kan niet', 'R8, R9')
    const names = await page.locator('.list .name').allInnerTexts()
    t.strictSame(names.toSorted(), ['Laptop', 'Oude telefoon', 'Scanner'], 'R9')
    await page.getByRole('link', { name: 'Verwijderen: Oude telefoon' }).click()
    t.equal(await bob.heading(), '‘Oude telefoon’ verwijderen?', 'R24: a page where there are no scripts')
    await bob.press('Verwijderen')
    t.match(await bob.text(), '‘Oude telefoon’ is verwijderd', 'R25')
    t.equal(await page.getByLabel('Voor welk apparaat').inputValue(), 'iPad van Bob', 'R9: the name is kept')
    await bob.press('Volgende')
    t.equal(await bob.heading(), 'App-wachtwoord voor iPad van Bob', 'R10: there is room at once')
    await bob.press('Klaar')
    t.match(await bob.text(), 'Je app-wachtwoord werkt vanaf nu', 'R17')

    await page.getByRole('link', { name: 'Melding sluiten' }).click()
    t.notMatch(await bob.text(), 'Je app-wachtwoord werkt vanaf nu', 'R25: closed without scripts')
    await bob.press('English')
    t.equal(await bob.heading(), 'Security info', 'R39: the language can be changed')
    await bob.go('/profile')
    await page.locator('select[name="language"]').selectOption('nl')
    await bob.press('Save')
    t.equal(await bob.heading(), 'Profiel')
    t.match(await app.code(), /^\d{6}$/)
  })

  t.test('by the keyboard alone: from the invitation to the copied password', async (t) => {
    const invitation = await house.invite('kim@example.org')
    await using kim = await house.person({ dark: true })
    const { page } = kim
    const keys = page.keyboard
    /** The page puts the focus here by itself, which may be a moment after it has loaded. */
    const given = (selector: string) => page.locator(`${selector}:focus`).waitFor()
    /** Tab until this has the focus, and see that it is shown to have it. */
    async function reach(name: string | RegExp): Promise<void> {
      for (let presses = 0; presses < 40; presses++) {
        await keys.press('Tab')
        const at = await page.evaluate<{
          name: string
          outline: string
        }>(`(({ labels, textContent }, { outlineStyle }) => ({
          name: (labels?.[0]?.textContent ?? textContent ?? '').trim(),
          outline: outlineStyle,
        }))(document.activeElement, getComputedStyle(document.activeElement))`)
        if (typeof name === 'string' ? at.name !== name : !name.test(at.name)) continue
        t.equal(at.outline, 'solid', `${name}: the focus is seen`)
        return
      }
      t.fail(`${name} can't be reached`)
    }
    const enter = async () => {
      const left = page.waitForEvent('load')
      await keys.press('Enter')
      await left
    }
    await kim.go(invitation)
    await keys.press('Tab')
    t.match(await page.evaluate<string>('document.activeElement.textContent'), 'Skip to the content')
    await reach('Start')
    await enter()
    await reach(/^Authenticator app/)
    await enter()
    const key = noteSecret((await page.locator('#key').innerText()).replace(/\s/g, ''))
    await reach('Code')
    await keys.type(await new AuthenticatorApp(key).code())
    await enter()
    for (const code of await page.locator('#codes code').allInnerTexts()) noteSecret(code)
    await reach('I have saved them')
    await keys.press('Space')
    await reach('Next')
    await enter()
    await given('input[name="password"]')
    await keys.type(PASSWORD)
    await reach('The same again')
    await keys.type(PASSWORD)
    await enter()
    await given('#name')
    await keys.type('Kim’s phone')
    await enter()
    const shown = noteSecret((await page.locator('#password').innerText()).trim())
    await reach('Copy')
    await keys.press('Enter')
    await page.getByText('✓ Copied').waitFor()
    await reach('Done')
    await enter()
    t.equal(await kim.heading(), 'Security info')
    t.notOk(await house.isRefused('kim@example.org', shown))
  })

  t.test('passkeys: enrolment, signing in with nothing else, and adding an app later', async (t) => {
    const user = 'pia@example.org'
    const invitation = await house.invite(user)
    await using pia = await house.person()
    const { page } = pia
    await givePasskeyDevice(pia)
    await pia.go(invitation)
    await pia.press('Start')
    await page.locator('a[href="/add/passkey"]').click()
    t.strictSame(await flaws(page), [])
    await page.getByLabel('Name').fill('Laptop')
    await page.getByRole('button', { name: 'Make a passkey' }).click()
    await page.locator('#codes').waitFor()
    for (const code of await page.locator('#codes code').allInnerTexts()) noteSecret(code)
    t.strictSame(await flaws(page), [])
    await page.getByLabel('I have saved them').check()
    await pia.press('Next')
    if ((await pia.heading()) === 'Choose a password') await choosePassword(pia)
    await page.locator('#name').fill('Phone')
    await pia.press('Next')
    noteSecret((await page.locator('#password').innerText()).trim())
    await pia.press('Done')
    t.match(await pia.text(), /Laptop\s+Passkey/)

    await pia.press('Sign out')
    await page.getByRole('button', { name: 'Sign in with a passkey' }).click()
    await page.getByRole('heading', { name: 'Security info' }).waitFor()
    t.pass('R33: a passkey with user verification is two steps in one')

    await pia.go('/add/authenticator')
    const app = new AuthenticatorApp(noteSecret((await page.locator('#key').innerText()).replace(/\s/g, '')))
    await page.getByLabel('Code', { exact: true }).fill('123')
    await pia.press('Confirm')
    t.match(await pia.text(), 'That code isn’t right')
    t.strictSame(await flaws(page), [])
    await page.getByLabel('Code', { exact: true }).fill(await app.code())
    await page.getByLabel('Name of this app').fill('Pixel')
    await pia.press('Confirm')
    t.match(await pia.text(), '“Pixel” is added')
    t.match(await pia.text(), /Pixel\s+Authenticator app/)
    await page.getByRole('link', { name: 'Delete Laptop' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click()
    await page.getByText('“Laptop” is deleted').waitFor()
    t.match(await pia.text(), 'To replace this, add another one first', 'the last one stays')
  })

  t.test('help: who needs one, where they are, and how programs are set up (R34, R35, M4)', async (t) => {
    await using cas = await house.person({ width: 360 })
    const { page } = cas
    await cas.go('/help')
    t.match(await cas.text(), /Which of my programs need an app password\?/, 'R34')
    t.match(await cas.text(), /Programs that open your organisation’s sign-in page/, 'R35')
    t.strictSame(await flaws(page), [])
    await cas.press('Outlook 2010 to 2016')
    const { ports } = house.gate
    t.match(await cas.text(), new RegExp(`Server\\s+localhost\\s+Port\\s+${ports.imaps}\\s+Encryption\\s+SSL/TLS`))
    t.strictSame(await flaws(page), [])
  })

  t.test('nothing of ours was a bug', async (t) => {
    t.strictSame(house.gate.lines('bug'), [])
  })
}

function disposable<T extends { close(): void }>(imap: T): { readonly imap: T } & AsyncDisposable {
  return { imap, [Symbol.asyncDispose]: async () => imap.close() }
}
