/**
 * `sallyport user …`: who may have app passwords.
 */

import type { Language } from '../contract/languages.ts'
import { LANGUAGES } from '../contract/languages.ts'
import type { IssuedInvitation, SessionsEnded, UserDetail, UserView } from '../contract/services.ts'
import type { Context } from './context.ts'
import { oneWay } from './context.ts'
import { CliError } from './failure.ts'
import type { Define } from './index.ts'
import { confirm, readSecret } from './io.ts'
import { collect, language } from './options.ts'
import { allPages, counted, plain, printListing, shortTime } from './output.ts'
import { unansweredNote } from './session.ts'

export const user: Define = (command, run) => {
  command.description('Users: who may have app passwords.').addHelpText(
    'after',
    `
Examples:
  sallyport user add ann@example.org --name 'Ann Example'
  sallyport user add bob@example.org --invite      # prints a link with which he sets up two-step himself
  sallyport user import users.csv
  sallyport user disable ann@example.org        # every mail session of hers ends at once`,
  )

  command
    .command('add')
    .argument('<address>', 'mail address; a bare name gets the first domain')
    .description('Add a user. Without a password she can be given app passwords, and has no other.')
    .option('--name <name>', 'name to show')
    .option('--group <group>', 'group; can be given several times', collect)
    .option('--admin', 'an administrator')
    .option('--language <code>', LANGUAGE, language)
    .option('--password-stdin', 'read a password for the portal from standard input')
    .option('--invite', 'make an invitation link: with it the user sets up two-step, and gets a password of the portal')
    .option('--mail', 'with --invite: mail the link to the user instead of printing it')
    .action(
      run<[string], AddOptions>(async (context, [address], options) => {
        const password = options.passwordStdin
          ? await readSecret(context.io, 'Password', { stdin: true, confirm: false })
          : null
        if (options.mail && !options.invite) throw new CliError('usage', '--mail goes with --invite')
        const { added, invitation } = await context.withServices(async (services) => {
          const added = await services.call('user.add', {
            address,
            name: options.name ?? null,
            groups: options.group ?? [],
            admin: options.admin === true,
            language: languageOf(options.language),
            password: password?.reveal() ?? null,
          })
          const invitation = options.invite
            ? await services.call('user.invite', { address: added.address, mail: options.mail === true })
            : null
          return { added, invitation }
        })
        await context.print(
          invitation ? { ...added, invitation } : added,
          `added ${added.address}\n${invitation ? invitationText(invitation) : ''}`,
        )
        return undefined
      }),
    )

  command
    .command('import')
    .argument('<file>', 'CSV with the header address,name,groups,language, or JSON lines; - for standard input')
    .description('Add many users from a file. Users who are there already are left as they are.')
    .addHelpText(
      'after',
      `
CSV: the first line names the columns: address, and if wanted name, groups (several with blanks between them) and language.
JSON lines: {"address":"ann@example.org","name":"Ann","groups":["office"],"language":"en"} on each line.
Lines that are refused are reported with their number and the reason; the others are added. Exit code 1 when any was refused.`,
    )
    .action(
      run<[string], object>(async (context, [file]) => (await import('./user-import.ts')).importUsers(context, file)),
    )

  command
    .command('list')
    .description('List all users.')
    .option('--search <text>', 'only those whose address, or a word of whose name, begins with this')
    .action(
      run<[], { search?: string }>(async (context, _, { search }) => {
        await context.withServices(async (services) => {
          const users = allPages(async (after) => {
            const { users, next } = await services.call('user.list', {
              ...(search === undefined ? {} : { search }),
              after,
              limit: 200,
            })
            return { items: users, next }
          })
          await printListing(context.io, context.json, users, COLUMNS)
        })
        return undefined
      }),
    )

  command
    .command('show')
    .argument('<address>')
    .description('Show one user.')
    .action(
      run<[string], object>(async (context, [address]) => {
        const shown = await context.withServices((services) => services.call('user.show', { address }))
        await context.print(shown, details(shown))
        return undefined
      }),
    )

  command
    .command('disable')
    .argument('<address>')
    .description('Lock a user out: logins are refused and open sessions end within a second. App passwords are kept.')
    .action(
      run<[string], object>(async (context, [address]) => {
        const done = await context.withServices((services) => services.call('user.disable', { address }))
        await context.print(done, `disabled ${done.address}; ${ended(done)}\n`)
        unansweredNote(context, done)
        return undefined
      }),
    )

  command
    .command('enable')
    .argument('<address>')
    .description('Let a disabled user in again.')
    .action(
      run<[string], object>(async (context, [address]) => {
        const done = await context.withServices((services) => services.call('user.enable', { address }))
        await context.print(done, `enabled ${done.address}\n`)
        return undefined
      }),
    )

  command
    .command('delete')
    .argument('<address>')
    .description('Delete a user with all app passwords. The address stays reserved. This cannot be undone.')
    .option('-y, --yes', 'do not ask')
    .action(
      run<[string], { yes?: boolean }>((context, [address], options) =>
        deleteUser(context, address, options.yes === true),
      ),
    )

  command
    .command('update')
    .argument('<address>')
    .description('Change the name a user is shown with, the language, or who is an administrator.')
    .option('--name <name>', "name to show; '' for none")
    .option('--admin', 'make an administrator')
    .option('--no-admin', 'an administrator no longer')
    .option('--language <code>', `${LANGUAGE}; none: not known`, language)
    .action(
      run<[string], UpdateOptions>(async (context, [address], { name, admin, language }) => {
        if (name === undefined && admin === undefined && language === undefined) {
          throw new CliError('usage', 'say what is to change: --name, --language, --admin or --no-admin')
        }
        const wanted = {
          ...(name === undefined ? {} : { name }),
          ...(admin === undefined ? {} : { admin }),
          ...(language === undefined ? {} : { language: languageOf(language) }),
        }
        const done = await context.withServices((services) => services.call('user.update', { address, ...wanted }))
        await context.print(done, `changed ${done.address}\n`)
        return undefined
      }),
    )

  command
    .command('set-groups')
    .argument('<address>')
    .description('Put a user into these groups and no others. Sessions that their policy does not allow end at once.')
    .option('--group <group>', 'group; can be given several times', collect)
    .option('--none', 'into no group')
    .action(
      run<[string], { group?: string[]; none?: boolean }>(async (context, [address], { group, none = false }) => {
        oneWay({ '--group': group !== undefined, '--none': none })
        const done = await context.withServices((services) =>
          services.call('user.set-groups', { address, groups: group ?? [] }),
        )
        const groups = done.groups.length === 0 ? 'no group' : done.groups.map(plain).join(', ')
        await context.print(done, `${done.address} is in ${groups}; ${ended(done)}\n`)
        unansweredNote(context, done)
        return undefined
      }),
    )

  command
    .command('invite')
    .argument('<address>')
    .description('Make an invitation link: with it the user sets up two-step. Good for 72 hours and one use.')
    .option('--mail', 'mail it to the user instead of printing it')
    .action(
      run<[string], { mail?: boolean }>(async (context, [address], { mail = false }) => {
        const invitation = await context.withServices((services) => services.call('user.invite', { address, mail }))
        await context.print(invitation, invitationText(invitation))
        return undefined
      }),
    )

  command
    .command('reset-two-step')
    .argument('<address>')
    .description(
      'Delete all ways in which a user proves herself at the portal, and invite her anew. App passwords stay.',
    )
    .option('--mail', 'mail the invitation to the user instead of printing it')
    .option('-y, --yes', 'do not ask')
    .action(
      run<[string], { mail?: boolean; yes?: boolean }>(async (context, [address], { mail = false, yes = false }) => {
        await confirm(context.io, `Delete all second steps of ${plain(address)}? This cannot be undone.`, yes)
        const done = await context.withServices((services) => services.call('user.reset-two-step', { address, mail }))
        await context.print(done, `${counted(done.methodsDeleted, 'method')} deleted\n${invitationText(done)}`)
        return undefined
      }),
    )

  command
    .command('set-password')
    .argument('<address>')
    .description('Set the password a user signs in to the portal with. No mail client can use it.')
    .option('--password-stdin', 'read it from standard input instead of asking')
    .action(
      run<[string], { passwordStdin?: boolean }>(async (context, [address], options) => {
        const password = await readSecret(context.io, 'New password', {
          stdin: options.passwordStdin === true,
          confirm: true,
        })
        const done = await context.withServices((services) =>
          services.call('user.set-password', { address, password: password.reveal() }),
        )
        await context.print(done, `set the password of ${done.address}; ${ended(done)}\n`)
        unansweredNote(context, done)
        return undefined
      }),
    )
}

/** Mails and refusals come in it, until the person chooses another at the portal. */
const LANGUAGE = `what mails and refusals are written in: ${LANGUAGES.join(', ')}`

const languageOf = (given: Language | 'none' = 'none'): Language | null => (given === 'none' ? null : given)

interface UpdateOptions {
  readonly name?: string
  readonly admin?: boolean
  readonly language?: Language | 'none'
}

interface AddOptions {
  readonly name?: string
  readonly group?: string[]
  readonly admin?: boolean
  readonly language?: Language | 'none'
  readonly passwordStdin?: boolean
  readonly invite?: boolean
  readonly mail?: boolean
}

/** The link is a secret: it is printed here and nowhere else. */
function invitationText({ user, url, expiresAt, mailed }: IssuedInvitation): string {
  const until = `good once, until ${shortTime(expiresAt)}`
  if (mailed || url === null) return `the invitation was mailed to ${plain(user)}; ${until}\n`
  return `Invitation for ${plain(user)}, ${until}:\n\n    ${url}\n\nGive it to nobody else. It is shown only now.\n`
}

async function deleteUser(context: Context, address: string, yes: boolean): Promise<undefined> {
  await context.withServices(async (services) => {
    const shown = await services.call('user.show', { address })
    await confirm(
      context.io,
      `Delete ${plain(shown.address)} with ${counted(shown.appPasswords, 'app password')}? This cannot be undone.`,
      yes,
    )
    const done = await services.call('user.delete', { address })
    await context.print(done, `deleted ${shown.address}; ${ended(done)}\n`)
    unansweredNote(context, done)
  })
  return undefined
}

const ended = ({ sessionsEnded }: SessionsEnded) => `${counted(sessionsEnded, 'session')} ended`

const METHOD_WORDS = { totp: 'authenticator app', passkey: 'passkey', provider: 'provider' } as const

const COLUMNS = {
  ADDRESS: ({ address }: UserView) => address,
  NAME: ({ name }: UserView) => name ?? '–',
  STATE: ({ enabled, admin }: UserView) => `${enabled ? 'enabled' : 'disabled'}${admin ? ', admin' : ''}`,
  GROUPS: ({ groups }: UserView) => (groups.length === 0 ? '–' : groups.join(' ')),
  'APP PASSWORDS': ({ appPasswords }: UserView) => String(appPasswords),
  CREATED: ({ createdAt }: UserView) => shortTime(createdAt),
} as const

function details(shown: UserDetail): string {
  const lines = {
    address: shown.address,
    name: shown.name ?? '–',
    state: COLUMNS.STATE(shown),
    groups: COLUMNS.GROUPS(shown),
    language: shown.language ?? '–',
    'app passwords': String(shown.appPasswords),
    'portal password': shown.hasPassword ? 'set' : 'none',
    'two-step since': shortTime(shown.enrolledAt),
    'two-step': shown.methods.map(({ kind, name }) => `${METHOD_WORDS[kind]} "${name}"`).join(', ') || 'not set up',
    'recovery codes': shown.recoveryCodes === null ? 'none' : `${shown.recoveryCodes} left`,
    created: shortTime(shown.createdAt),
    id: shown.id,
  }
  return Object.entries(lines)
    .map(([label, value]) => `${`${label}:`.padEnd(17)}${plain(value)}\n`)
    .join('')
}
