/**
 * IMAP spoken by hand, line by line, for tests that care about every byte (RFC 9051).
 */

import { createHash, randomBytes } from 'node:crypto'
import { constants, createDeflateRaw, createInflateRaw } from 'node:zlib'
import type { Dovecot } from './dovecot.ts'
import type { ScriptedPeer } from './peer.ts'
import { scriptedClient } from './peer.ts'
import type { Sallyport } from './sallyport.ts'

/** The base64 of a SASL PLAIN message (RFC 4616 §2). */
export const saslPlain = (authzid: string, authcid: string, password: string): string =>
  Buffer.from(`${authzid}\0${authcid}\0${password}`).toString('base64')

/** A quoted string (RFC 9051 §4.3). */
export const quoted = (text: string): string => `"${text.replace(/[\\"]/g, '\\$&')}"`

/** Sends a command and answers every line up to its tagged one, which is the last. */
export async function command(peer: ScriptedPeer, tag: string, text: string): Promise<string[]> {
  peer.send(`${tag} ${text}\r\n`)
  return peer.linesUntil(new RegExp(`^${tag} `))
}

/** The same, @throws unless it is tagged OK. */
export async function succeed(peer: ScriptedPeer, tag: string, text: string): Promise<string[]> {
  const lines = await command(peer, tag, text)
  const last = lines.at(-1) ?? ''
  if (!last.startsWith(`${tag} OK`)) throw new Error(`${text.split(' ')[0]} failed: ${last}`)
  return lines
}

/** A TLS connection to the gate, its greeting read. */
export async function connectTls(gate: Sallyport): Promise<ScriptedPeer> {
  const peer = await scriptedClient(gate.ports.imaps, { tls: gate.tls })
  await peer.expect(/^\* OK /)
  return peer
}

/** A connection to the STARTTLS port, its greeting read. */
export async function connectClear(port: number): Promise<ScriptedPeer> {
  const peer = await scriptedClient(port)
  await peer.expect(/^\* OK /)
  return peer
}

/** A logged-in TLS connection through the gate. */
export async function loggedIn(gate: Sallyport, user: string, password: string): Promise<ScriptedPeer> {
  const peer = await connectTls(gate)
  await succeed(peer, 'in', `LOGIN ${quoted(user)} ${quoted(password)}`)
  return peer
}

/** A logged-in connection to Dovecot itself, past the gate, with the mailbox's own password. */
export async function loggedInDirectly(dovecot: Dovecot, user: string): Promise<ScriptedPeer> {
  const peer = await connectClear(dovecot.ports.imap)
  await succeed(peer, 'in', `LOGIN ${quoted(user)} ${quoted(dovecot.users[user] ?? '')}`)
  return peer
}

/** Appends a message by a synchronising literal (RFC 9051 §6.3.12). */
export async function append(peer: ScriptedPeer, tag: string, mailbox: string, message: Buffer): Promise<void> {
  peer.send(`${tag} APPEND ${mailbox} {${message.length}}\r\n`)
  await peer.expect(/^\+ /)
  peer.send(message)
  peer.send('\r\n')
  const lines = await peer.linesUntil(new RegExp(`^${tag} `), 60_000)
  if (!lines.at(-1)?.startsWith(`${tag} OK`)) throw new Error(`APPEND: ${lines.at(-1)}`)
}

/** The body of one message, by sequence number, as the server counts its bytes. */
export async function fetchBody(peer: ScriptedPeer, tag: string, number: number): Promise<Buffer> {
  peer.send(`${tag} FETCH ${number} BODY.PEEK[]\r\n`)
  const size = Number((await peer.expect(/^\* \d+ FETCH \(.*BODY\[\] \{(\d+)\}$/, 60_000))[1])
  const body = await peer.bytes(size, 60_000)
  await peer.linesUntil(new RegExp(`^${tag} OK`))
  return body
}

export const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

/**
 * A message of at least `bytes` bytes with what mail breaks on: lines of 997 bytes, 8-bit text, lines of dots, blank lines,
 * and no two lines alike.
 */
export function awkwardMessage(bytes: number, subject = 'awkward'): Buffer {
  const parts = [Buffer.from(`From: a@example.org\r\nTo: b@example.org\r\nSubject: ${subject}\r\n\r\n`)]
  const noise = randomBytes(96 * 1024).toString('base64')
  let size = 0
  for (let n = 0; size < bytes; n++) {
    const from = (n * 389) % 100_000
    // RFC 5322 §2.1.1 allows 998 octets; a proxy that counts the line end in allows 997.
    const fill = n % 5 === 0 ? 997 - `${n}  xxx`.length : 70
    let text = `${n} ${noise.slice(from, from + fill)} \xe9\xff\x80\r\n`
    if (n % 7 === 0) text = `${'.'.repeat(1 + (n % 3))}\r\n`
    else if (n % 11 === 0) text = '\r\n'
    const line = Buffer.from(text, 'latin1')
    parts.push(line)
    size += line.length
  }
  return Buffer.concat(parts)
}

export interface Compressed extends Disposable {
  /** Sends a command and answers all text up to the end of its tagged line. */
  command(tag: string, text: string): Promise<string>
}

/** COMPRESS DEFLATE (RFC 4978): from its OK on every byte is deflated, both ways. */
export async function compress(peer: ScriptedPeer, tag: string): Promise<Compressed> {
  await succeed(peer, tag, 'compress deflate')
  const { socket } = peer
  const { Z_SYNC_FLUSH } = constants
  const out = createDeflateRaw({ flush: Z_SYNC_FLUSH })
  const inflated = createInflateRaw({ flush: Z_SYNC_FLUSH })
  let received = ''
  let arrived = Promise.withResolvers<void>()
  inflated.on('data', (chunk: Buffer) => {
    received += chunk.toString('latin1')
    arrived.resolve()
  })
  inflated.on('error', (error) => arrived.reject(error))
  socket.removeAllListeners('data')
  socket.pipe(inflated)
  out.pipe(socket)
  return {
    async command(tag, text) {
      out.write(`${tag} ${text}\r\n`)
      const end = new RegExp(`(^|\n)${tag} [^\r\n]*\r\n`)
      for (let match = end.exec(received); ; match = end.exec(received)) {
        if (match) {
          const answer = received.slice(0, match.index + match[0].length)
          received = received.slice(answer.length)
          return answer
        }
        arrived = Promise.withResolvers()
        const timer = setTimeout(() => arrived.reject(new Error(`no answer to ${tag}; got ${received}`)), 60_000)
        await arrived.promise.finally(() => clearTimeout(timer))
      }
    },
    [Symbol.dispose]() {
      out.destroy()
      inflated.destroy()
      socket.destroy()
    },
  }
}
