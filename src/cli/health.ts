/**
 * `sallyport health`: for containers and scripts. Never starts anything.
 */

import { CliError, EXIT } from './failure.ts'
import type { Define } from './index.ts'

export const health: Define = (command, run) => {
  command.description('Ask the running server whether it is up: exit 0, or 69.').action(
    run(async (context) => {
      const { config } = await context.loadConfig()
      const state = await context.backend.serverHealth(config)
      if (state === null) throw new CliError('unavailable', 'no server is running')
      await context.print(
        state,
        `${state.ok ? 'up' : 'not well'}: version ${state.version}, pid ${state.pid}, store ${state.store}, redis ${state.redis}\n`,
      )
      return state.ok ? EXIT.ok : EXIT.unavailable
    }),
  )
}
