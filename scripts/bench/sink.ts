/**
 * The submission server behind, as cheap as it can be: a process of its own that believes every login, compares every message
 * with what is sent, and throws it away. It goes by the size that MAIL announces. Not a parser: nothing hostile comes here.
 */

import type { AddressInfo, Socket } from 'node:net'
import { createServer } from 'node:net'
import { isMessageAt, messagePattern } from './jobs.ts'

const OFFERS =
  '250-sink\r\n250-PIPELINING\r\n250-SIZE 100000000\r\n250-8BITMIME\r\n250-AUTH PLAIN LOGIN\r\n250 ENHANCEDSTATUSCODES\r\n'
const END = '\r\n.\r\n'
const pattern = messagePattern()

function serve(socket: Socket): void {
  let text = ''
  /** What the next lines of AUTH LOGIN or a prompted PLAIN are still to be. */
  let prompts = 0
  let octets = 0
  let isMessage = false
  let received = 0
  let wrong = false
  let tail = ''
  socket.setNoDelay(true)
  socket.on('error', () => socket.destroy())
  socket.on('data', (chunk: Buffer) => take(chunk))
  socket.write('220 sink ESMTP\r\n')

  function take(chunk: Buffer): void {
    if (isMessage) {
      message(chunk)
      return
    }
    text += chunk.toString('latin1')
    for (let end = text.indexOf('\r\n'); end >= 0; end = text.indexOf('\r\n')) {
      const line = text.slice(0, end)
      text = text.slice(end + 2)
      command(line)
      if (isMessage) {
        const rest = Buffer.from(text, 'latin1')
        text = ''
        if (rest.length > 0) message(rest)
        return
      }
    }
  }

  function message(chunk: Buffer): void {
    const part = chunk.subarray(0, octets - received)
    if (!isMessageAt(pattern, received, part)) wrong = true
    received += part.length
    tail += chunk.toString('latin1', part.length)
    if (tail.length < END.length) return
    isMessage = false
    socket.write(!wrong && tail.startsWith(END) ? '250 2.0.0 kept\r\n' : '554 5.6.0 content differs\r\n')
    const rest = tail.slice(END.length)
    tail = ''
    if (rest !== '') take(Buffer.from(rest, 'latin1'))
  }

  function command(line: string): void {
    if (prompts > 0) {
      prompts -= 1
      socket.write(prompts > 0 ? '334 UGFzc3dvcmQ6\r\n' : '235 2.7.0 in\r\n')
      return
    }
    const [verb = '', argument = '', ...more] = line.toUpperCase().split(' ')
    switch (verb) {
      case 'EHLO':
        socket.write(OFFERS)
        return
      case 'AUTH':
        prompts = more.length > 0 ? 0 : argument === 'LOGIN' ? 2 : 1
        socket.write(prompts === 0 ? '235 2.7.0 in\r\n' : `334 ${argument === 'LOGIN' ? 'VXNlcm5hbWU6' : ''}\r\n`)
        return
      case 'MAIL':
        octets = Number(/SIZE=(\d+)/.exec(line)?.[1] ?? 0)
        socket.write('250 2.1.0 OK\r\n')
        return
      case 'DATA':
        isMessage = true
        received = 0
        wrong = false
        socket.write('354 go on\r\n')
        return
      case 'QUIT':
        socket.end('221 2.0.0 bye\r\n')
        return
      default:
        socket.write('250 2.0.0 OK\r\n')
    }
  }
}

const server = createServer(serve)
server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () =>
  process.send?.({ port: (server.address() as AddressInfo).port }),
)
process.once('disconnect', () => process.exit())
// Ctrl-C reaches the whole foreground group; the parent ends us in its own order.
process.on('SIGINT', () => undefined)
