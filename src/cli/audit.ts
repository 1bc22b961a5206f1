/**
 * `sallyport audit`: who changed what, when.
 */

import { setTimeout as delay } from 'node:timers/promises'
import { InvalidArgumentError } from 'commander'
import type { AuditView, Services } from '../contract/services.ts'
import type { Context } from './context.ts'
import { CliError, EXIT } from './failure.ts'
import type { Define } from './index.ts'
import type { Io } from './io.ts'
import { count, duration } from './options.ts'
import { counted, plain, printJsonArray, write } from './output.ts'

/** How often --follow asks for news. */
const FOLLOW_MS = 1000

/** As many as one question may ask for. */
const PAGE = 200

interface AuditOptions {
  readonly user?: string
  readonly since?: number
  readonly newestFirst?: boolean
  readonly limit?: number
  readonly follow?: boolean
  readonly verify?: boolean
  readonly mark?: Mark
}

interface Mark {
  readonly seq: number
  readonly code: string
}

function mark(text: string): Mark {
  const match = /^(\d{1,15}):([\w-]{43})$/.exec(text)
  if (!match) throw new InvalidArgumentError('Write it as it was printed: number, colon, code.')
  return { seq: Number(match[1]), code: match[2] ?? '' }
}

export const audit: Define = (command, run) => {
  command
    .description('Show the audit trail, oldest first.')
    .option('--user <address>', 'what concerns this user, also one who was deleted')
    .option('--since <duration>', 'not older than this, such as 1h', duration)
    .option('--newest-first', 'begin with what happened last')
    .option('--limit <number>', 'so many entries at the most', count)
    .option('--verify', 'check that no entry was changed or taken out; exit code 1 if one was')
    .option('--mark <seq:code>', 'with --verify: an earlier end of the trail, from a log line audit_mark', mark)
    .option('--follow', 'go on until interrupted; with --json one entry a line')
    .addHelpText(
      'after',
      '\nExamples:\n  sallyport audit --since 1d\n  sallyport audit --newest-first --limit 20\n  sallyport audit --user ann@example.org --follow',
    )
    .action(
      run<[], AuditOptions>(async (context, _, options) => {
        if (options.verify === true) return await verify(context, options.mark)
        if (options.mark !== undefined) throw new CliError('usage', '--mark goes with --verify')
        if (options.follow === true && (options.newestFirst === true || options.limit !== undefined)) {
          throw new CliError('usage', '--follow goes on from the oldest: leave out --newest-first and --limit')
        }
        await context.withServices(async (services) => {
          const entries = entriesOf(services, options, context.io)
          if (context.json && options.follow !== true) return printJsonArray(context.io, entries)
          for await (const entry of entries)
            await write(context.io, context.json ? `${JSON.stringify(entry)}\n` : lineOf(entry))
        })
        return undefined
      }),
    )
}

async function verify(context: Context, noted: Mark | undefined): Promise<number> {
  const verdict = await context.withServices((services) =>
    services.call('audit.verify', noted === undefined ? {} : { mark: noted }),
  )
  const { ok, sound, older, unknownKey, broken } = verdict
  const lines = [
    broken === null
      ? 'the audit trail is sound: no entry was changed or taken out'
      : `the audit trail is broken at entry ${broken.seq}: ${broken.why}`,
    `${counted(sound, 'entry', 'entries')} checked`,
    ...(older > 0 ? [`${counted(older, 'entry', 'entries')} from before the chain began, not checked`] : []),
    ...(unknownKey > 0
      ? [`${counted(unknownKey, 'entry', 'entries')} under keys that the key file lacks, not checked`]
      : []),
    ...(verdict.mark === null ? [] : [`mark: ${verdict.mark.seq}:${verdict.mark.code}`]),
  ]
  await context.print(verdict, `${lines.join('\n')}\n`)
  return ok ? EXIT.ok : EXIT.failed
}

async function* entriesOf(
  services: Services,
  { user, since, newestFirst = false, limit: most, follow = false }: AuditOptions,
  io: Io,
): AsyncGenerator<AuditView> {
  const filter = {
    ...(user === undefined ? {} : { user }),
    ...(since === undefined ? {} : { sinceMs: Date.now() - since }),
    order: newestFirst ? ('newest' as const) : ('oldest' as const),
  }
  let afterSeq = 0
  let left = most ?? Number.POSITIVE_INFINITY
  while (!io.interrupted.aborted && left > 0) {
    const limit = Math.min(left, PAGE)
    const { entries, lastSeq } = await services.call('audit.list', { ...filter, afterSeq, limit })
    yield* entries
    left -= entries.length
    // A page may be shorter than asked for; the end is a page with nothing on it.
    if (entries.length === 0) {
      if (!follow) return
      await delay(FOLLOW_MS, undefined, { signal: io.interrupted }).catch(() => undefined)
    }
    afterSeq = lastSeq
  }
}

function lineOf({ at, event, actor, user, detail }: AuditView): string {
  const parts = Object.entries(detail).map(
    ([key, value]) => `${key}=${typeof value === 'string' && /[\s"]/.test(value) ? JSON.stringify(value) : value}`,
  )
  return `${plain(`${at.replace('T', ' ').slice(0, 19)}Z  ${event.padEnd(20)}  ${user ?? '–'}  by ${actor}  ${parts.join(' ')}`).trimEnd()}\n`
}
