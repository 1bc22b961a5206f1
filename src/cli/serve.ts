/**
 * `sallyport serve`: the server, in the foreground. Its log lines go to standard output.
 */

import type { LoadedConfig } from '../config.ts'
import { ConfigError } from '../config.ts'
import { judgeCertificates } from './certificates.ts'
import { showWarnings } from './context.ts'
import type { Define } from './index.ts'

export const serve: Define = (command, run) => {
  command
    .description('Run the server in the foreground: log lines (JSON) on standard output.')
    .addHelpText(
      'after',
      `
Signals: SIGTERM and SIGINT drain and stop, a second one stops at once; SIGHUP reads configuration and certificates again.`,
    )
    .action(
      run(async (context) => {
        const load = async () => servable(await context.loadConfig())
        const loaded = await load()
        showWarnings(context, loaded)
        await judgeCertificates(loaded)
        return context.backend.serve(loaded, { version: context.version, reload: load })
      }),
    )
}

/** @throws ConfigError for settings that this version can't serve */
function servable(loaded: LoadedConfig): LoadedConfig {
  if (loaded.unavailable.length > 0) throw new ConfigError(loaded.unavailable)
  return loaded
}
