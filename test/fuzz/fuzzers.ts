/**
 * The fuzzers: each plays some rounds of nonsense by a seed and throws at the first thing that may not happen.
 *
 * What may not happen: an exception that is not declared, a bug in the log, a connection that does not end, a line of ours
 * that is of no protocol, a grant that is not settled once, a secret outside a Secret. `fuzz.test.ts` runs them with fixed seeds,
 * `scripts/fuzz.ts` for as long as one likes.
 */

import type { Fuzzer } from './fuzzer.ts'
import { fuzzImapDialogue, fuzzImapParsers, fuzzImapUpstream } from './imap.ts'
import { fuzzPop3Dialogue, fuzzPop3Parsers, fuzzPop3Upstream } from './pop3.ts'
import { fuzzSmtpDialogue, fuzzSmtpParsers, fuzzSmtpUpstream } from './smtp.ts'

export const FUZZERS: Readonly<Record<string, { readonly run: Fuzzer; readonly rounds: number }>> = {
  parsers: { run: fuzzImapParsers, rounds: 20_000 },
  dialogue: { run: fuzzImapDialogue, rounds: 800 },
  upstream: { run: fuzzImapUpstream, rounds: 300 },
  'pop3-parsers': { run: fuzzPop3Parsers, rounds: 20_000 },
  'pop3-dialogue': { run: fuzzPop3Dialogue, rounds: 400 },
  'pop3-upstream': { run: fuzzPop3Upstream, rounds: 200 },
  'smtp-parsers': { run: fuzzSmtpParsers, rounds: 10_000 },
  'smtp-dialogue': { run: fuzzSmtpDialogue, rounds: 300 },
  'smtp-upstream': { run: fuzzSmtpUpstream, rounds: 150 },
}
