/**
 * Hears when somebody puts new certificates in place, so that nobody has to send a signal (threat I-12).
 *
 * What is watched is the directories, because a renewal replaces files (or the link that leads to them) instead of writing into
 * them. A renewal is several events; it is looked at when they are over.
 */

import type { FSWatcher } from 'node:fs'
import { watch } from 'node:fs'
import { dirname } from 'node:path'
import type { Log } from '../log.ts'
import type { CertificateFiles } from './certificates.ts'

export interface CertificateWatch extends Disposable {
  /** Watches the directories of these files, and no others any more. */
  follow(files: readonly CertificateFiles[]): void
}

/** From the last event to the look: a key written a moment after its certificate belongs to it. */
const SETTLE_MS = 1000
/** From the first event to the look, however many more come. */
const MAX_WAIT_MS = 10_000

/** `changed` is called when files may have changed; never twice at a time is up to it. */
export function createCertificateWatch(options: {
  readonly changed: () => void
  readonly log: Log
  readonly settleMs?: number
}): CertificateWatch {
  const { changed, log, settleMs = SETTLE_MS } = options
  const watchers = new Map<string, FSWatcher>()
  let timer: NodeJS.Timeout | null = null
  let firstAt = 0

  function heard(): void {
    const now = performance.now()
    if (timer === null) firstAt = now
    else clearTimeout(timer)
    const waitMs = Math.min(settleMs, Math.max(0, firstAt + MAX_WAIT_MS - now))
    timer = setTimeout(() => {
      timer = null
      changed()
    }, waitMs)
    timer.unref()
  }

  function failed(directory: string, error: unknown): void {
    watchers.get(directory)?.close()
    watchers.delete(directory)
    log.event('warn', 'warning', 'certificates here are not watched: send SIGHUP when they were renewed', {
      detail: `${directory}: ${error instanceof Error ? error.message : String(error)}`,
    })
  }

  return {
    follow(files) {
      const wanted = new Set(files.flatMap(({ certFile, keyFile }) => [dirname(certFile), dirname(keyFile)]))
      for (const [directory, watcher] of watchers) {
        if (wanted.has(directory)) continue
        watcher.close()
        watchers.delete(directory)
      }
      for (const directory of wanted) {
        if (watchers.has(directory)) continue
        try {
          const watcher = watch(directory, { persistent: false }, heard)
          watcher.on('error', (error) => failed(directory, error))
          watchers.set(directory, watcher)
        } catch (error) {
          failed(directory, error)
        }
      }
    },
    [Symbol.dispose]() {
      if (timer !== null) clearTimeout(timer)
      for (const watcher of watchers.values()) watcher.close()
      watchers.clear()
    },
  }
}
