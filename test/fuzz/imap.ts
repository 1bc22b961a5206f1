/**
 * The fuzzers that say IMAP as nobody should write it (`imap-text.ts`): to the parsers, as a client, as an upstream. The parsers of SASL
 * are among them.
 */

import assert from 'node:assert/strict'
import {
  agentOf,
  literalMarker,
  parseAuthenticate,
  parseCommandLine,
  parseId,
  parseLogin,
} from '../../src/edge/imap/parse.ts'
import { capabilityNames, parseResponse } from '../../src/edge/imap/responses.ts'
import { isForeign } from '../../src/edge/login/dialogue.ts'
import {
  decodeBase64,
  decodeInitialResponse,
  decodeOauthBearer,
  decodePlain,
  decodeXoauth2,
} from '../../src/edge/login/sasl.ts'
import { echo, openHouse, PASSWORD } from '../edge/login/house.ts'
import type { Fuzzer } from './fuzzer.ts'
import { admitWhoKnowsThePassword, leave, play, sendInAnyCut } from './fuzzer.ts'
import { commandText, responseText, word } from './imap-text.ts'

const TAG = /^[\x21\x23\x24\x26\x27\x2c-\x5b\x5d-\x7a\x7c-\x7e]{1,64}$/

/** Parsers get lines and pieces; whatever they accept must be what they promise. */
export const fuzzImapParsers: Fuzzer = async (random, rounds) => {
  for (let i = 0; i < rounds; i++) {
    const line = commandText(random).replace(/\r?\n$/, '')
    isForeign(line)
    const head = parseCommandLine(line)
    if (head.ok) {
      assert.match(head.tag, TAG)
      assert.match(head.name, /^[\x21-\x7e]{1,32}$/)
      assert.ok(line.endsWith(head.rest))
    } else if (head.tag !== null) assert.match(head.tag, TAG)
    const marker = literalMarker(line)
    if (marker) {
      assert.ok(marker.bytes >= 0)
      assert.equal(marker.before, line.slice(0, marker.before.length))
    }
    const rest = head.ok ? head.rest : line
    const pieces: (string | Buffer)[] = [rest]
    for (let n = random.below(3); n > 0; n--) pieces.push(random.bytes(12), ` ${word(random)}`)
    const login = parseLogin(pieces)
    for (const octets of login ? [login.user, login.password] : []) assertNoLine(octets.toString('latin1'))
    parseAuthenticate(rest)
    const fields = parseId(pieces)
    if (fields) {
      assert.ok(fields.size <= 30)
      const agent = agentOf(fields)
      if (agent !== null) assert.ok(agent.length <= 128 && !/[\x00-\x1f\x7f-\x9f]/.test(agent))
    }
    const answer = responseText(random, 'tag').replace(/\r?\n$/, '')
    const response = parseResponse(answer)
    if (response) assertNoLine(answer)
    for (const name of capabilityNames(answer) ?? []) assert.match(name, /^[\x21-\x7e]+$/)
    for (const decode of [decodeBase64, decodeInitialResponse]) {
      const octets = decode(word(random))
      if (!octets.ok) continue
      for (const mechanism of [decodePlain, decodeXoauth2, decodeOauthBearer]) {
        const decoded = mechanism(octets.value)
        if (!decoded.ok) continue
        const { authzid } = decoded.value
        assertNoLine(authzid)
        assertNoLine('secret' in decoded.value ? decoded.value.secret.reveal() : decoded.value.token.reveal())
      }
    }
  }
}

function assertNoLine(text: string): void {
  assert.ok(!/[\0\r\n]/.test(text), `a line end or NUL got through: ${JSON.stringify(text)}`)
}

/** Clients that send anything, in any cut, over real sockets. */
export const fuzzImapDialogue: Fuzzer = async (random, rounds, t) => {
  await using house = await openHouse(t, { loginMs: 20_000, hasRandomSecrets: true })
  admitWhoKnowsThePassword(house.gate)
  const one = async (): Promise<void> => {
    const client = await house.connect()
    const commands = Array.from({ length: 1 + random.below(8) }, () => commandText(random))
    if (random.oneIn(3)) commands.splice(random.below(commands.length), 0, `z LOGIN ann "${PASSWORD}"\r\n`)
    await sendInAnyCut(client, commands.join(''), random)
    client.end()
    // Behind the OK of the login it is the upstream that speaks.
    const [ours = ''] = (await client.rest()).split('z OK ')
    for (const line of ours.split('\r\n').slice(0, -1)) {
      const tag = line.slice(0, line.indexOf(' '))
      assert.ok(tag === '*' || tag === '+' || TAG.test(tag), `no answer of ours: ${JSON.stringify(ours)}`)
      assert.ok(!line.includes('\n'), 'one line at a time')
    }
  }
  await play(house, rounds, 16, one)
}

/** Upstreams that answer anything. */
export const fuzzImapUpstream: Fuzzer = async (random, rounds, t) => {
  await using house = await openHouse(t, {
    dialMs: 250,
    upstream: async (peer) => {
      let tag = 'none'
      const say = () => peer.send(responseText(random, tag))
      if (random.oneIn(8)) say()
      else
        peer.send(
          random.pick([
            '* OK hi\r\n',
            '* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hi\r\n',
            '* OK [CAPABILITY AUTH=PLAIN] hi\r\n',
          ]),
        )
      for (let i = 0; i < 6 && !peer.closed; i++) {
        const line = await peer.line(200).catch(() => null)
        if (line === null) break
        tag = line.split(' ')[0] ?? ''
        if (random.oneIn(3)) peer.send(`* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n${tag} OK fine\r\n`)
        else for (let n = random.below(3); n >= 0; n--) say()
        if (random.oneIn(10)) break
      }
      await leave(peer, random, echo)
    },
  })
  const one = async (): Promise<void> => {
    const client = await house.connect()
    await client.line()
    client.send(`a LOGIN ann "${PASSWORD}"\r\n`)
    const answer = await client.line()
    assert.match(answer, /^a (OK \[CAPABILITY [^\]]*\] Logged in\.|NO \[UNAVAILABLE\] )/, 'invariant 11')
    client.end()
    await client.rest()
  }
  await play(house, rounds, 8, one)
}
