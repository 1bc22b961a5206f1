/**
 * `sallyport app-password …`. The value is generated, never chosen (R6), and shown once (R16).
 */

import type { ProtocolName } from '../contract/admission.ts'
import type { AppPasswordView, RevokedAppPasswords } from '../contract/services.ts'
import type { Context } from './context.ts'
import { oneWay } from './context.ts'
import { CliError } from './failure.ts'
import type { Define } from './index.ts'
import { confirm } from './io.ts'
import { duration, expiry, networks, protocols } from './options.ts'
import { counted, plain, shortTime, table } from './output.ts'
import { unansweredNote } from './session.ts'

interface CreateOptions {
  readonly user: string
  readonly name: string
  readonly protocols?: ProtocolName[]
  readonly networks?: string[]
  readonly expires?: number | 'never'
}

const lifeOf = (expires: number | 'never'): number | null => (expires === 'never' ? null : expires)

interface UpdateOptions {
  readonly name?: string
  readonly protocols?: ProtocolName[]
  readonly networks?: string[]
  readonly expires?: number | 'never'
}

interface DeleteOptions {
  readonly user?: string
  readonly all?: boolean
  readonly unusedFor?: number
  readonly yes?: boolean
}

export const appPassword: Define = (command, run) => {
  command.description('App passwords: one per device, generated, shown once.').addHelpText(
    'after',
    `
Examples:
  sallyport app-password create --user ann@example.org --name phone
  sallyport app-password create --user scan@example.org --name scanner --protocols smtp --networks 192.0.2.0/24
  sallyport app-password delete --unused-for 180d`,
  )

  command
    .command('create')
    .description('Make an app password and print it. It is shown only now.')
    .requiredOption('--user <address>', 'whose it is')
    .requiredOption('--name <name>', 'which device it is for, 1 to 64 characters')
    .option('--protocols <list>', 'what it works on: imap,pop3,smtp,eas', protocols)
    .option('--networks <list>', 'addresses or blocks it works from: 192.0.2.0/24', networks)
    .option('--expires <duration>', 'life time, such as 90d, or never', expiry)
    .addHelpText('after', '\nWith --json: {"id","user","name","password","protocols","createdAt"}.')
    .action(run<[], CreateOptions>((context, _, options) => create(context, options)))

  command
    .command('list')
    .description('List the app passwords of a user, with their last use.')
    .requiredOption('--user <address>', 'whose')
    .action(
      run<[], { user: string }>(async (context, _, options) => {
        const list = await context.withServices((services) =>
          services.call('app-password.list', { user: options.user }),
        )
        await context.print(list, table(list, COLUMNS))
        return undefined
      }),
    )

  command
    .command('show')
    .argument('<id>', 'id of an app password')
    .description('Show one app password, with its last use. The value itself is nowhere.')
    .action(
      run<[string], object>(async (context, [id]) => {
        const shown = await context.withServices((services) => services.call('app-password.show', { id }))
        await context.print(shown, table([shown], { USER: ({ user }) => user, ...COLUMNS }))
        return undefined
      }),
    )

  command
    .command('update')
    .argument('<id>', 'id of an app password')
    .description(
      'Rename an app password, or change what it may do. Sessions that it does not allow any more end within a second.',
    )
    .option('--name <name>', 'which device it is for')
    .option('--protocols <list>', 'instead of those of before: some of imap,pop3,smtp,eas', protocols)
    .option('--networks <list>', 'from these networks only: 192.0.2.1,10.0.0.0/8; any: from anywhere', networks)
    .option('--expires <duration>', 'from now on it lives this long: 90d; never', expiry)
    .action(run<[string], UpdateOptions>((context, [id], options) => update(context, id, options)))

  command
    .command('delete')
    .argument('[id]', 'id of an app password')
    .description('Delete app passwords; their open sessions end within a second. This cannot be undone.')
    .option('--user <address>', 'with --all: of this user')
    .option('--all', 'all app passwords of --user')
    .option('--unused-for <duration>', 'all that nobody has used for so long, of all users', duration)
    .option('-y, --yes', 'do not ask')
    .action(run<[string | undefined], DeleteOptions>((context, [id], options) => deleteSome(context, id, options)))
}

async function create(context: Context, options: CreateOptions): Promise<undefined> {
  const made = await context.withServices((services) =>
    services.call('app-password.create', {
      user: options.user,
      name: options.name,
      ...(options.protocols ? { protocols: options.protocols } : {}),
      ...(options.networks ? { networks: options.networks } : {}),
      ...(options.expires === undefined ? {} : { expiresInMs: lifeOf(options.expires) }),
    }),
  )
  // The one place where the value is printed: these six keys and no other.
  const { id, user, name, password, protocols, createdAt } = made
  await context.print(
    { id, user, name, password, protocols, createdAt },
    `App password "${plain(name)}" for ${user} (${protocols.join(', ')}):\n\n    ${password}\n\nIt is shown only now. Type it into the mail client in place of the password, with or without the blanks.\n`,
  )
  return undefined
}

async function update(context: Context, id: string, options: UpdateOptions): Promise<undefined> {
  const { name, protocols, networks, expires } = options
  if ([name, protocols, networks, expires].every((each) => each === undefined)) {
    throw new CliError('usage', 'say what is to change: --name, --protocols, --networks or --expires')
  }
  const done = await context.withServices((services) =>
    services.call('app-password.update', {
      id,
      ...(name === undefined ? {} : { name }),
      ...(protocols ? { protocols } : {}),
      ...(networks ? { networks } : {}),
      ...(expires === undefined ? {} : { expiresInMs: lifeOf(expires) }),
    }),
  )
  const { sessionsEnded } = done
  await context.print(done, `${table([done], COLUMNS)}${counted(sessionsEnded, 'session')} ended\n`)
  unansweredNote(context, done)
  return undefined
}

async function deleteSome(context: Context, id: string | undefined, options: DeleteOptions): Promise<undefined> {
  const { user, all = false, unusedFor, yes = false } = options
  oneWay({
    ID: id !== undefined,
    '--user with --all': user !== undefined || all,
    '--unused-for': unusedFor !== undefined,
  })
  if ((user !== undefined) !== all)
    throw new CliError('usage', '--user and --all go together: all app passwords of one user')
  await context.withServices(async (services) => {
    let done: RevokedAppPasswords
    if (id !== undefined) {
      await confirm(context.io, `Delete app password ${plain(id)}? This cannot be undone.`, yes)
      done = await services.call('app-password.delete', { id })
    } else if (user !== undefined) {
      const list = await services.call('app-password.list', { user })
      await confirm(
        context.io,
        `Delete ${counted(list.length, 'app password')} of ${plain(user)}? This cannot be undone.`,
        yes,
      )
      done = await services.call('app-password.delete-all', { user })
    } else {
      await confirm(
        context.io,
        'Delete all app passwords that nobody has used for so long? This cannot be undone.',
        yes,
      )
      done = await services.call('app-password.delete-unused', { unusedForMs: unusedFor ?? 0 })
    }
    const names = done.deleted.map((each) => `  ${each.id}  ${plain(each.user)}  ${plain(each.name)}\n`).join('')
    await context.print(
      done,
      `deleted ${counted(done.deleted.length, 'app password')}; ${counted(done.sessionsEnded, 'session')} ended\n${names}`,
    )
    unansweredNote(context, done)
  })
  return undefined
}

const COLUMNS = {
  ID: ({ id }: AppPasswordView) => id,
  NAME: ({ name }: AppPasswordView) => name,
  PROTOCOLS: ({ protocols }: AppPasswordView) => protocols.join(','),
  NETWORKS: ({ networks }: AppPasswordView) => (networks.length === 0 ? 'any' : networks.join(',')),
  CREATED: ({ createdAt }: AppPasswordView) => shortTime(createdAt),
  EXPIRES: ({ expiresAt }: AppPasswordView) => (expiresAt === null ? 'never' : shortTime(expiresAt)),
  'LAST USED': ({ lastUsed }: AppPasswordView) =>
    lastUsed === null ? '–' : `${shortTime(lastUsed.at)} ${lastUsed.protocol} ${lastUsed.ip}`,
} as const
