/**
 * The mail server behind, as cheap as it can be: an IMAP server in a process of its own that believes every login and
 * always has the same 20 MB message. It says its port to the parent and ends when the parent does.
 *
 * It knows what proxies say: LOGIN with atoms, quoted strings or literals (nginx), AUTHENTICATE PLAIN with and without an
 * initial response, ID, CAPABILITY, NOOP, SELECT, FETCH, LOGOUT. Not a parser: nothing hostile ever comes here.
 */

import type { AddressInfo, Socket } from 'node:net'
import { createServer } from 'node:net'
import { bigMessage, MESSAGE_BYTES } from './jobs.ts'

const CAPABILITIES = 'IMAP4rev1 SASL-IR AUTH=PLAIN LITERAL+ ID'
const GREETING = Buffer.from(`* OK [CAPABILITY ${CAPABILITIES}] ready\r\n`)
const message = bigMessage()

/** What the next line is, when it is not a command. */
type Expecting =
  | { readonly what: 'command' }
  | { readonly what: 'response'; readonly tag: string }
  | { readonly what: 'argument'; readonly tag: string; readonly left: number }

function serve(socket: Socket): void {
  let text = ''
  let expecting: Expecting = { what: 'command' }
  socket.setNoDelay(true)
  socket.on('error', () => socket.destroy())
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1')
    for (let end = text.indexOf('\r\n'); end >= 0; end = text.indexOf('\r\n')) {
      const line = text.slice(0, end)
      text = text.slice(end + 2)
      take(line)
    }
  })
  socket.write(GREETING)

  function loggedIn(tag: string): void {
    expecting = { what: 'command' }
    socket.write(`${tag} OK [CAPABILITY ${CAPABILITIES}] Logged in\r\n`)
  }

  /** Literals of LOGIN hold no line ends, so a literal and what follows it are one line. */
  function take(line: string): void {
    if (expecting.what === 'command') command(line)
    else if (expecting.what === 'response') loggedIn(expecting.tag)
    else argument(line, expecting)
  }

  function argument(line: string, { tag, left }: { readonly tag: string; readonly left: number }): void {
    const more = left > 1 && /\{\d+(\+?)\}$/.exec(line)
    if (!more) loggedIn(tag)
    else {
      expecting = { what: 'argument', tag, left: left - 1 }
      if (more[1] === '') socket.write('+ OK\r\n')
    }
  }

  function command(line: string): void {
    const [tag = '', name = '', first] = line.split(' ', 4)
    switch (name.toUpperCase()) {
      case 'LOGIN': {
        // Two arguments to come when the user name is the literal, one when it is the password.
        argument(line, { tag, left: first?.startsWith('{') ? 3 : 2 })
        return
      }
      case 'AUTHENTICATE':
        if (line.split(' ').length > 3) loggedIn(tag)
        else {
          expecting = { what: 'response', tag }
          socket.write('+ \r\n')
        }
        return
      case 'FETCH':
        socket.write(`* 1 FETCH (BODY[] {${MESSAGE_BYTES}}\r\n`)
        socket.write(message)
        socket.write(`)\r\n${tag} OK Fetched\r\n`)
        return
      case 'SELECT':
        socket.write(`* FLAGS (\\Seen)\r\n* 1 EXISTS\r\n* OK [UIDVALIDITY 1]\r\n${tag} OK [READ-WRITE] Selected\r\n`)
        return
      case 'CAPABILITY':
        socket.write(`* CAPABILITY ${CAPABILITIES}\r\n${tag} OK\r\n`)
        return
      case 'ID':
        socket.write(`* ID NIL\r\n${tag} OK\r\n`)
        return
      case 'NOOP':
        socket.write(`${tag} OK\r\n`)
        return
      case 'LOGOUT':
        socket.end(`* BYE\r\n${tag} OK\r\n`)
        return
      default:
        socket.write(`${tag} BAD not here\r\n`)
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
