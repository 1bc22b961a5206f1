/**
 * `sallyport session …`: who is connected now, and ending it.
 */

import type { SessionsEnded, SessionView } from '../contract/services.ts'
import type { Context } from './context.ts'
import { CliError } from './failure.ts'
import type { Define } from './index.ts'
import { allPages, counted, plain, printListing, shortTime } from './output.ts'

export const session: Define = (command, run) => {
  command.description('Open mail sessions.').addHelpText(
    'after',
    `
Examples:
  sallyport session list --user ann@example.org
  sallyport session end --user ann@example.org`,
  )

  command
    .command('list')
    .description('List open sessions.')
    .option('--user <address>', 'of this user only')
    .action(
      run<[], { user?: string }>(async (context, _, { user }) => {
        await context.withServices(async (services) => {
          const sessions = allPages(async (after) => {
            const page = await services.call('session.list', {
              ...(user === undefined ? {} : { user }),
              after,
              limit: 200,
            })
            return { items: page.sessions, next: page.next }
          })
          await printListing(context.io, context.json, sessions, COLUMNS)
        })
        return undefined
      }),
    )

  command
    .command('end')
    .description('End sessions. With several options a session must match all of them. The client may log in again.')
    .option('--user <address>', 'sessions of this user')
    .option('--app-password <id>', 'sessions of this app password')
    .option('--id <id>', 'this session')
    .action(
      run<[], { user?: string; appPassword?: string; id?: string }>(async (context, _, { user, appPassword, id }) => {
        if (user === undefined && appPassword === undefined && id === undefined) {
          throw new CliError('usage', 'say which sessions: --user, --app-password or --id')
        }
        const filter = {
          ...(user === undefined ? {} : { user }),
          ...(appPassword === undefined ? {} : { appPassword }),
          ...(id === undefined ? {} : { id }),
        }
        const done = await context.withServices((services) => services.call('session.end', filter))
        await context.print(done, `${counted(done.sessionsEnded, 'session')} ended\n`)
        unansweredNote(context, done)
        return undefined
      }),
    )
}

/** Says which processes did not confirm within a second that they ended their sessions. */
export function unansweredNote(context: Context, { unanswered }: SessionsEnded): void {
  if (unanswered.length === 0) return
  context.warn(
    `no answer within a second from ${unanswered.map(plain).join(', ')}: sessions there are not in the count; look again with: sallyport session list`,
  )
}

const COLUMNS = {
  ID: ({ id }: SessionView) => id,
  USER: ({ user }: SessionView) => user,
  PROTOCOL: ({ protocol }: SessionView) => protocol,
  'APP PASSWORD': ({ appPassword }: SessionView) => appPassword?.name ?? '–',
  FROM: ({ ip }: SessionView) => ip,
  SINCE: ({ startedAt }: SessionView) => shortTime(startedAt),
  UPSTREAM: ({ upstream }: SessionView) => upstream ?? '–',
  STATE: ({ state }: SessionView) => state,
} as const
