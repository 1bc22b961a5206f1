/**
 * `sallyport throttle …`: who is slowed down for failed logins, and letting them go.
 */

import type { ThrottleView } from '../contract/services.ts'
import type { Define } from './index.ts'
import { counted, shortTime, table } from './output.ts'

interface Who {
  readonly user?: string
  readonly address?: string
}

export const throttle: Define = (command, run) => {
  command.description('What slows guessing down: failed logins by user and by address.').addHelpText(
    'after',
    `
Lanes: address (IPv4 address or IPv6 /64), site (IPv6 /48), user, user-address, factor (second steps in the portal).
A right app password is never refused because of them; a wrong one waits longer the more failures there were.

Examples:
  sallyport throttle list
  sallyport throttle clear --user ann@example.org
  sallyport throttle clear --address 203.0.113.7`,
  )

  command
    .command('list')
    .description('List who failed in the last quarter of an hour, the longest waits first.')
    .option('--user <address>', 'of this user only')
    .option('--address <ip>', 'of this address only')
    .action(
      run<[], Who>(async (context, _, { user, address }) => {
        const { lanes, total } = await context.withServices((services) =>
          services.call('throttle.list', { ...who({ user, address }), limit: 1000 }),
        )
        if (total > lanes.length) context.warn(`the worst ${lanes.length} of ${total} are shown`)
        await context.print(lanes, table(lanes, COLUMNS))
        return undefined
      }),
    )

  command
    .command('clear')
    .description(
      'Forget the failures of a user, of an address, or of both; without an option those of everybody. A user whose primary passwords the mail server or the directory has refused too often may try again.',
    )
    .addHelpText('after', '\nOf this server, and of what several servers share in Redis; run it on each of them.')
    .option('--user <address>', 'everything counted for this user, from wherever')
    .option('--address <ip>', 'everything counted for this address, whoever it was')
    .action(
      run<[], Who>(async (context, _, { user, address }) => {
        const done = await context.withServices((services) => services.call('throttle.clear', who({ user, address })))
        await context.print(done, `${counted(done.cleared, 'lane')} cleared\n`)
        return undefined
      }),
    )
}

function who({ user, address }: { readonly user?: string | undefined; readonly address?: string | undefined }): Who {
  return { ...(user === undefined ? {} : { user }), ...(address === undefined ? {} : { address }) }
}

const COLUMNS = {
  LANE: ({ lane }: ThrottleView) => lane,
  USER: ({ user }: ThrottleView) => user ?? '–',
  ADDRESS: ({ address }: ThrottleView) => address ?? '–',
  FAILURES: ({ failures }: ThrottleView) => String(failures),
  WAIT: ({ waitMs }: ThrottleView) => (waitMs === 0 ? '–' : `${Math.ceil(waitMs / 1000)} s`),
  'LAST FAILED': ({ lastFailedAt }: ThrottleView) => shortTime(lastFailedAt),
} as const
