import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import t from 'tap'
import type { EasQuery } from '../../../src/edge/eas/query.ts'
import { parseEasQuery } from '../../../src/edge/eas/query.ts'
import { isRefusal, targetOf } from '../../../src/edge/http/request.ts'
import { localPath, paths } from '../../../src/web/portal/paths.ts'

const FIXTURES = resolve(import.meta.dirname, '../../../../shared/eas-fixtures/public-hex/base64-queries.json')

function read(query: string): EasQuery {
  const parsed = parseEasQuery(query)
  if (!parsed.ok) throw new Error(`${parsed.why}: ${query}`)
  return parsed.query
}

/** A query in base64, from its parts. */
function base64(parts: {
  version?: number
  command?: number
  device?: Buffer
  key?: Buffer
  type?: string
  parameters?: readonly (readonly [number, string])[]
}): string {
  const { version = 141, command = 0, device = Buffer.from('PHONE1'), key = Buffer.alloc(0), type = 'iPhone' } = parts
  const field = (bytes: Buffer) => Buffer.concat([Buffer.of(bytes.length), bytes])
  return Buffer.concat([
    Buffer.of(version, command, 0x09, 0x04),
    field(device),
    field(key),
    field(Buffer.from(type)),
    ...(parts.parameters ?? []).map(([tag, value]) => Buffer.concat([Buffer.of(tag), field(Buffer.from(value))])),
  ]).toString('base64')
}

t.test('plain: read, and written with another user', async (t) => {
  for (const [query, wants, why] of [
    [
      'User=ann&DeviceId=APPLF17&DeviceType=iPhone&Cmd=Ping',
      'User=bob@example.org&DeviceId=APPLF17&DeviceType=iPhone&Cmd=Ping',
      'iPhone',
    ],
    [
      'Cmd=FolderSync&User=ann@example.org&DeviceId=androidc12&DeviceType=Android',
      'Cmd=FolderSync&User=bob@example.org&DeviceId=androidc12&DeviceType=Android',
      'Android: a literal @',
    ],
    [
      'cmd=Sync&user=CORP%5Cann&deviceid=x&devicetype=y',
      'cmd=Sync&User=bob@example.org&deviceid=x&devicetype=y',
      'case',
    ],
    [
      'Cmd=GetAttachment&AttachmentName=INBOX%2F5%3A1%2b2&User=a+b&DeviceId=x&DeviceType=y&',
      'Cmd=GetAttachment&AttachmentName=INBOX%2F5%3A1%2b2&User=bob@example.org&DeviceId=x&DeviceType=y',
      'what is not the user’s name stays as it was written',
    ],
    ['Cmd=Sync&DeviceId=x&DeviceType=y', 'Cmd=Sync&DeviceId=x&DeviceType=y', 'no user: none is made up'],
  ] as const) {
    const parsed = read(query)
    t.equal(parsed.form, 'plain')
    t.equal(parsed.withUser('bob@example.org'), wants, why)
  }
  t.match(read('Cmd=Ping&User=a%40b.c&DeviceId=AbC&DeviceType=iPhone'), {
    command: 'Ping',
    user: 'a@b.c',
    deviceId: 'abc',
    deviceType: 'iPhone',
    protocolVersion: null,
  })
  t.equal(
    read('Cmd=Sync&User=a&DeviceId=x&DeviceType=y;User=b').withUser('a'),
    'Cmd=Sync&User=a&DeviceId=x&DeviceType=y%3BUser=b',
    'G-3: a semicolon parts no parameters upstream',
  )
  t.equal(read('Cmd=Sync&User=a&DeviceId=x').withUser('a&Cmd=Ping'), 'Cmd=Sync&User=a%26Cmd%3DPing&DeviceId=x')
})

t.test('G-3: what two programs could read as two requests is refused', async (t) => {
  for (const [query, why] of [
    ['Cmd=Sync&User=a&User=b&DeviceId=x', 'ambiguous'],
    ['Cmd=Sync&User=a&user=b&DeviceId=x', 'ambiguous'],
    ['Cmd=Sync&Cmd=Ping&DeviceId=x', 'ambiguous'],
    ['Cmd=Sync&%55ser=b&DeviceId=x', 'malformed'],
    ['Cmd=Sync&User[]=b&DeviceId=x', 'malformed'],
    ['Cmd=Sync&User&DeviceId=x', 'malformed'],
    ['Cmd=Sync&User=%ff&DeviceId=x', 'malformed'],
    ['Cmd=Sync&User=a%00b&DeviceId=x', 'malformed'],
    ['Cmd=Sync&User=a%0d%0aX: y&DeviceId=x', 'malformed'],
    ['Cmd=Sync;User=b&DeviceId=x', 'no-command'],
    ['User=a&DeviceId=x', 'no-command'],
    [`Cmd=Sync&DeviceId=${'x'.repeat(65)}`, 'too-long'],
    [`${base64({})}&Cmd=Sync`, 'malformed'],
    ['', 'malformed'],
    ['x', 'malformed'],
    ['====', 'malformed'],
  ] as const) {
    t.strictSame(parseEasQuery(query), { ok: false, why }, query)
  }
})

t.test('base64: read, and written as padded standard base64 with another user', async (t) => {
  const raw = Buffer.from('6030ea38351221ca635e954e99ee31d3', 'hex')
  const query = base64({
    version: 160,
    command: 18,
    device: raw,
    key: Buffer.of(1, 2, 3, 4),
    type: 'WP',
    parameters: [
      [1, 'INBOX'],
      [8, 'ann'],
      [7, '\x01'],
    ],
  })
  const wants = base64({
    version: 160,
    command: 18,
    device: raw,
    key: Buffer.of(1, 2, 3, 4),
    type: 'WP',
    parameters: [
      [1, 'INBOX'],
      [8, 'bob@example.org'],
      [7, '\x01'],
    ],
  })
  for (const [spelling, why] of [
    [query, 'as it should be'],
    [query.replace(/=+$/, ''), 'unpadded'],
    [query.replaceAll('+', '-').replaceAll('/', '_'), 'URL-safe'],
    [encodeURIComponent(query), 'percent signs'],
    [query.replaceAll('+', ' '), 'plus read as a blank'],
    [query.replaceAll('+', '%20'), 'and written again'],
  ] as const) {
    const parsed = read(spelling)
    t.equal(parsed.withUser('bob@example.org'), wants, why)
    t.match(parsed, {
      form: 'base64',
      command: 'Ping',
      user: 'ann',
      deviceId: raw.toString('hex'),
      deviceType: 'WP',
      protocolVersion: '16.0',
    })
  }
  t.equal(read(base64({})).withUser('bob'), base64({}), 'without a user there is none')
  t.equal(read(base64({ command: 99 })).command, 'Command99')
})

t.test('whatever a device calls itself, the portal and the API have an address for it', async (t) => {
  const codes = Array.from({ length: 0x7f - 0x21 }, (_, i) => String.fromCharCode(0x21 + i))
  for (const id of [...codes, ...codes.map((code) => `a${code}B`), '.', '..', '..;', 'a/../b', '%2f', "o'brien"]) {
    const { deviceId } = read(base64({ device: Buffer.from(id) }))
    t.equal(read(`Cmd=Ping&DeviceId=${encodeURIComponent(id)}&DeviceType=x`).deviceId, deviceId, id)
    const path = paths.device(deviceId ?? '', 'forget')
    t.notOk(isRefusal(targetOf({ url: path, rawHeaders: ['Host', 'mail.a'] })), path)
    t.equal(localPath(path), path, 'also to come back to it after a step-up')
  }
})

t.test('base64: what breaks off or says two things is refused', async (t) => {
  const whole = Buffer.from(base64({ parameters: [[8, 'ann']] }), 'base64')
  for (let length = 6; length < whole.length; length++) {
    const parsed = parseEasQuery(whole.subarray(0, length).toString('base64'))
    // Between two fields there may be an end.
    if (parsed.ok) t.equal(length, whole.length - 5)
  }
  t.strictSame(
    parseEasQuery(
      base64({
        parameters: [
          [8, 'a'],
          [8, 'b'],
        ],
      }),
    ),
    { ok: false, why: 'ambiguous' },
  )
  t.strictSame(parseEasQuery(base64({ parameters: [[9, 'a']] })), { ok: false, why: 'malformed' })
  t.strictSame(parseEasQuery(base64({ key: Buffer.of(1, 2) })), { ok: false, why: 'malformed' })
  t.strictSame(parseEasQuery(base64({ device: Buffer.alloc(65, 1) })), { ok: false, why: 'too-long' })
})

t.test(
  'queries of real clients',
  { skip: existsSync(FIXTURES) ? false : 'the collection of real queries is not on this machine' },
  async (t) => {
    const list = JSON.parse(readFileSync(FIXTURES, 'utf8')) as {
      query: string
      version: number
      deviceIdHex: string
      deviceType: string
      params: [number, string][]
    }[]
    t.ok(list.length > 0)
    for (const { query, version, deviceIdHex, deviceType, params } of list) {
      const parsed = read(query)
      const user = params.find(([tag]) => tag === 8)
      t.equal(parsed.protocolVersion, `${Math.floor(version / 10)}.${version % 10}`)
      t.equal(parsed.deviceType, deviceType)
      const bytes = Buffer.from(deviceIdHex, 'hex')
      t.ok([deviceIdHex, bytes.toString('latin1').toLowerCase()].includes(parsed.deviceId ?? ''))
      const padded = query.padEnd(Math.ceil(query.length / 4) * 4, '=')
      t.equal(parsed.withUser(user ? Buffer.from(user[1], 'hex').toString() : 'anybody'), padded, 'byte for byte')
    }
  },
)
