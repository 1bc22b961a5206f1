/**
 * The audit entries of sessions that no command ended: an app password that ran out, an edge or a store that was out of reach
 * when the command was given, a first second step after which the primary password is nothing to mail clients any more.
 *
 * One entry for each user, app password and cause, once the edges have confirmed or had their time to.
 */

import type { EndCause } from './ending.ts'
import { countEnded } from './ending.ts'
import type { UnaskedEnd } from './grants/ends.ts'
import type { EndingDeps } from './services/ending.ts'
import { noteEnded } from './services/ending.ts'

export interface UnaskedEnds {
  readonly note: (ends: readonly UnaskedEnd[]) => void
  /** Resolves when what was noted so far is written, or lost and counted as such. */
  idle(): Promise<void>
}

interface Group {
  readonly cause: EndCause
  readonly user: { readonly id: string; readonly address: string }
  readonly appPassword: string | null
  readonly ends: UnaskedEnd[]
}

/** What nobody asked for is the house's own doing. */
const ACTOR = 'system'

export function createUnaskedEnds(
  deps: Omit<EndingDeps, 'grants'> & {
    readonly onBug: (error: unknown) => void
  },
): UnaskedEnds {
  const writing = new Set<Promise<void>>()

  async function write(ends: readonly UnaskedEnd[]): Promise<void> {
    // Side by side for the waiting, which is over for all of them at the same time.
    const counted = grouped(ends).map(async (group) => ({
      group,
      ended: await countEnded(group.ends),
    }))
    for (const { group, ended } of await Promise.all(counted)) {
      const { cause, user, appPassword } = group
      await noteEnded(deps, { actor: ACTOR, cause }, user, ended, appPassword === null ? {} : { appPassword })
    }
  }

  return {
    note(ends) {
      const done = write(ends)
        .catch(deps.onBug)
        .finally(() => writing.delete(done))
      writing.add(done)
    },
    async idle() {
      while (writing.size > 0) await Promise.all(writing)
    },
  }
}

function grouped(ends: readonly UnaskedEnd[]): Group[] {
  const groups = new Map<string, Group>()
  for (const end of ends) {
    const { userId, user, appPassword } = end.session
    const key = JSON.stringify([userId, appPassword?.id ?? null, end.ending.cause])
    const group = groups.get(key)
    if (group) group.ends.push(end)
    else {
      groups.set(key, {
        cause: end.ending.cause,
        user: { id: userId, address: user },
        appPassword: appPassword?.id ?? null,
        ends: [end],
      })
    }
  }
  return [...groups.values()]
}
