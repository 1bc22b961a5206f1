/**
 * What a run of the bench does: read from the command line, with three sizes to choose from.
 */

import { parseArgs } from 'node:util'

const PARTS = ['login', 'fetch', 'send', 'idle', 'admission'] as const
export type Part = (typeof PARTS)[number]
const PEERS = ['nginx', 'dovecot'] as const
export type Peer = (typeof PEERS)[number]

/** How much of everything. Counts are per round and subject. */
export interface Scale {
  readonly rounds: number
  readonly workers: readonly number[]
  readonly plainLogins: number
  readonly tlsLogins: number
  /** Logins never seen before, of each kind: one argon2 run each. */
  readonly freshLogins: number
  readonly fetches: number
  /** Fetches for a subject that is known to need several CPU seconds for a GB. */
  readonly slowFetches: number
  /** Messages of 10 KB, on a connection each. */
  readonly sentEach: number
  /** Messages of 10 KB, on connections that stay. */
  readonly sentKept: number
  /** Messages of 20 MB. */
  readonly sentBig: number
  readonly held: number
  readonly idleSeconds: number
  /** Before memory is read: what a burst of logins leaves behind is given time to go. */
  readonly settleMs: number
  /** Before the CPU time of idle sessions of ours is read: V8 goes on for a minute or two collecting what logins left. */
  readonly restMs: number
  /** Logins before anything is measured, for programs that compile while they run. */
  readonly warmUpLogins: number
  readonly admissions: number
  /** No further round is begun after this. */
  readonly budgetSeconds: number
}

const FULL: Scale = {
  rounds: 3,
  workers: [1, 2],
  plainLogins: 3000,
  tlsLogins: 2000,
  freshLogins: 100,
  fetches: 50,
  slowFetches: 10,
  sentEach: 2000,
  sentKept: 5000,
  sentBig: 30,
  held: 5000,
  idleSeconds: 30,
  settleMs: 3000,
  restMs: 120_000,
  warmUpLogins: 15_000,
  admissions: 20_000,
  budgetSeconds: 14 * 60,
}
const QUICK: Scale = {
  ...FULL,
  rounds: 1,
  plainLogins: 1500,
  tlsLogins: 800,
  freshLogins: 40,
  fetches: 20,
  slowFetches: 4,
  sentEach: 800,
  sentKept: 2000,
  sentBig: 15,
  held: 2000,
  idleSeconds: 3,
  restMs: 0,
  warmUpLogins: 4000,
  admissions: 10_000,
  budgetSeconds: 170,
}
const SMOKE: Scale = {
  rounds: 1,
  workers: [1],
  plainLogins: 40,
  tlsLogins: 20,
  freshLogins: 4,
  fetches: 2,
  slowFetches: 1,
  sentEach: 20,
  sentKept: 40,
  sentBig: 2,
  held: 20,
  idleSeconds: 0.2,
  settleMs: 100,
  restMs: 0,
  warmUpLogins: 40,
  admissions: 200,
  budgetSeconds: 60,
}

export interface Options {
  readonly scale: Scale
  readonly size: 'full' | 'quick' | 'smoke'
  readonly parts: readonly Part[]
  readonly peers: readonly Peer[]
  readonly ours: boolean
  readonly jsonFile: string | null
  readonly markdown: boolean
}

export const USAGE = `usage: npm run bench -- [options]

CPU and memory of sallyport beside nginx's mail proxy and Dovecot's login proxy, on this machine, over loopback.
The default run takes up to 15 minutes. CPU figures depend on what else the machine does: leave it alone meanwhile.

  --quick             one round of everything, up to 3 minutes
  --smoke             a few of everything, no peers, seconds: does the bench work?
  --only PARTS        of ${PARTS.join(',')}
  --rounds N          interleaved rounds (default 3)
  --workers LIST      worker processes (default 1,2)
  --peers LIST        of ${PEERS.join(',')}, or none (default: all that are installed)
  --without-sallyport peers only
  --json FILE         every single sample
  --markdown          only the tables on stdout, for docs/performance.md
`

/** A command line that can't be read; the message says why. */
export class UsageError extends Error {}

function listOf<T extends string>(text: string, allowed: readonly T[], what: string): readonly T[] {
  return text
    .split(',')
    .filter((each) => each !== '' && each !== 'none')
    .map((each) => {
      const found = allowed.find((one) => one === each)
      if (found === undefined) throw new UsageError(`${what} takes ${allowed.join(', ')}, not ${each}`)
      return found
    })
}

function positive(text: string, what: string, max: number): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1 || value > max) {
    throw new UsageError(`${what} takes whole numbers from 1 to ${max}, not ${text}`)
  }
  return value
}

/** @throws UsageError */
export function parseOptions(args: readonly string[]): Options | 'help' {
  const { values } = parse(args)
  if (values.help) return 'help'
  const size = values.smoke ? 'smoke' : values.quick ? 'quick' : 'full'
  const base = { full: FULL, quick: QUICK, smoke: SMOKE }[size]
  const rounds = values.rounds === undefined ? base.rounds : positive(values.rounds, '--rounds', 20)
  const workers =
    values.workers === undefined
      ? base.workers
      : values.workers.split(',').map((each) => positive(each, '--workers', 64))
  return {
    scale: { ...base, rounds, workers },
    size,
    parts: values.only === undefined ? PARTS : listOf(values.only, PARTS, '--only'),
    peers: values.peers === undefined ? (size === 'smoke' ? [] : PEERS) : listOf(values.peers, PEERS, '--peers'),
    ours: !values['without-sallyport'],
    jsonFile: values.json ?? null,
    markdown: values.markdown ?? false,
  }
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        help: { type: 'boolean', short: 'h' },
        quick: { type: 'boolean' },
        smoke: { type: 'boolean' },
        only: { type: 'string' },
        rounds: { type: 'string' },
        workers: { type: 'string' },
        peers: { type: 'string' },
        'without-sallyport': { type: 'boolean' },
        json: { type: 'string' },
        markdown: { type: 'boolean' },
      },
    })
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error), { cause: error })
  }
}
