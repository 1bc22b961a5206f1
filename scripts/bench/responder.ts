/**
 * Who nginx asks: an auth_http server in a process of its own that checks the password by HMAC and names the mail server.
 *
 * Raw sockets and one write for each answer: nginx opens a connection for every login, and whatever is spent here is added
 * to nginx's figures, so it should be no more than needed. Started with the mail server's ports in argv, IMAP's and SMTP's.
 */

import { createHmac, createSecretKey, timingSafeEqual } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'

const [, , imapPort = '', smtpPort = '', expected = ''] = process.argv
const key = createSecretKey(Buffer.from('bench responder'))
const digest = (text: string): Buffer => createHmac('sha256', key).update(text).digest()
const right = digest(expected)

const server = createServer((socket) => {
  let text = ''
  socket.setNoDelay(true)
  socket.on('error', () => socket.destroy())
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1')
    if (!text.endsWith('\r\n\r\n')) return
    const password = decodeURIComponent(/\r\nAuth-Pass: ([^\r]*)\r\n/i.exec(text)?.[1] ?? '')
    const status = timingSafeEqual(digest(password), right) ? 'OK' : 'Invalid login or password'
    const upstreamPort = /\r\nAuth-Protocol: smtp\r\n/i.test(text) ? smtpPort : imapPort
    socket.end(
      `HTTP/1.0 200 OK\r\nAuth-Status: ${status}\r\nAuth-Server: 127.0.0.1\r\nAuth-Port: ${upstreamPort}\r\n\r\n`,
    )
  })
})
server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () =>
  process.send?.({ port: (server.address() as AddressInfo).port }),
)
process.once('disconnect', () => process.exit())
process.on('SIGINT', () => undefined)
