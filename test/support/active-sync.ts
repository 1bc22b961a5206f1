/**
 * ActiveSync for tests: a phone, a few of its documents, and a whole server before an upstream that speaks it.
 */

import { once } from 'node:events'
import type { ClientRequest, IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { request as askPlainly } from 'node:http'
import type { RequestOptions } from 'node:https'
import { request as askOverTls } from 'node:https'
import { freePort } from './ports.ts'
import type { Sallyport } from './sallyport.ts'
import { startSallyport } from './sallyport.ts'

export const USER = 'ann@example.org'
const PATH = '/Microsoft-Server-ActiveSync'
const WBXML = 'application/vnd.ms-sync.wbxml'

/** <FolderSync><SyncKey>0</SyncKey></FolderSync> */
export const FOLDERS = Buffer.from('03016a00000756520330000101', 'hex')

/** The query of a command in its plain form. */
export const plainQuery = (command: string, device: string): string =>
  `Cmd=${command}&User=${USER}&DeviceId=${device}&DeviceType=iPhone`

/** An element with text in it. */
export const element = (token: number, text: string): Buffer =>
  Buffer.concat([Buffer.of(token | 0x40, 0x03), Buffer.from(text), Buffer.of(0, 1)])

/** <Ping><HeartbeatInterval>…</HeartbeatInterval><Folders><Folder><Id/><Class>Email</Class>…: page 13. */
export function ping(seconds: number, folder: string): Buffer {
  return Buffer.concat([
    Buffer.from('03016a00000d', 'hex'),
    Buffer.of(0x45),
    element(0x08, String(seconds)),
    Buffer.of(0x49, 0x4a),
    element(0x0b, folder),
    element(0x0d, 'Email'),
    Buffer.of(1, 1, 1),
  ])
}

export interface Asked {
  /** Default POST. */
  readonly method?: string
  /** Left out: none. */
  readonly query?: string | undefined
  readonly body?: Uint8Array | string
  readonly headers?: Readonly<Record<string, string>>
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

/** Documents in, documents out, each request on a connection of its own. */
export interface Phone {
  begin(asked: Asked): ClientRequest
  ask(asked: Asked): Promise<Answer>
}

/** @param where with `ca` over TLS */
export function phoneOf(where: RequestOptions, password: string): Phone {
  const request = where.ca === undefined ? askPlainly : askOverTls
  const authorization = `Basic ${Buffer.from(`${USER}:${password}`).toString('base64')}`

  function begin({ method = 'POST', query, body, headers = {} }: Asked): ClientRequest {
    const asked = request({
      host: '127.0.0.1',
      ...where,
      agent: false,
      method,
      path: query === undefined ? PATH : `${PATH}?${query}`,
      headers: {
        authorization,
        'user-agent': 'Apple-iPhone12C1/1808.123',
        'ms-asprotocolversion': '14.1',
        ...(method === 'POST' && { 'content-type': WBXML }),
        ...headers,
      },
    })
    asked.end(body)
    return asked
  }

  return { begin, ask: async (asked) => answerTo(begin(asked)) }
}

export async function answerTo(asked: ClientRequest): Promise<Answer> {
  const [response] = (await once(asked, 'response')) as [IncomingMessage]
  const parts: Buffer[] = []
  for await (const part of response) parts.push(part as Buffer)
  return { status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(parts) }
}

export interface PhoneHouse {
  readonly sallyport: Sallyport
  /** A phone with this app password, at one of the https ports. */
  phone(password: string, port?: number): Phone
  /** How many requests of the user's are waiting. */
  waiting(): Promise<number>
}

/**
 * What starts it; disposing of `sallyport` ends it.
 *
 * @param secret the user's at the upstream
 * @param mail settings of an upstream with IMAP and an identity for it; then there is a port for IMAP (`ports.imaps`), too
 */
export async function startPhoneHouse(
  url: string,
  secret: string,
  { httpsPorts = 1, workers = 1, settings = {} as object, mail = null as object | null } = {},
): Promise<PhoneHouse> {
  const ports = await Promise.all(Array.from({ length: httpsPorts }, () => freePort()))
  const http = await freePort()
  const imaps = await freePort()
  const identity = { method: 'stored-secret' }
  const sallyport = await startSallyport({
    upstreams: { main: mail === null ? { eas: { url }, identity } : { ...mail, eas: { url, identity } } },
    workers,
    ports: { http, imaps },
    settings: {
      listeners: [
        ...(mail === null ? [] : [{ protocol: 'imap', bind: '127.0.0.1', port: imaps, tls: 'implicit' }]),
        ...ports.map((port) => ({ protocol: 'https', bind: '127.0.0.1', port, serves: ['eas'] })),
        { protocol: 'http', bind: '127.0.0.1', port: http, serves: ['health', 'metrics'] },
      ],
      ...settings,
    },
  })
  await sallyport.addUser(USER)
  await sallyport.json(['secret', 'set', '--user', USER, '--upstream', 'main'], secret)
  return {
    sallyport,
    phone: (password, port = 0) => phoneOf({ port: ports[port], ...sallyport.tls }, password),
    waiting: async () => (await sallyport.json<unknown[]>(['session', 'list', '--user', USER])).length,
  }
}
