/**
 * SMTP as nobody should write it, and the fuzzers that say it: to the parsers, as a client, as an upstream.
 */

import assert from 'node:assert/strict'
import { createOffers } from '../../src/edge/login/offers.ts'
import {
  agentOf,
  keywordsOf,
  parametersOf,
  parseAuth,
  parseCommandLine,
  parseReplyLine,
  xtext,
} from '../../src/edge/smtp/parse.ts'
import { announceable, mergeParameters } from '../../src/edge/smtp/replies.ts'
import { base64, echo, GOOD, openSmtpHouse } from '../edge/smtp/house.ts'
import type { Fuzzer } from './fuzzer.ts'
import { admitWhoKnowsThePassword, ENDS, leave, play, sendInAnyCut } from './fuzzer.ts'
import type { Random } from './random.ts'

const NAMES =
  `EHLO EHLO HELO AUTH AUTH AUTH MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY HELP WIZ SHELL KILL XCLIENT XFORWARD STARTTLS
  LHLO auth Ehlo __proto__ constructor GET`.split(/\s+/)
const WORDS = [
  'ann',
  'x',
  'PLAIN',
  'login',
  'XOAUTH2',
  '=',
  '*',
  'FROM:<a@example.org>',
  '\xe9',
  '\0',
  '\x01',
  '\r',
  '\t',
  '',
]

function word(random: Random): string {
  if (random.oneIn(5)) return random.bytes(20).toString('base64')
  if (random.oneIn(6)) return base64(`\0ann\0${random.text(3, () => random.pick(['pw', '\0', '\xff']))}`)
  return random.pick(WORDS)
}

/** One line of a client, with or without its end. */
function commandText(random: Random): string {
  if (random.oneIn(12)) return random.bytes(40).toString('latin1') + random.pick(ENDS)
  if (random.oneIn(60)) return `${'x'.repeat(random.below(20_000))}\r\n`
  if (random.oneIn(6)) return `${word(random)}\r\n`
  return `${random.pick(NAMES)}${random.text(3, () => random.pick([' ', ' ', '  ', '']) + word(random))}${random.pick(ENDS)}`
}

const STATUS = [
  '220',
  '220',
  '250',
  '250',
  '250-',
  '235',
  '334',
  '334 ',
  '454',
  '535',
  '421',
  '554',
  '+OK',
  '* OK',
  '99',
  '',
]
const TEXTS = ['AUTH PLAIN', 'AUTH=LOGIN', 'XCLIENT ADDR', 'XFORWARD', 'SIZE 5', '5.7.8 no', 'hm', '\0', '\xe9', '']

/** One line of a reply. */
function replyText(random: Random): string {
  if (random.oneIn(15)) return random.bytes(60).toString('latin1') + random.pick(ENDS)
  return `${random.pick(STATUS)}${random.text(2, () => random.pick([' ', '-', '']) + random.pick(TEXTS))}${random.pick(ENDS)}`
}

const bare = (text: string): string => text.replace(/\r?\n$/, '')

export const fuzzSmtpParsers: Fuzzer = async (random, rounds) => {
  for (let i = 0; i < rounds; i++) {
    const line = bare(commandText(random))
    const command = parseCommandLine(line)
    if (command.ok) assert.ok(line.toUpperCase().startsWith(command.verb) && !/[\0\r\n]/.test(line))
    const auth = parseAuth(line)
    if (auth) assert.match(auth.mechanism, /^[A-Z0-9_-]{1,20}$/)
    const agent = agentOf(line)
    if (agent !== null) assert.ok(agent.length <= 128 && !/[\0-\x1f]/.test(agent))
    assert.match(xtext(line), /^[\x21-\x7e]*$/)
    assert.doesNotMatch(xtext(line), /=/)
    const texts = Array.from({ length: random.below(6) }, () => bare(replyText(random)))
    for (const text of texts) {
      const reply = parseReplyLine(text)
      if (reply) assert.ok(reply.code >= 200 && reply.code < 600 && !/[\0\r\n]/.test(reply.text))
    }
    const keywords = keywordsOf(texts)
    parametersOf(keywords, 'AUTH')
    const offers = createOffers(mergeParameters)
    offers.expect(['a', 'b'])
    offers.learn('a', keywords)
    offers.learn('b', keywordsOf([...texts].reverse()))
    for (const each of announceable(offers.common() ?? [])) assert.match(each, /^[A-WYZ0-9][\x20-\x7e]*$/)
  }
}

/** Clients that send anything, in any cut, over real sockets. */
export const fuzzSmtpDialogue: Fuzzer = async (random, rounds, t) => {
  await using house = await openSmtpHouse(t, { loginMs: 20_000, hasRandomSecrets: true })
  admitWhoKnowsThePassword(house.gate)
  const one = async (): Promise<void> => {
    const client = await house.connect()
    const commands = Array.from({ length: 1 + random.below(8) }, () => commandText(random))
    if (random.oneIn(2)) commands.unshift('EHLO x\r\n')
    if (random.oneIn(3)) commands.splice(random.below(commands.length), 0, `EHLO y\r\nAUTH PLAIN ${GOOD}\r\n`)
    await sendInAnyCut(client, commands.join(''), random)
    client.end()
    // Behind the 235 it is the upstream that speaks.
    const [ours = ''] = (await client.rest()).split('235 2.7.0 Auth')
    for (const line of ours.split('\r\n').slice(0, -1)) {
      assert.match(line, /^[2345][0-9]{2}[ -][\x20-\x7e]*$/, `no answer of ours: ${JSON.stringify(ours)}`)
    }
  }
  await play(house, rounds, 16, one)
}

/** Upstreams that answer anything. */
export const fuzzSmtpUpstream: Fuzzer = async (random, rounds, t) => {
  await using house = await openSmtpHouse(t, {
    dialMs: 250,
    upstream: async (peer) => {
      peer.send(random.oneIn(8) ? replyText(random) : random.pick(['220 hi\r\n', '220-hi\r\n220 there\r\n']))
      for (let i = 0; i < 8 && !peer.closed; i++) {
        const line = await peer.line(200).catch(() => null)
        if (line === null) break
        if (random.oneIn(4)) peer.send(replyText(random))
        else if (line.startsWith('EHLO')) {
          peer.send(
            `250-up\r\n250-SIZE 5\r\n250 ${random.pick(['AUTH PLAIN', 'AUTH PLAIN', 'XCLIENT ADDR', 'DSN'])}\r\n`,
          )
        } else peer.send(line.startsWith('AUTH') ? '235 in\r\n' : '250 hm\r\n')
        if (random.oneIn(10)) break
      }
      await leave(peer, random, echo)
    },
  })
  const one = async (): Promise<void> => {
    const client = await house.connect()
    await client.line()
    client.send('EHLO x\r\n')
    await client.linesUntil(/^250 /)
    client.send(`AUTH PLAIN ${GOOD}\r\n`)
    assert.match(await client.line(), /^(235 2\.7\.0|454 4\.7\.0) /, 'invariant 11')
    client.end()
    await client.rest()
  }
  await play(house, rounds, 8, one)
}
