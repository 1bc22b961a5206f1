import t from 'tap'
import { PING_OVER } from '../../src/edge/eas/replies.ts'
import type { Answer, Asked } from '../support/active-sync.ts'
import { element, FOLDERS, phoneOf, ping, plainQuery, startPhoneHouse, USER } from '../support/active-sync.ts'
import { startDovecot } from '../support/dovecot.ts'
import { loggedIn, succeed } from '../support/imap.ts'
import { masterPasswordFile, upstreamOf } from '../support/sallyport.ts'
import { requireService } from '../support/services.ts'
import { startSogo } from '../support/sogo.ts'

/** <Sync><Collections><Collection><SyncKey/><CollectionId/>…: page 0, with a window when the key is not 0. */
function sync(key: string, folder: string): Buffer {
  return Buffer.concat([
    Buffer.from('03016a000000', 'hex'),
    Buffer.of(0x45, 0x5c, 0x4f),
    element(0x0b, key),
    element(0x12, folder),
    ...(key === '0' ? [] : [Buffer.of(0x13), element(0x15, '10')]),
    Buffer.of(1, 1, 1),
  ])
}

/** What SOGo itself makes anew for each request. */
const CHANGES: ReadonlySet<string> = new Set([
  'date',
  'connection',
  'keep-alive',
  'content-length',
  'transfer-encoding',
])
const OURS: ReadonlySet<string> = new Set(['x-content-type-options', 'content-security-policy', 'content-disposition'])

function comparable({ status, headers, body }: Answer) {
  const kept = Object.entries(headers).filter(([name]) => !CHANGES.has(name) && !OURS.has(name))
  // A folder that SOGo makes up anew for each answer.
  const text = body.toString('latin1').replace(/vm_[0-9a-f]+_[0-9a-f]+_[0-9a-f]+/g, 'vm')
  return { status, headers: Object.fromEntries(kept), body: Buffer.from(text, 'latin1').toString('hex') }
}

t.test(
  'M6: a scripted client and SOGo agree byte for byte, with and without us between them, IMAP by another way',
  async (t) => {
    if (!requireService(t, 'sogo', 'postgresql', 'nginx', 'dovecot')) return
    await using dovecot = await startDovecot()
    const mailbox = dovecot.users[USER] ?? ''
    await using sogo = await startSogo(dovecot)
    const house = await startPhoneHouse(sogo.url, mailbox, {
      settings: { log: { level: 'info' } },
      mail: upstreamOf(dovecot, masterPasswordFile(dovecot)),
    })
    await using sallyport = house.sallyport
    const phone = await sallyport.createAppPassword(USER, 'phone')
    const through = house.phone(phone.password)
    const straight = phoneOf({ port: sogo.port }, mailbox)
    /** Asks twice: SOGo answers the very first request of a user or device differently. */
    const same = async (asked: Asked, why: string): Promise<Answer> => {
      await straight.ask(asked)
      const direct = await straight.ask(asked)
      const ours = await through.ask(asked)
      t.strictSame(comparable(ours), comparable(direct), why)
      return ours
    }

    const options = await same({ method: 'OPTIONS' }, 'OPTIONS')
    t.match(options.headers['ms-asprotocolversions'], /14\.1/)
    const folders = await same({ query: plainQuery('FolderSync', 'phone1'), body: FOLDERS }, 'FolderSync')
    t.equal(folders.status, 200)
    const inbox =
      /\x03(mail%2f[^\0]+)\0\x01\x49\x030\0\x01\x47\x03INBOX/i.exec(folders.body.toString('latin1'))?.[1] ?? ''
    t.not(inbox, '', 'the inbox has an id')
    await same(
      { query: plainQuery('Settings', 'phone1'), body: Buffer.from('03016a000012455d47010101', 'hex') },
      'Settings',
    )
    await same({ query: plainQuery('Sync', 'phone1'), body: sync('0', inbox) }, 'Sync 0')
    await same(
      {
        query: Buffer.concat([
          Buffer.of(141, 9, 9, 4, 6),
          Buffer.from('phone1'),
          Buffer.of(0, 6),
          Buffer.from('iPhone'),
        ])
          .toString('base64')
          .replace(/=+$/, (padding) => padding),
        body: FOLDERS,
      },
      'FolderSync, in base64',
    )
    await same({ query: plainQuery('Ping', 'phone1') }, 'an empty Ping')

    const waiting = through.ask({ query: plainQuery('Ping', 'phone1'), body: ping(60, inbox) })
    const since = performance.now()
    while ((await house.waiting()) === 0) {
      if (performance.now() - since > 20_000) throw new Error('no poll is waiting')
    }
    const { sessionsEnded } = await sallyport.json<{ sessionsEnded: number }>(['app-password', 'delete', phone.id])
    t.equal(sessionsEnded, 1, 'M2: deleting the app password ends the waiting poll')
    const over = await waiting
    t.equal(over.status, 200)
    t.strictSame(over.body, PING_OVER, 'and answers it, so that the phone asks again')
    const next = await through.ask({ query: plainQuery('Ping', 'phone1'), body: ping(60, inbox) })
    t.equal(next.status, 401, 'and then hears why')

    const devices = await sallyport.json<{ id: string; type: string }[]>(['device', 'list', '--user', USER])
    t.match(devices, [{ id: 'phone1', type: 'iPhone', state: 'allowed', protocolVersion: '14.1' }])

    const { user: master, password: masterPassword } = dovecot.master
    t.notMatch(dovecot.log(), `${USER}*${master}`, 'ActiveSync went by the secret that is stored for her')
    const computer = await sallyport.createAppPassword(USER, 'computer')
    using reader = await loggedIn(sallyport, USER, computer.password)
    await succeed(reader, '2', 'SELECT INBOX')
    await dovecot.waitForLog(new RegExp(RegExp.escape(`${USER}*${master}`)))
    t.pass('and IMAP goes by the master user')
    t.notOk(sogo.log().includes(masterPassword), 'of whom SOGo never hears')
    for (const { letters } of [phone, computer])
      t.notOk(dovecot.log().includes(letters), 'each secret stays on its side')
    t.notOk(sallyport.log().includes(mailbox))
  },
)
