import { once } from 'node:events'
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { request as askPlainly } from 'node:http'
import { request } from 'node:https'
import t from 'tap'
import { PING_OVER } from '../../src/edge/eas/replies.ts'
import { startDovecot } from '../support/dovecot.ts'
import { freePort } from '../support/ports.ts'
import { startSallyport } from '../support/sallyport.ts'
import { requireService } from '../support/services.ts'
import { startSogo } from '../support/sogo.ts'

const USER = 'ann@example.org'
const PATH = '/Microsoft-Server-ActiveSync'
const WBXML = 'application/vnd.ms-sync.wbxml'

interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}
interface Asked {
  readonly method?: string
  readonly query?: string
  readonly body?: Buffer
  readonly headers?: Readonly<Record<string, string>>
}
type Client = (asked: Asked) => Promise<Answer>

/** A client of ActiveSync: documents in, documents out. */
function client(options: object, isTls: boolean, user: string, password: string): Client {
  return async ({ method = 'POST', query, body, headers = {} }) => {
    const asked = (isTls ? request : askPlainly)({
      ...options,
      agent: false,
      method,
      path: query === undefined ? PATH : `${PATH}?${query}`,
      headers: {
        authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
        'user-agent': 'Apple-iPhone12C1/1808.123',
        'ms-asprotocolversion': '14.1',
        ...(method === 'POST' && { 'content-type': WBXML }),
        ...headers,
      },
    })
    asked.end(body)
    const [response] = (await once(asked, 'response')) as [IncomingMessage]
    const parts: Buffer[] = []
    for await (const part of response) parts.push(part as Buffer)
    return { status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(parts) }
  }
}

const plain = (command: string, device: string) => `Cmd=${command}&User=${USER}&DeviceId=${device}&DeviceType=iPhone`
/** <FolderSync><SyncKey>0</SyncKey></FolderSync> */
const FOLDERS = Buffer.from('03016a00000756520330000101', 'hex')

/** <Sync><Collections><Collection><SyncKey/><CollectionId/>…: page 0, with a window when the key is not 0. */
function sync(key: string, folder: string): Buffer {
  const text = (token: number, value: string) =>
    Buffer.concat([Buffer.of(token | 0x40, 0x03), Buffer.from(value), Buffer.of(0, 1)])
  return Buffer.concat([
    Buffer.from('03016a000000', 'hex'),
    Buffer.of(0x45, 0x5c, 0x4f),
    text(0x0b, key),
    text(0x12, folder),
    ...(key === '0' ? [] : [Buffer.of(0x13), text(0x15, '10')]),
    Buffer.of(1, 1, 1),
  ])
}

/** <Ping><HeartbeatInterval>…</HeartbeatInterval><Folders><Folder><Id/><Class>Email</Class>…: page 13. */
function ping(seconds: number, folder: string): Buffer {
  const text = (token: number, value: string) =>
    Buffer.concat([Buffer.of(token | 0x40, 0x03), Buffer.from(value), Buffer.of(0, 1)])
  return Buffer.concat([
    Buffer.from('03016a00000d', 'hex'),
    Buffer.of(0x45),
    text(0x08, String(seconds)),
    Buffer.of(0x49, 0x4a),
    text(0x0b, folder),
    text(0x0d, 'Email'),
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

t.test('M6: a scripted client and SOGo agree byte for byte, with and without us between them', async (t) => {
  if (!requireService(t, 'sogo', 'postgresql', 'nginx', 'dovecot')) return
  await using dovecot = await startDovecot()
  const mailbox = dovecot.users[USER] ?? ''
  await using sogo = await startSogo(dovecot)
  const https = await freePort()
  const http = await freePort()
  await using sallyport = await startSallyport({
    upstreams: { main: { eas: { url: sogo.url }, identity: { method: 'stored-secret' } } },
    workers: 1,
    ports: { http },
    settings: {
      listeners: [
        { protocol: 'https', bind: '127.0.0.1', port: https, serves: ['eas'] },
        { protocol: 'http', bind: '127.0.0.1', port: http, serves: ['health', 'metrics'] },
      ],
      log: { level: 'info' },
    },
  })
  await sallyport.addUser(USER)
  await sallyport.json(['secret', 'set', '--user', USER, '--upstream', 'main'], mailbox)
  const phone = await sallyport.createAppPassword(USER, 'phone')
  const through = client({ host: '127.0.0.1', port: https, ...sallyport.tls }, true, USER, phone.password)
  const straight = client({ host: '127.0.0.1', port: sogo.port }, false, USER, mailbox)
  /** Asks twice: SOGo answers the very first request of a user or device differently. */
  const same = async (asked: Asked, why: string): Promise<Answer> => {
    await straight(asked)
    const direct = await straight(asked)
    const ours = await through(asked)
    t.strictSame(comparable(ours), comparable(direct), why)
    return ours
  }

  const options = await same({ method: 'OPTIONS' }, 'OPTIONS')
  t.match(options.headers['ms-asprotocolversions'], /14\.1/)
  const folders = await same({ query: plain('FolderSync', 'phone1'), body: FOLDERS }, 'FolderSync')
  t.equal(folders.status, 200)
  const inbox =
    /\x03(mail%2f[^\0]+)\0\x01\x49\x030\0\x01\x47\x03INBOX/i.exec(folders.body.toString('latin1'))?.[1] ?? ''
  t.not(inbox, '', 'the inbox has an id')
  await same({ query: plain('Settings', 'phone1'), body: Buffer.from('03016a000012455d47010101', 'hex') }, 'Settings')
  await same({ query: plain('Sync', 'phone1'), body: sync('0', inbox) }, 'Sync 0')
  await same(
    {
      query: Buffer.concat([Buffer.of(141, 9, 9, 4, 6), Buffer.from('phone1'), Buffer.of(0, 6), Buffer.from('iPhone')])
        .toString('base64')
        .replace(/=+$/, (padding) => padding),
      body: FOLDERS,
    },
    'FolderSync, in base64',
  )
  await same({ query: plain('Ping', 'phone1') }, 'an empty Ping')

  const waiting = through({ query: plain('Ping', 'phone1'), body: ping(60, inbox) })
  const since = performance.now()
  for (;;) {
    const sessions = await sallyport.json<unknown[]>(['session', 'list', '--user', USER])
    if (sessions.length > 0) break
    if (performance.now() - since > 20_000) throw new Error('no poll is waiting')
  }
  const { sessionsEnded } = await sallyport.json<{ sessionsEnded: number }>(['app-password', 'delete', phone.id])
  t.equal(sessionsEnded, 1, 'M2: deleting the app password ends the waiting poll')
  const over = await waiting
  t.equal(over.status, 200)
  t.strictSame(over.body, PING_OVER, 'and answers it, so that the phone asks again')
  const next = await through({ query: plain('Ping', 'phone1'), body: ping(60, inbox) })
  t.equal(next.status, 401, 'and then hears why')

  const devices = await sallyport.json<{ id: string; type: string }[]>(['device', 'list', '--user', USER])
  t.match(devices, [{ id: 'phone1', type: 'iPhone', state: 'allowed', protocolVersion: '14.1' }])
  t.notOk(sallyport.log().includes(mailbox) || dovecot.log().includes(phone.letters), 'each secret stays on its side')
})
