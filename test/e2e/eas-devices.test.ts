/** Devices of ActiveSync under attack (M6): a whole server with two https ports, SOGo behind, and whoever holds a right app password. */

import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { PING_OVER } from '../../src/edge/eas/replies.ts'
import type { Asked, PhoneHouse } from '../support/active-sync.ts'
import { FOLDERS, ping, plainQuery as plain, startPhoneHouse, USER } from '../support/active-sync.ts'
import { startDovecot } from '../support/dovecot.ts'
import { requireService } from '../support/services.ts'
import { startSogo } from '../support/sogo.ts'

// A server for each policy, on a machine that may be busy.
t.setTimeout(240_000)

const COMMANDS = ['FolderSync', 'Sync', 'Ping', 'Provision', 'SendMail', 'GetItemEstimate', 'Settings', 'Search']

interface DeviceLine {
  readonly id: string
  readonly state: string
}

/** The query in base64. `tail`: bytes behind the fields. */
function base64(device: Buffer, { command = 9, tail = Buffer.alloc(0) as Uint8Array } = {}): string {
  const type = Buffer.from('iPhone')
  const head = Buffer.of(141, command, 9, 4, device.length)
  return Buffer.concat([head, device, Buffer.of(0, type.length), type, tail]).toString('base64')
}

const isHere = requireService(t, 'sogo', 'postgresql', 'nginx', 'dovecot')
const dovecot = isHere ? await startDovecot() : null
const sogo = dovecot ? await startSogo(dovecot) : null
t.teardown(async () => {
  await sogo?.[Symbol.asyncDispose]()
  await dovecot?.[Symbol.asyncDispose]()
})

/** Runs `work` on a server with this `eas` section. */
async function withServer(eas: object, work: (house: Awaited<ReturnType<typeof setUp>>) => Promise<void>) {
  if (dovecot === null || sogo === null) return
  const house = await startPhoneHouse(sogo.url, dovecot.users[USER] ?? '', {
    httpsPorts: 2,
    settings: { eas, limits: { perUser: 200 } },
  })
  await using _ = house.sallyport
  await work(await setUp(house))
}

async function setUp({ sallyport, phone: phoneWith, waiting: polls }: PhoneHouse) {
  const phone = await sallyport.createAppPassword(USER, 'phone')
  const tablet = await sallyport.createAppPassword(USER, 'tablet')
  const ask = (
    query: string | null,
    { password = phone.password, port = 0 as 0 | 1, ...asked }: Asked & { password?: string; port?: 0 | 1 } = {},
  ) =>
    phoneWith(password, port).ask({
      body: asked.method === 'OPTIONS' ? '' : FOLDERS,
      ...asked,
      query: query ?? undefined,
    })
  const status = async (...asked: Parameters<typeof ask>) => (await ask(...asked)).status
  const device = <T>(what: string, id: string) => sallyport.json<T>(['device', what, id, '--user', USER])
  const list = () => sallyport.json<DeviceLine[]>(['device', 'list', '--user', USER])
  const inState = (state: string) => sallyport.json<DeviceLine[]>(['device', 'list', '--state', state])
  return { ask, status, device, list, inState, polls, phone, tablet }
}

t.test(
  'M6: whatever a device calls itself, in either form, it is one device or none, and a block finds it',
  async (t) => {
    await withServer({ devicesPerUser: 20 }, async ({ ask, status, device, list, polls }) => {
      const raw = Buffer.from('60ea38351221ca635e954e99ee31d300', 'hex')
      t.equal(await status(base64(raw)), 200)
      t.equal(await status(plain('FolderSync', raw.toString('hex').toUpperCase()), { port: 1 }), 200)
      t.equal(await status(plain('FolderSync', 'PHONE1')), 200)
      t.equal(await status(base64(Buffer.from('phone1'))), 200)
      const longest = Buffer.alloc(64, 0x9f)
      t.equal(await status(base64(longest)), 200)
      const odd = `x~!'()*"`
      t.equal(await status(plain('FolderSync', encodeURIComponent(odd))), 200)
      const known = [raw.toString('hex'), 'phone1', longest.toString('hex'), odd]
      t.strictSame((await list()).map(({ id }) => id).sort(), known.toSorted(), 'case and form make no other device')

      for (const [query, why] of [
        [plain('FolderSync', ''), 'an empty id'],
        ['Cmd=FolderSync&User=ann', 'no id'],
        [plain('FolderSync', 'a%20b'), 'a blank'],
        [plain('FolderSync', '%C3%A9'), 'not ASCII'],
        [plain('FolderSync', 'a%00b'), 'a NUL'],
        [plain('FolderSync', 'x'.repeat(65)), 'too long'],
        [`${plain('FolderSync', 'one')}&deviceid=two`, 'two ids'],
        [base64(Buffer.alloc(0)), 'an empty id, in base64'],
        [base64(Buffer.alloc(65, 0x41)), 'too long, in base64'],
        [base64(Buffer.from('phone1'), { tail: Buffer.of(9, 1, 1) }), 'a tag that there is not'],
        [base64(Buffer.from('phone1'), { tail: Buffer.of(8, 200, 1) }), 'a field longer than what is left'],
        [base64(Buffer.from('phone1'), { tail: Buffer.of(8, 1, 97, 8, 1, 98) }), 'two users'],
        [base64(Buffer.from('phone1'), { tail: Buffer.of(7) }), 'half a field'],
        [`${base64(Buffer.from('phone1'))}!`, 'something behind base64'],
      ] as const) {
        t.equal(await status(query), 400, why)
      }
      t.strictSame((await list()).map(({ id }) => id).sort(), known.toSorted(), 'what is refused is no device')

      for (const [id, forms] of [
        [raw.toString('hex'), [base64(raw), plain('FolderSync', raw.toString('hex')), base64(raw, { command: 1 })]],
        [longest.toString('hex'), [base64(longest)]],
        [odd, [plain('Sync', encodeURIComponent(odd)), base64(Buffer.from(odd))]],
      ] as const) {
        t.match(await device('block', id.toUpperCase()), { device: { id, state: 'blocked' } })
        for (const form of forms) for (const port of [0, 1] as const) t.equal(await status(form, { port }), 403, form)
      }

      const folders = await ask(plain('FolderSync', 'phone1'))
      const inbox = /\x03(mail%2f[^\0]+)\0\x01\x49\x030\0\x01\x47\x03INBOX/i.exec(folders.body.toString('latin1'))?.[1]
      await t.test('M2: polls that wait while their device is blocked and let in', async (t) => {
        for (const [port, other] of [
          [0, 1],
          [1, 0],
          [0, 0],
        ] as const) {
          const poll = ask(plain('Ping', 'phone1'), { body: ping(120, inbox ?? ''), port })
          const since = performance.now()
          while ((await polls()) === 0 && performance.now() - since < 20_000) await delay(50)
          // SOGo itself ends a poll when the same device begins another.
          const racing = ask(plain('Ping', 'phone1'), { body: ping(120, inbox ?? ''), port: other })
          const blocked = await device<{ sessionsEnded: number }>('block', 'phone1')
          t.ok(blocked.sessionsEnded >= 1, `${blocked.sessionsEnded} ended`)
          t.strictSame((await poll).body, PING_OVER)
          const late = await racing
          t.ok(late.status === 403 || late.body.equals(PING_OVER), 'one that comes meanwhile is refused or ended')
          t.equal(await polls(), 0, 'no survivor')
          await device('allow', 'phone1')
          t.equal(await status(plain('FolderSync', 'phone1')), 200)
        }
      })
    })
  },
)

t.test(
  'M6: a device that waits gets nothing, by whatever command; a thousand names are no way around it',
  async (t) => {
    await withServer({ quarantine: true, devicesPerUser: 5 }, async ({ status, device, list, inState }) => {
      for (const command of COMMANDS) t.equal(await status(plain(command, 'new1')), 403, command)
      for (let command = 0; command < 24; command++)
        t.equal(await status(base64(Buffer.from('new1'), { command })), 403, `command ${command}`)
      t.equal(await status(plain('OPTIONS', 'new1'), { method: 'OPTIONS' }), 403, 'OPTIONS that says who it is')
      t.equal(await status(null, { method: 'OPTIONS' }), 200, 'and one that does not learns what the server speaks')
      t.equal(await status(null), 400, 'no command comes without a device')
      t.strictSame(
        (await list()).map(({ id, state }) => `${id} ${state}`),
        ['new1 waiting'],
      )
      t.match(await inState('waiting'), [{ id: 'new1', user: USER }], 'an administrator finds it without a name')
      t.strictSame(await inState('allowed'), [])
      for (let from = 0; from < 1000; from += 20) {
        const all = Array.from({ length: 20 }, (_, i) =>
          status(plain('Sync', `flood${from + i}`), { port: i % 2 === 0 ? 0 : 1 }),
        )
        const bad = (await Promise.all(all)).filter((each) => each !== 403)
        if (bad.length > 0) t.fail(`answers ${bad}`)
      }
      t.equal((await list()).length, 5, 'bounded')
      await device('allow', 'new1')
      t.equal(await status(plain('FolderSync', 'new1')), 200)
      for (const { id } of await list()) if (id !== 'new1') await device('forget', id)
      t.equal((await list()).length, 1)
    })
  },
)

t.test('M6: a bound app password stays with its device, however many ask at once', async (t) => {
  await withServer({ bindAppPassword: true }, async ({ status, list, phone, tablet, device }) => {
    const asked = Array.from({ length: 20 }, (_, i) =>
      status(plain('FolderSync', `race${i}`), { port: i % 2 === 0 ? 0 : 1 }),
    )
    t.equal((await Promise.all(asked)).filter((each) => each === 200).length, 1, 'one was first')
    const [{ id: mine } = { id: '' }, ...others] = await list()
    t.strictSame(others, [])
    t.equal(await status(plain('FolderSync', 'second'), { password: tablet.password }), 200)
    for (const id of ['second', 'third', 'phone1'])
      t.equal(await status(plain('FolderSync', id), { password: phone.password }), 403, `as ${id}`)
    t.equal(await status(base64(Buffer.from(mine)), { password: phone.password }), 200, 'its own, in the other form')
    t.equal(await status(plain('FolderSync', mine), { password: tablet.password }), 403)
    await device('block', mine)
    t.equal(
      await status(plain('FolderSync', 'fourth'), { password: phone.password }),
      403,
      'a block does not set it free',
    )
    t.equal(await status(plain('FolderSync', mine), { password: phone.password }), 403)
  })
})
