/**
 * `sallyport keys …`: the keys of the key file, never their values.
 */

import type { Define } from './index.ts'
import { shortTime, table } from './output.ts'

export const keys: Define = (command, run) => {
  command.description('Keys of the key file.')
  command
    .command('status')
    .description('List the keys, and how many rows of the store were made with each.')
    .action(
      run(async (context) => {
        const status = await context.withServices((services) => services.call('keys.status', {}))
        const rows = table(status.keys, {
          KEY: ({ id }) => id,
          CREATED: ({ createdAt }) => shortTime(createdAt),
          STATE: ({ active }) => (active ? 'active' : 'old'),
          ROWS: (key) => String(key.rows),
        })
        await context.print(status, `${status.file}\n${rows}`)
        return undefined
      }),
    )
}
