/**
 * One HTTP/1.1 request over a plain socket, read line by line, so that a server which speaks something else can be told by name.
 */

import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { Secret } from '../../secret.ts'
import { plain } from '../output.ts'
import { StepFailure } from './report.ts'
import { notThisProtocol, orFailure, Talk, TLS_RECORD } from './talk.ts'

export interface HttpAsked {
  /** For the Host header. */
  readonly host: string
  readonly path: string
  readonly authorization: Secret | null
}

export interface HttpAnswer {
  readonly status: number
  /** Name, value, name, value. */
  readonly headers: readonly string[]
  /** The first kilobytes, of an answer that is none of success. */
  readonly body: string
  /** Its first line, to be shown. */
  readonly shown: string
}

export const HTTP2_ADVICE =
  'It speaks HTTP/2 only, sallyport HTTP/1.1: turn HTTP/1.1 on there (most servers speak both), or put a proxy in front that does.'
export const TLS_ADVICE = 'The port speaks TLS: write https:// in eas.url.'

const MAX_HEADERS = 100
const MAX_BODY_CHARS = 4096
const STATUS_LINE = /^HTTP\/1\.[01] (\d{3})(?: |$)/
/** RFC 9113 §3.4: the first that a server says is a SETTINGS frame. */
const HTTP2_SETTINGS = /^\0[\s\S]{2}\x04[\s\S]\0\0\0\0/
const SILENT =
  'Is that the port of a web server? Does it wait for a PROXY header (proxyProtocol), or is what stands behind it hanging? Look at its log.'

/** Sends OPTIONS and reads the answer. Owns nothing: the caller closes the socket. @throws StepFailure */
export async function ask(
  socket: Socket,
  { host, path, authorization }: HttpAsked,
  timeoutMs: number,
): Promise<HttpAnswer> {
  const talk = new Talk(socket, AbortSignal.timeout(timeoutMs))
  talk.send(
    [
      `OPTIONS ${path} HTTP/1.1`,
      `Host: ${host}`,
      'User-Agent: sallyport check',
      'Content-Length: 0',
      'Connection: close',
      ...(authorization === null ? [] : [`Authorization: ${authorization.reveal()}`]),
      '',
    ].join('\r\n'),
  )
  const first = await statusLine(talk)
  const status = Number(STATUS_LINE.exec(first)?.[1])
  const headers: string[] = []
  for (let line = await headerLine(talk); line !== ''; line = await headerLine(talk)) {
    if (headers.length >= 2 * MAX_HEADERS) throw new StepFailure('the answer’s head has no end', SILENT)
    const colon = line.indexOf(':')
    if (colon > 0) headers.push(line.slice(0, colon), line.slice(colon + 1).trim())
  }
  const body = status >= 400 ? await bodyOf(talk) : ''
  return { status, headers, body, shown: plain(first).slice(0, 100) }
}

async function statusLine(talk: Talk): Promise<string> {
  let line: string | null
  try {
    line = await orFailure(talk.line(), { timeout: SILENT })
  } catch (error) {
    // It may have said something that has no end of line.
    if (HTTP2_SETTINGS.test(talk.pending)) throw new StepFailure('it answers in HTTP/2', HTTP2_ADVICE)
    throw error
  }
  const said = line ?? talk.pending
  if (HTTP2_SETTINGS.test(said)) throw new StepFailure('it answers in HTTP/2', HTTP2_ADVICE)
  if (TLS_RECORD.test(said)) throw new StepFailure('it answers in TLS', TLS_ADVICE)
  if (line === null && said === '') {
    const advice = talk.socket instanceof TLSSocket ? SILENT : `Does the port speak TLS (https://)? ${SILENT}`
    throw new StepFailure('the server closed the connection without an answer', advice)
  }
  if (STATUS_LINE.test(said)) return said
  throw notThisProtocol(said, 'HTTP', SILENT, '443 with https://, 80 with http://')
}

async function headerLine(talk: Talk): Promise<string> {
  const line = await orFailure(talk.line(), { timeout: SILENT })
  if (line === null) throw new StepFailure('the server closed the connection in the middle of its answer', SILENT)
  return line
}

/** For words in it that explain a status. Never a reason to fail. */
async function bodyOf(talk: Talk): Promise<string> {
  let text = ''
  try {
    for (let line = await talk.line(); line !== null && text.length < MAX_BODY_CHARS; line = await talk.line()) {
      text += `${line}\n`
    }
  } catch {
    // broken off, or slow: what has come is enough
  }
  return `${text}${talk.pending}`.slice(0, MAX_BODY_CHARS)
}
