/**
 * `sallyport policy …`: who may have app passwords, set while the server runs.
 */

import type { PolicySetting, PolicyView, ServiceRequest, UserPolicyView } from '../contract/services.ts'
import type { Context } from './context.ts'
import { oneWay } from './context.ts'
import { CliError } from './failure.ts'
import type { Define } from './index.ts'
import { allPages, counted, plain, printJsonArray, table, write } from './output.ts'
import { unansweredNote } from './session.ts'

interface SetOptions {
  readonly all?: boolean
  readonly group?: string
  readonly user?: string
}

type Setting = PolicySetting | 'default'
const SETTINGS: readonly Setting[] = ['allowed', 'forbidden', 'default']

export const policy: Define = (command, run) => {
  command
    .description('Who may have app passwords. What is set here goes before the configuration, at once.')
    .addHelpText(
      'after',
      `
A user's own setting goes before that of a group, a group's before that of everybody; of several groups the strictest counts.
Examples:
  sallyport policy set forbidden --group contractors   # their mail sessions end within a second
  sallyport policy set default --group contractors     # what the configuration says again
  sallyport policy show ann@example.org`,
    )

  command
    .command('list')
    .description('List what is set and what the configuration says.')
    .action(
      run(async (context) => {
        await context.withServices(async (services) => {
          const policies = allPages(async (after) => {
            const page = await services.call('policy.list', { after, limit: 200 })
            return { items: page.policies, next: page.next }
          })
          if (context.json) return printJsonArray(context.io, policies)
          const rows: PolicyView[] = []
          for await (const each of policies) rows.push(each)
          return write(context.io, table(rows, COLUMNS))
        })
        return undefined
      }),
    )

  command
    .command('show')
    .argument('<address>')
    .description('Show what holds for one user, and which setting says so.')
    .action(
      run<[string], object>(async (context, [user]) => {
        const view = await context.withServices((services) => services.call('policy.show', { user }))
        await context.print(view, details(view))
        return undefined
      }),
    )

  command
    .command('set')
    .argument('<setting>', 'allowed, forbidden, or default: as the configuration says')
    .description('Allow or forbid app passwords. Those that are forbidden stop working and their sessions end.')
    .option('--all', 'for everybody')
    .option('--group <group>', 'for the members of a group')
    .option('--user <address>', 'for one user')
    .action(run<[string], SetOptions>((context, [setting], options) => set(context, setting, options)))
}

async function set(context: Context, word: string, { all = false, group, user }: SetOptions): Promise<undefined> {
  const appPasswords = SETTINGS.find((setting) => setting === word)
  if (appPasswords === undefined) throw new CliError('usage', `the setting is one of ${SETTINGS.join(', ')}`)
  oneWay({ '--all': all, '--group': group !== undefined, '--user': user !== undefined })
  const request: ServiceRequest<'policy.set'> =
    user !== undefined
      ? { scope: 'user', user, appPasswords }
      : group !== undefined
        ? { scope: 'group', group, appPasswords }
        : { scope: 'all', appPasswords }
  const done = await context.withServices((services) => services.call('policy.set', request))
  const holds = done.appPasswords ?? 'not set (what is wider counts)'
  await context.print(
    done,
    `app passwords for ${whom(done)}: ${holds}${done.changed ? '' : ' (as before)'}; ${counted(done.sessionsEnded, 'session')} ended\n`,
  )
  unansweredNote(context, done)
  return undefined
}

function whom({ scope, subject }: Pick<PolicyView, 'scope' | 'subject'>): string {
  return scope === 'all' ? 'everybody' : `${scope === 'group' ? 'group ' : ''}${plain(subject ?? '')}`
}

const COLUMNS = {
  FOR: whom,
  'APP PASSWORDS': ({ appPasswords }: PolicyView) => appPasswords ?? '–',
  SOURCE: ({ source }: PolicyView) => (source === 'set' ? 'set here' : 'configuration'),
  CONFIGURED: ({ configured }: PolicyView) => configured ?? '–',
} as const

function details({ user, appPasswords, decidedBy, perUser, expiryMs, protocols }: UserPolicyView): string {
  const source = decidedBy.source === 'set' ? 'set here' : 'configuration'
  const lines = {
    user,
    'app passwords': `${appPasswords}, by what holds for ${whom(decidedBy)} (${source})`,
    'at most': String(perUser),
    'longest life': expiryMs === null ? 'for ever' : `${Math.round(expiryMs / 86_400_000)} days`,
    protocols: protocols.join(', '),
  }
  return Object.entries(lines)
    .map(([label, value]) => `${`${label}:`.padEnd(15)}${plain(value)}\n`)
    .join('')
}
