/**
 * `sallyport audit`: who changed what, when.
 */

import { setTimeout as delay } from 'node:timers/promises'
import type { AuditView, Services } from '../contract/services.ts'
import type { Define } from './index.ts'
import type { Io } from './io.ts'
import { duration } from './options.ts'
import { plain, printJsonArray, write } from './output.ts'

/** How often --follow asks for news. */
const FOLLOW_MS = 1000

interface AuditOptions {
  readonly user?: string
  readonly since?: number
  readonly follow?: boolean
}

export const audit: Define = (command, run) => {
  command
    .description('Show the audit trail, oldest first.')
    .option('--user <address>', 'what concerns this user')
    .option('--since <duration>', 'not older than this, such as 1h', duration)
    .option('--follow', 'go on until interrupted; with --json one entry a line')
    .addHelpText(
      'after',
      '\nExamples:\n  sallyport audit --since 1d\n  sallyport audit --user ann@example.org --follow',
    )
    .action(
      run<[], AuditOptions>(async (context, _, options) => {
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

async function* entriesOf(
  services: Services,
  { user, since, follow = false }: AuditOptions,
  io: Io,
): AsyncGenerator<AuditView> {
  const filter = {
    ...(user === undefined ? {} : { user }),
    ...(since === undefined ? {} : { sinceMs: Date.now() - since }),
  }
  let afterSeq = 0
  while (!io.interrupted.aborted) {
    const { entries, lastSeq } = await services.call('audit.list', { ...filter, afterSeq, limit: 200 })
    yield* entries
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
  return `${plain(`${at.replace('T', ' ').slice(0, 19)}  ${event.padEnd(20)}  ${user ?? '–'}  by ${actor}  ${parts.join(' ')}`).trimEnd()}\n`
}
