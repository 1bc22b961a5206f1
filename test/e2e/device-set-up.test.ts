/**
 * Setting up an iPhone by one scan (M10), in real browsers on the whole product: the link on a desk, the page and the profile on
 * the phone, a login with what is in it, and "it wasn't me".
 */

import { readFileSync } from 'node:fs'
import t from 'tap'
import { at, objections, parsePlist } from '../keeper/set-up/apple.ts'
import { flaws } from '../support/browser.ts'
import { noteSecret } from '../support/secrets.ts'
import { requireService } from '../support/services.ts'
import { enrol, openPortal } from './portal-house.ts'

const ANN = 'ann@example.org'

t.setTimeout(240_000)

t.test('one scan: a link, a profile, a login, and its end', async (t) => {
  if (!requireService(t, 'chromium') || !requireService(t, 'dovecot')) return
  await using house = await openPortal({
    users: [ANN],
    // Submission is on another machine here.
    settings: { clientSetup: { host: 'localhost', smtp: [{ port: 465, tls: 'implicit' }] } },
  })
  await using ann = await house.person()
  await enrol(ann, await house.invite(ANN, ['--name', 'Ann']), 'laptop')

  await ann.press('Add method')
  t.strictSame(await flaws(ann.page), [])
  await ann.page.locator('a[href="/set-up"]').click()
  t.equal(await ann.heading(), 'Set up an iPhone, iPad or Mac')
  t.strictSame(await flaws(ann.page), [])
  await ann.page.getByLabel('Which device').fill('iPhone')
  await ann.press('Make the link')
  t.equal(await ann.page.locator('svg.qr').count(), 1)
  t.strictSame(await flaws(ann.page), [])
  const url = noteSecret((await ann.page.locator('#link').innerText()).trim())
  t.ok(url.startsWith(`${house.url}/set-up/`))
  const token = noteSecret(url.slice(url.lastIndexOf('/') + 1))
  const path = `/set-up/${token}`

  await using phone = await house.person({ language: 'nl', width: 390, scripts: false })
  for (let i = 0; i < 2; i++) {
    await phone.go(path)
    t.equal(await phone.heading(), 'E-mail instellen op dit apparaat', 'looking uses nothing up; R39')
  }
  t.equal(
    (await house.gate.json<unknown[]>(['app-password', 'list', '--user', ANN])).length,
    1,
    'nothing is made before',
  )
  const [download] = await Promise.all([
    phone.page.waitForEvent('download'),
    phone.page.getByRole('button', { name: 'Dit apparaat instellen' }).click(),
  ])
  t.equal(download.suggestedFilename(), 'mail.mobileconfig')
  const profile = parsePlist(readFileSync(await download.path(), 'utf8'))
  t.strictSame(objections(profile), [], 'what Apple documents')
  const [payload] = at(profile, 'PayloadContent') as readonly Record<string, string | number>[]
  const password = noteSecret(String(payload?.IncomingPassword))
  t.match(payload, {
    EmailAddress: ANN,
    IncomingMailServerHostName: 'localhost',
    IncomingMailServerPortNumber: house.gate.ports.imaps,
    OutgoingMailServerPortNumber: 465,
  })
  t.match(at(profile, 'PayloadDescription'), 'app-wachtwoord')

  const imap = await house.imap(ANN, password)
  t.ok(imap.usable, 'what is in the profile logs in')
  const closed = new Promise<void>((done) => imap.once('close', () => done()))
  await phone.go(path)
  t.equal(await phone.heading(), 'Deze link werkt niet meer', 'useless afterwards')

  await ann.go('/')
  const told = await ann.text()
  t.match(told, /A set-up link was used: iPhone now has an app password/)
  t.match(told, /from 127\.0\.0\.1\. Was that you\?/)
  t.match(told, /iPhone[\s\S]*Only for IMAP/, 'M9')
  await ann.go('/set-up')
  t.match(await ann.text(), /iPhone\s+Used just now|iPhone\s+Used now/i)
  t.strictSame(await flaws(ann.page), [])
  await ann.go('/')
  await ann.press('It wasn’t me: delete it')
  await ann.press('Delete')
  await closed
  t.match(await ann.text(), '“iPhone” is deleted. 1 open connection was ended.')
  t.ok(await house.isRefused(ANN, password), 'M2')

  t.notMatch(house.gate.log(), token, 'J2: never with its token')
  t.same(house.gate.lines('bug'), [])
})
