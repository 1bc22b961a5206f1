/**
 * `sallyport token …`: what programs prove themselves with at the admin API.
 */

import { InvalidArgumentError } from 'commander'
import { API_SCOPES } from '../contract/services/api-scopes.ts'
import type { ApiTokenView } from '../contract/services.ts'
import type { Define } from './index.ts'
import { confirm } from './io.ts'
import { duration } from './options.ts'
import { plain, shortTime, table } from './output.ts'

type Scope = (typeof API_SCOPES)[number]

export const token: Define = (command, run) => {
  command.description('Tokens of the admin API. Each has scopes and an end.').addHelpText(
    'after',
    `
Scopes: ${API_SCOPES.join(' ')}

Examples:
  sallyport token create --name helpdesk --scopes users:read,app-passwords:read,app-passwords:write
  sallyport token create --name metrics --scopes sessions:read --expires 30d`,
  )

  command
    .command('create')
    .description('Make a token and print it. It is shown only now.')
    .requiredOption('--name <name>', 'what it is for, 1 to 64 characters')
    .requiredOption('--scopes <list>', 'what it may do: users:read,app-passwords:write', scopes)
    .option('--expires <duration>', 'life time, a year at the most', duration)
    .action(
      run<[], { name: string; scopes: Scope[]; expires?: number }>(async (context, _, { name, scopes, expires }) => {
        const made = await context.withServices((services) =>
          services.call('token.create', { name, scopes, ...(expires === undefined ? {} : { expiresInMs: expires }) }),
        )
        await context.print(
          made,
          `Token "${plain(made.name)}" (${made.scopes.join(', ')}), until ${shortTime(made.expiresAt)}:\n\n    ${made.token}\n\nIt is shown only now.\n`,
        )
        return undefined
      }),
    )

  command
    .command('list')
    .description('List all tokens, without their values.')
    .action(
      run(async (context) => {
        const list = await context.withServices((services) => services.call('token.list', {}))
        await context.print(list, table(list, COLUMNS))
        return undefined
      }),
    )

  command
    .command('delete')
    .argument('<id>', 'id of a token')
    .description('Delete a token: it opens nothing from now on. This cannot be undone.')
    .option('-y, --yes', 'do not ask')
    .action(
      run<[string], { yes?: boolean }>(async (context, [id], { yes = false }) => {
        await confirm(context.io, `Delete token ${plain(id)}? This cannot be undone.`, yes)
        const done = await context.withServices((services) => services.call('token.delete', { id }))
        await context.print(done, `deleted token "${plain(done.name)}"\n`)
        return undefined
      }),
    )
}

function scopes(text: string): Scope[] {
  return text.split(',').map((word) => {
    const known = API_SCOPES.find((scope) => scope === word.trim())
    if (known === undefined) throw new InvalidArgumentError(`Write some of ${API_SCOPES.join(',')}.`)
    return known
  })
}

const COLUMNS = {
  ID: ({ id }: ApiTokenView) => id,
  NAME: ({ name }: ApiTokenView) => name,
  SCOPES: ({ scopes }: ApiTokenView) => scopes.join(','),
  EXPIRES: ({ expiresAt }: ApiTokenView) => shortTime(expiresAt),
  'LAST USED': ({ lastUsedAt }: ApiTokenView) => shortTime(lastUsedAt),
  BY: ({ createdBy }: ApiTokenView) => createdBy,
} as const
