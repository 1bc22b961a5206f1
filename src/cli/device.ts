/**
 * `sallyport device …`: phones that have come by ActiveSync, and keeping one out.
 */

import { DEVICE_STATES } from '../contract/services/devices.ts'
import type { DeviceView } from '../contract/services.ts'
import type { Context } from './context.ts'
import { CliError } from './failure.ts'
import type { Define } from './index.ts'
import { allPages, counted, printListing, shortTime, table } from './output.ts'
import { unansweredNote } from './session.ts'

type ByUser = { user: string }
type Listed = { user?: string; state?: string }

export const device: Define = (command, run) => {
  command.description('Devices that have come by ActiveSync.').addHelpText(
    'after',
    `
Examples:
  sallyport device list --state waiting              # whose new devices wait (eas.quarantine), the longest waiting first
  sallyport device list --user ann@example.org
  sallyport device block appldnqk3 --user ann@example.org`,
  )
  const forUser = (name: string) => command.command(name).requiredOption('--user <address>', 'whose device it is')

  command
    .command('list')
    .description('List devices, allowed or not: those of a user, or of everybody in the order in which they came.')
    .option('--user <address>', 'of this user only')
    .option('--state <state>', `only those in this state: ${DEVICE_STATES.join(', ')}`)
    .action(run<[], Listed>((context, _, options) => list(context, options)))

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

async function list(context: Context, { user, state: word }: Listed): Promise<undefined> {
  const state = DEVICE_STATES.find((each) => each === word)
  if (word !== undefined && state === undefined) {
    throw new CliError('usage', `the state is one of ${DEVICE_STATES.join(', ')}`)
  }
  const filter = state === undefined ? {} : { state }
  await context.withServices(async (services) => {
    if (user !== undefined) {
      const { devices } = await services.call('device.list', { ...filter, user })
      return await context.print(devices, table(devices, COLUMNS))
    }
    const devices = allPages(async (after) => {
      const page = await services.call('device.list', { ...filter, after, limit: 200 })
      return { items: page.devices, next: page.next }
    })
    return await printListing(context.io, context.json, devices, { USER: ({ user }: DeviceView) => user, ...COLUMNS })
  })
  return undefined
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
