/**
 * What the soak is asked to do.
 */

import { parseArgs } from 'node:util'

export const HELP = `Usage: npm run soak -- [options]

Runs the whole product in front of a real Dovecot and a real Postfix for a while, with sessions that stay open and others
that come and go, and samples every process. Ends by itself, or early on Ctrl-C, with a report; exit status 1 when
anything failed or anything grew.

  --minutes N       how long (default 60)
  --sessions N      sessions held open all the time (default 100)
  --rate N          logins, fetches and sends a second, besides those (default 1.5)
  --revoke-every N  seconds between two revocations (default 20)
  --out FILE        write the samples there, one JSON object a line
  --help
`

export interface SoakOptions {
  readonly minutes: number
  readonly sessions: number
  /** Actions a second. */
  readonly rate: number
  readonly revokeEveryMs: number
  readonly out: string | null
}

/** null: the help was asked for. @throws TypeError, RangeError for what can't be meant */
export function soakOptions(args: readonly string[]): SoakOptions | null {
  const { values } = parseArgs({
    args: [...args],
    options: {
      minutes: { type: 'string', default: '60' },
      sessions: { type: 'string', default: '100' },
      rate: { type: 'string', default: '1.5' },
      'revoke-every': { type: 'string', default: '20' },
      out: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return null
  const number = (name: 'minutes' | 'sessions' | 'rate' | 'revoke-every', most: number): number => {
    const value = Number(values[name])
    if (!(value > 0 && value <= most)) throw new RangeError(`--${name} is a number above 0, at most ${most}`)
    return value
  }
  return {
    minutes: number('minutes', 24 * 60),
    sessions: Math.floor(number('sessions', 1000)),
    rate: number('rate', 50),
    revokeEveryMs: number('revoke-every', 3600) * 1000,
    out: values.out ?? null,
  }
}
