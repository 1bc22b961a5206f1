/**
 * `sallyport secret …`: a user's own password at an upstream, for identity method stored-secret (an upstream's, or its ActiveSync's own). Sealed in the store.
 */

import { CliError } from './failure.ts'
import type { Define } from './index.ts'
import { readSecret } from './io.ts'

export const secret: Define = (command, run) => {
  command
    .description('Upstream passwords of users, for upstreams where identity or eas.identity has method: stored-secret.')
    .addHelpText(
      'after',
      `
Examples:
  sallyport secret set --user ann@example.org --upstream main            # asks
  sallyport secret set --user ann@example.org --upstream main < file`,
    )

  command
    .command('set')
    .description(
      'Store the password that sallyport logs in upstream with for a user. Read from standard input, or asked for.',
    )
    .requiredOption('--user <address>', 'whose')
    .requiredOption('--upstream <name>', 'name of the upstream in the configuration')
    .action(
      run<[], { user: string; upstream: string }>(async (context, _, { user, upstream }) => {
        const value = await readSecret(context.io, `Password of ${user} at ${upstream}`, {
          stdin: false,
          confirm: true,
        })
        const done = await context.withServices((services) =>
          services.call('secret.set', { user, upstream, secret: value.reveal() }),
        )
        await context.print(done, `stored the password of ${done.user} at ${done.upstream}\n`)
        return undefined
      }),
    )

  command
    .command('delete')
    .description('Forget that password.')
    .requiredOption('--user <address>', 'whose')
    .requiredOption('--upstream <name>', 'name of the upstream')
    .action(
      run<[], { user: string; upstream: string }>(async (context, _, { user, upstream }) => {
        const done = await context.withServices((services) => services.call('secret.delete', { user, upstream }))
        if (!done.deleted)
          throw new CliError('failed', `no password of ${done.user} at ${done.upstream} is stored`, {
            code: 'not-found',
          })
        await context.print(done, `deleted the password of ${done.user} at ${done.upstream}\n`)
        return undefined
      }),
    )
}
