/**
 * Plays transcripts (test/edge/<protocol>/transcripts/*.txt) against an edge: real sockets, real TLS, a gate that knows one
 * user.
 *
 *     # what it shows            C: a line of the client; lines in a row go out in one write
 *     @tls required              S: a line of ours; * stands for anything, \x20 for a blank at its end
 *     @gate <reason>             TLS: the handshake happens here     CLOSED: we close, and have said nothing more
 */

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { LoginFailureReason } from '../../../src/contract/failure.ts'
import { LoginFailure } from '../../../src/contract/failure.ts'
import { TlsContexts } from '../../../src/edge/net/tls.ts'
import { createCa } from '../../support/certificates.ts'
import type { HouseOptions } from './house.ts'
import { openHouse } from './house.ts'

const ca = await createCa()
const pair = await ca.issue()
const contexts = new TlsContexts({ pairs: [{ ...pair, certFile: 'cert.pem', keyFile: 'key.pem' }] })

/** One subtest for each file in the folder. `options` say which protocol it is. */
export function playTranscripts(t: Test, folder: string, options: HouseOptions = {}): void {
  for (const file of readdirSync(folder)) {
    const lines = readFileSync(join(folder, file), 'utf8').trimEnd().split('\n')
    t.test(`${file}: ${lines[0]?.replace(/^# /, '')}`, (t) => play(t, lines, options))
  }
}

async function play(t: Test, lines: readonly string[], options: HouseOptions): Promise<void> {
  const needsTls = lines.includes('@tls required')
  const gate = lines.find((line) => line.startsWith('@gate '))?.slice('@gate '.length)
  await using house = await openHouse(t, {
    ...options,
    ...(needsTls && { tls: 'starttls', contexts }),
    dialogue: { portalUrl: 'https://mail.example.org/app-passwords' },
  })
  house.gate.decide = ({ credential }, secret) => {
    if (gate) throw new LoginFailure(gate as LoginFailureReason, 'as the transcript says')
    // The keeper takes an app password with its blanks or without.
    const isRight = credential.authcid === 'ann@example.org' && secret.replaceAll(' ', '') === 'abcdefghijklmnop'
    if (!isRight) throw new LoginFailure('bad-credentials', 'no app password of this user')
  }
  const client = await house.connect()
  let said = 0
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i] ?? ''
    if (line === '' || line.startsWith('#') || line.startsWith('@')) continue
    if (line.startsWith('C:')) {
      let text = ''
      for (; lines[i]?.startsWith('C:'); i++) text += `${lines[i]?.slice(3)}\r\n`
      i--
      client.send(text)
    } else if (line.startsWith('S: ')) {
      said++
      t.match(await client.line(), patternOf(line.slice(3)), `line ${i + 1}`)
    } else if (line === 'TLS') await client.startTls({ ca: ca.cert, servername: 'localhost' })
    else if (line === 'CLOSED') t.equal(await client.rest(), '', `line ${i + 1}: closed`)
    else t.fail(`line ${i + 1} is not of a transcript: ${line}`)
  }
  t.ok(said > 0, 'a transcript asserts something')
}

function patternOf(text: string): RegExp {
  const parts = text.replaceAll('\\x20', ' ').split(/(\*)/)
  // `* ` at the start is IMAP's own star.
  const isUntagged = text.startsWith('* ')
  const source = parts.map((part, i) => {
    if (part !== '*') return part.replace(/[.+?^${}()|[\]\\]/g, '\\$&')
    return isUntagged && i === 1 ? '\\*' : '.*'
  })
  return new RegExp(`^${source.join('')}$`)
}
