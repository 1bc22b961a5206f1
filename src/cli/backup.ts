/**
 * `sallyport backup` and `sallyport restore`.
 */

import { resolve } from 'node:path'
import type { Define } from './index.ts'

export const backup: Define = (command, run) => {
  command
    .argument('<file>', 'new file to write, mode 0600')
    .description(
      'Write a copy of the store to a new file, also while the server runs. It holds no keys: keep the key file elsewhere.',
    )
    .action(
      run<[string], object>(async (context, [file]) => {
        const done = await context.withServices((services) =>
          services.call('backup', { file: resolve(context.io.cwd, file) }),
        )
        await context.print(
          done,
          `wrote ${done.file} (${done.bytes} bytes)\nKeep the key file, too: without it a backup is worth nothing.\n`,
        )
        return undefined
      }),
    )
}

export const restore: Define = (command, run) => {
  command
    .argument('<file>', 'file that `sallyport backup` wrote')
    .description(
      'Make a backup the store again. No server may be running. The store that is there now is kept beside it.',
    )
    .option('-y, --yes', 'do not ask')
    .action(
      run<[string], { yes?: boolean }>(async (context, [file], options) =>
        (await import('./restore.ts')).restore(context, file, options.yes === true),
      ),
    )
}
