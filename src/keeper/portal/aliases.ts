/**
 * Short names with which somebody's devices may log in at scanner listeners (pure): configuration, not records.
 */

import type { Config } from '../../config.ts'
import type { AliasView } from '../../contract/portal/methods.ts'

/** @param address canonical */
export function aliasesOf({ listeners }: Pick<Config, 'listeners'>, address: string): readonly AliasView[] {
  return listeners.flatMap((listener) => {
    if (!('scanner' in listener) || listener.scanner === null) return []
    const { protocol, port } = listener
    return Object.entries(listener.scanner.aliases)
      .filter(([, { user }]) => user === address)
      .map(([alias, { sender }]) => ({ alias, protocol, port, sender }))
  })
}
