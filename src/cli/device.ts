/**
 * `sallyport device …`: phones that have come by ActiveSync, and keeping one out.
 */

import type { DeviceView } from '../contract/services.ts'
import type { Define } from './index.ts'
import { counted, shortTime, table } from './output.ts'
import { unansweredNote } from './session.ts'

type ByUser = { user: string }

export const device: Define = (command, run) => {
  command.description('Devices that have come by ActiveSync.').addHelpText(
    'after',
    `
Examples:
  sallyport device list --user ann@example.org
  sallyport device block appldnqk3 --user ann@example.org`,
  )
  const forUser = (name: string) => command.command(name).requiredOption('--user <address>', 'whose device it is')

  forUser('list')
    .description('List devices, allowed or not.')
    .action(
      run<[], ByUser>(async (context, _, { user }) => {
        const { devices } = await context.withServices((services) => services.call('device.list', { user }))
        await context.print(devices, table(devices, COLUMNS))
        return undefined
      }),
    )

  forUser('block')
    .argument('<id>', 'as in the list')
    .description('Keep a device out and end its requests under way. Its app password goes on working elsewhere.')
    .action(
      run<[string], ByUser>(async (context, [id], { user }) => {
        const done = await context.withServices((services) => services.call('device.block', { user, id }))
        await context.print(done, `blocked; ${counted(done.sessionsEnded, 'session')} ended\n`)
        unansweredNote(context, done)
        return undefined
      }),
    )

  forUser('allow')
    .argument('<id>', 'as in the list')
    .description('Let in a device that waits or was blocked.')
    .action(
      run<[string], ByUser>(async (context, [id], { user }) => {
        const done = await context.withServices((services) => services.call('device.allow', { user, id }))
        await context.print(done, 'allowed\n')
        return undefined
      }),
    )

  forUser('forget')
    .argument('<id>', 'as in the list')
    .description('Forget a device. It is new when it comes again.')
    .action(
      run<[string], ByUser>(async (context, [id], { user }) => {
        const done = await context.withServices((services) => services.call('device.forget', { user, id }))
        await context.print(done, 'forgotten\n')
        return undefined
      }),
    )
}

const COLUMNS = {
  ID: ({ id }: DeviceView) => id,
  TYPE: ({ type }: DeviceView) => type ?? '–',
  STATE: ({ state }: DeviceView) => state,
  PROTOCOL: ({ protocolVersion }: DeviceView) => protocolVersion ?? '–',
  'FIRST SEEN': ({ firstSeenAt }: DeviceView) => shortTime(firstSeenAt),
  'LAST SEEN': ({ lastSeenAt }: DeviceView) => shortTime(lastSeenAt),
  FROM: ({ lastIp }: DeviceView) => lastIp,
  PROGRAM: ({ agent }: DeviceView) => agent ?? '–',
} as const
