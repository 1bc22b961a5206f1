/**
 * Which edges there are and which of them this keeper hears of: after its own restart, or while a channel is broken, an edge
 * may have sessions that nobody here knows. Whoever counts ended sessions waits for such an edge for a while, and then names it.
 */

/** The name of an edge, of its id: 'edge-1' of 'edge-1.8c1f…'. */
export function edgeName(edgeId: string): string {
  return edgeId.split('.', 1)[0] ?? edgeId
}

export interface Edges {
  /** The edges that run, by id, as the supervisor sees them. */
  expect(edgeIds: readonly string[]): void
  /** A channel of this edge has told all its sessions. Dispose the answer when the channel is given up. */
  arrived(edgeId: string): Disposable
  /** Names of edges that run and have not told their sessions. */
  missing(): readonly string[]
  /** Resolves when none is missing, or after so long. */
  complete(withinMs: number): Promise<void>
}

export function createEdges(): Edges {
  let expected: readonly string[] = []
  /** Edge id → its channels: a new one may be there before the old one is given up. */
  const channels = new Map<string, number>()
  const waiting = new Set<() => void>()

  const missingIds = () => expected.filter((id) => !channels.has(id))

  function changed(): void {
    if (missingIds().length > 0) return
    for (const wake of waiting) wake()
    waiting.clear()
  }

  return {
    expect(edgeIds) {
      expected = [...edgeIds]
      changed()
    },

    arrived(edgeId) {
      channels.set(edgeId, (channels.get(edgeId) ?? 0) + 1)
      changed()
      let given = false
      return {
        [Symbol.dispose]() {
          if (given) return
          given = true
          const left = (channels.get(edgeId) ?? 1) - 1
          if (left > 0) channels.set(edgeId, left)
          else channels.delete(edgeId)
        },
      }
    },

    missing: () => [...new Set(missingIds().map(edgeName))].sort(),

    async complete(withinMs) {
      if (missingIds().length === 0 || withinMs <= 0) return
      const { promise, resolve } = Promise.withResolvers<void>()
      const timer = setTimeout(resolve, withinMs)
      waiting.add(resolve)
      await promise
      clearTimeout(timer)
      waiting.delete(resolve)
    },
  }
}
