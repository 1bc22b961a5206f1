/**
 * POP3 as nobody should write it, and the fuzzers that say it: to the parsers, as a client, as an upstream.
 */

import assert from 'node:assert/strict'
import { parseAuth, parseCapabilities, parseCommandLine, parseReply } from '../../src/edge/pop3/parse.ts'
import { PASSWORD } from '../edge/login/house.ts'
import { base64, echo, openPop3 } from '../edge/pop3/house.ts'
import type { Fuzzer } from './fuzzer.ts'
import { admitWhoKnowsThePassword, ENDS, leave, play, sendInAnyCut } from './fuzzer.ts'
import type { Random } from './random.ts'

const NAMES = `USER USER PASS PASS AUTH AUTH CAPA STLS QUIT STAT UIDL NOOP APOP XCLIENT user Auth __proto__ constructor
  GET`.split(/\s+/)
const WORDS = ['ann', 'ann@example.org', 'PLAIN', 'login', '=', '*', 'x*y', '\xe9', '\0', '\x01', '\r', '\t', ' ', '']

function word(random: Random): string {
  if (random.oneIn(5)) return random.bytes(20).toString('base64')
  if (random.oneIn(6)) return base64(`\0ann\0${random.text(3, () => random.pick(['pw', '\0', '\xff']))}`)
  return random.pick(WORDS)
}

/** One line of a client, with or without its end. */
function commandText(random: Random): string {
  if (random.oneIn(12)) return random.bytes(40).toString('latin1') + random.pick(ENDS)
  if (random.oneIn(60)) return `${'x'.repeat(random.below(20_000))}\r\n`
  return `${random.pick(NAMES)}${random.text(3, () => random.pick([' ', ' ', '  ', '']) + word(random))}${random.pick(ENDS)}`
}

const STATUS = ['+OK', '+OK', '+OK', '-ERR', '-ERR', '+', '+ok', '+OKAY', '* OK', '220', '.', '']
const TEXTS = ['[AUTH]', '[SYS/TEMP]', '[IN-USE]', '[XCLIENT]', '[', '[]', 'SASL PLAIN', 'hm', '\0', '\xe9', '']

/** One answer of a server. */
function replyText(random: Random): string {
  if (random.oneIn(15)) return random.bytes(60).toString('latin1') + random.pick(ENDS)
  return `${random.pick(STATUS)}${random.text(3, () => ` ${random.pick(TEXTS)}`)}${random.pick(ENDS)}`
}

export const fuzzPop3Parsers: Fuzzer = async (random, rounds) => {
  for (let i = 0; i < rounds; i++) {
    const line = commandText(random).replace(/\r?\n$/, '')
    for (const parsed of [parseCommandLine(line), parseCommandLine(word(random))]) {
      if (parsed) assert.match(parsed.name, /^[\x21-\x7e]{1,32}$/)
    }
    const command = parseCommandLine(line)
    if (command?.rest != null) assert.ok(line.endsWith(` ${command.rest}`))
    const auth = parseAuth(line)
    if (auth) assert.match(auth.mechanism, /^[\x21-\x7e]{1,32}$/)
    const answer = replyText(random).replace(/\r?\n$/, '')
    const reply = parseReply(answer)
    if (reply) assert.ok(/^(\+OK|-ERR|\+)( |$)/.test(answer) && !/[\0\r\n]/.test(answer))
    for (const [keyword, args] of parseCapabilities([line, answer]) ?? []) {
      for (const text of [keyword, ...args]) assert.ok(!/[\0\r\n ]/.test(text))
    }
  }
}

/** Clients that send anything, in any cut, over real sockets. */
export const fuzzPop3Dialogue: Fuzzer = async (random, rounds, t) => {
  await using house = await openPop3(t, { loginMs: 20_000, hasRandomSecrets: true })
  admitWhoKnowsThePassword(house.gate)
  const one = async (): Promise<void> => {
    const client = await house.connect()
    const commands = Array.from({ length: 1 + random.below(8) }, () => commandText(random))
    if (random.oneIn(3)) commands.splice(random.below(commands.length), 0, `USER ann\r\nPASS ${PASSWORD}\r\n`)
    await sendInAnyCut(client, commands.join(''), random)
    client.end()
    // Behind the OK of the login it is the upstream that speaks.
    const [ours = ''] = (await client.rest()).split('+OK Logged in.')
    for (const line of ours.split('\r\n').slice(0, -1)) {
      // Besides replies: the lines of CAPA and AUTH.
      assert.match(line, /^(\+OK |-ERR |\+ |[A-Z.])[\x20-\x7e]*$/, `no answer of ours: ${JSON.stringify(ours)}`)
    }
  }
  await play(house, rounds, 16, one)
}

/** Upstreams that answer anything. */
export const fuzzPop3Upstream: Fuzzer = async (random, rounds, t) => {
  await using house = await openPop3(t, {
    dialMs: 250,
    upstream: async (peer) => {
      peer.send(random.oneIn(8) ? replyText(random) : random.pick(['+OK hi\r\n', '+OK [XCLIENT] hi\r\n', '+OK\r\n']))
      for (let i = 0; i < 6 && !peer.closed; i++) {
        const line = await peer.line(200).catch(() => null)
        if (line === null) break
        if (random.oneIn(3)) peer.send(replyText(random))
        else if (line === 'CAPA')
          peer.send(`+OK\r\n${random.pick(['SASL PLAIN', 'USER', 'XCLIENT\r\nSASL PLAIN'])}\r\n.\r\n`)
        else peer.send(line.startsWith('AUTH') ? '+ \r\n' : '+OK\r\n')
        if (random.oneIn(10)) break
      }
      await leave(peer, random, echo)
    },
  })
  const one = async (): Promise<void> => {
    const client = await house.connect()
    await client.line()
    client.send(`USER ann\r\nPASS ${PASSWORD}\r\n`)
    await client.line()
    assert.match(await client.line(), /^(\+OK Logged in\.|-ERR \[SYS\/TEMP\] )/, 'invariant 11')
    client.end()
    await client.rest()
  }
  await play(house, rounds, 8, one)
}
