/** Phones that come by ActiveSync, in the portal (M6): seen, blocked, let in and forgotten, in a browser on the whole product. */

import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { createServer } from 'node:http'
import { request } from 'node:https'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { flaws } from '../support/browser.ts'
import { freePort } from '../support/ports.ts'
import { requireService } from '../support/services.ts'
import { enrol, openPortal } from './portal-house.ts'

if (requireService(t, 'chromium') && requireService(t, 'dovecot')) {
  // An upstream that answers everything but a Ping.
  let waiting: () => void = () => {}
  const upstream = createServer({ requestTimeout: 0 }, (incoming, response) => {
    incoming.resume()
    if (incoming.url?.includes('Cmd=Ping')) waiting()
    else response.end()
  }).listen(0, '127.0.0.1')
  await once(upstream, 'listening')
  const easPort = await freePort()
  const house = await openPortal({
    users: ['ann', 'bob', 'boss'].map((name) => `${name}@example.org`),
    activeSync: { url: `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`, port: easPort },
  })
  t.teardown(async () => {
    await house[Symbol.asyncDispose]()
    upstream.closeAllConnections()
    upstream.close()
  })

  function ask(user: string, password: string, command: string, device = 'PHONE1') {
    const asked = request({
      host: '127.0.0.1',
      port: easPort,
      method: 'POST',
      path: `/Microsoft-Server-ActiveSync?Cmd=${command}&User=x&DeviceId=${device}&DeviceType=iPhone`,
      ...house.gate.tls,
      agent: false,
      headers: { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` },
    })
    asked.end('x')
    return asked
  }
  async function status(asked: ReturnType<typeof ask>): Promise<number | undefined> {
    const [response] = (await once(asked, 'response')) as [IncomingMessage]
    response.resume()
    await once(response, 'end')
    return response.statusCode
  }

  t.test('M6, M2: blocked in a dialog while it waits for mail, let in, forgotten', async (t) => {
    const user = 'ann@example.org'
    await using ann = await house.person()
    const { page } = ann
    const { appPassword } = await enrol(ann, await house.invite(user), 'iPhone')
    await ann.go('/sessions')
    t.notMatch(await ann.text(), 'Phones and tablets', 'nothing where there are none')
    t.equal(await status(ask(user, appPassword, 'Sync')), 200)
    const held = new Promise<void>((done) => {
      waiting = done
    })
    const poll = status(ask(user, appPassword, 'Ping'))
    await held

    await page.reload()
    t.match(await ann.text(), /Phones and tablets[\s\S]*iPhone Let in[\s\S]*device phone1[\s\S]*from 127\.0\.0\.1/)
    t.strictSame(await flaws(page), [])
    await page.getByRole('link', { name: 'Block iPhone' }).click()
    const dialog = page.getByRole('dialog')
    t.match(await dialog.innerText(), /Block iPhone\?[\s\S]*let it in again/)
    t.strictSame(await flaws(page), [])
    await dialog.getByRole('button', { name: 'Block' }).click()
    await page.getByText('iPhone is blocked. 1 open connection was ended.').waitFor()
    await poll
    t.equal(await status(ask(user, appPassword, 'Sync')), 403)
    t.equal(await status(ask(user, appPassword, 'Sync', 'PHONE2')), 200, 'another goes on')
    await page.getByRole('button', { name: 'Let in iPhone' }).click()
    await page.getByText('iPhone is let in from now on.').waitFor()
    t.equal(await status(ask(user, appPassword, 'Sync')), 200)
    await page.getByRole('link', { name: 'Forget iPhone' }).first().click()
    await dialog.getByRole('button', { name: 'Forget' }).click()
    await page.getByText('iPhone is forgotten.').waitFor()
    t.equal(await page.getByRole('link', { name: 'Forget iPhone' }).count(), 1)
  })

  t.test('in Dutch, on a phone, without scripts; then by an administrator', async (t) => {
    const user = 'bob@example.org'
    await using bob = await house.person({ language: 'nl', width: 360, scripts: false })
    const { appPassword } = await enrol(bob, await house.invite(user), 'iPhone', 'nl')
    t.equal(await status(ask(user, appPassword, 'Sync')), 200)
    await bob.go('/sessions')
    await bob.page.getByRole('link', { name: 'Blokkeren: iPhone' }).click()
    t.equal(await bob.heading(), 'iPhone blokkeren?')
    await bob.press('Blokkeren')
    t.match(await bob.text(), 'iPhone is geblokkeerd. Er waren geen open verbindingen.')
    t.equal(await status(ask(user, appPassword, 'Sync')), 403)

    await using boss = await house.person({ width: 1100 })
    await enrol(boss, await house.invite('boss@example.org', ['--admin']), 'Laptop')
    await boss.go('/admin/users/bob%40example.org')
    t.match(await boss.text(), /Phones and tablets[\s\S]*iPhone Blocked/)
    t.strictSame(await flaws(boss.page), [])
    await boss.page.getByRole('button', { name: 'Let in iPhone' }).click()
    await boss.page.getByText('iPhone is let in from now on.').waitFor()
    t.equal(await status(ask(user, appPassword, 'Sync')), 200)
    await boss.page.getByRole('link', { name: 'Block iPhone' }).click()
    t.equal(await boss.heading(), 'Block iPhone?')
    await bob.go('/sessions')
    await boss.press('Block')
    t.match(await boss.text(), 'iPhone is blocked.')
    t.equal(await status(ask(user, appPassword, 'Sync')), 403)
    await bob.page.getByRole('link', { name: 'Vergeten: iPhone' }).click()
    await bob.press('Vergeten')
    t.match(await bob.text(), 'Alleen een beheerder kan dat apparaat toelaten.', 'a page of before changes nothing')
    t.match(await bob.text(), /iPhone Geblokkeerd door een beheerder/)
    t.equal(await bob.page.getByRole('link', { name: 'Vergeten: iPhone' }).count(), 0)
    t.equal(await bob.page.getByRole('button', { name: 'Toelaten: iPhone' }).count(), 0)
    await bob.go('/security-info')
    t.match(await bob.text(), 'Een beheerder heeft een telefoon of tablet van je geblokkeerd: iPhone')
    t.equal(await status(ask(user, appPassword, 'Sync')), 403)
    await boss.go('/admin/audit?user=bob%40example.org')
    t.match(await boss.text(), /device_blocked\s+device: phone1[\s\S]*device_allowed\s+device: phone1/)
    await bob.go('/admin/users/bob%40example.org/devices/phone1/block')
    t.equal(await bob.heading(), 'Hier is niets te vinden', 'for others there is no such page')
    await bob.go('/sessions/devices/phone2/block')
    t.equal(await bob.heading(), 'Hier is niets te vinden', 'H7: ann’s')

    // New ones wait from now on, and an administrator finds them without knowing whose they are.
    const { gate } = house
    const written = JSON.parse(readFileSync(gate.configFile, 'utf8')) as object
    writeFileSync(gate.configFile, JSON.stringify({ ...written, eas: { quarantine: true } }))
    const mark = gate.mark()
    process.kill(gate.pid, 'SIGHUP')
    await gate.waitForLog('config_reloaded', undefined, mark)
    for (const device of ['TABLET1', 'TABLET2']) t.equal(await status(ask(user, appPassword, 'Sync', device)), 403)
    await boss.go('/admin')
    await boss.page.getByRole('link', { name: 'Devices that wait' }).click()
    t.equal(await boss.heading(), 'Devices that wait')
    t.match(await boss.text(), /iPhone Waiting\s+bob@example\.org[\s\S]*device tablet1[\s\S]*device tablet2/)
    t.strictSame(await flaws(boss.page), [])
    const letIn = boss.page.getByRole('button', { name: 'Let in iPhone of bob@example.org' })
    t.equal(await letIn.count(), 2)
    await letIn.first().focus()
    await boss.page.keyboard.press('Enter')
    await boss.page.getByText('iPhone is let in from now on.').waitFor()
    t.equal(await boss.heading(), 'Devices that wait')
    t.equal(await letIn.count(), 1)
    t.equal(await status(ask(user, appPassword, 'Sync', 'TABLET1')), 200)
    await boss.page.getByRole('link', { name: 'Block iPhone of bob@example.org' }).click()
    t.equal(await boss.heading(), 'Block iPhone?')
    await boss.press('Block')
    await boss.page.getByText('No device waits.').waitFor()
    t.match(await boss.text(), 'iPhone is blocked.')
    t.equal(await status(ask(user, appPassword, 'Sync', 'TABLET2')), 403)
    await bob.go('/admin/devices')
    t.equal(await bob.heading(), 'Hier is niets te vinden')
  })
}
