/**
 * The body of a child process: takes its role from the supervisor's first message, and does what it is asked until it is told
 * to stop or the supervisor is gone.
 *
 * Imports nothing of a role before it is known, so an edge never loads the keeper's libraries, and a mail edge none of http's.
 */

import { enableCompileCache, flushCompileCache } from 'node:module'
import type { Log, LogLevel } from '../log.ts'
import { createLog } from '../log.ts'
import { createMetrics } from '../metrics.ts'
import { watchLogLoss } from '../supervisor/log-loss.ts'
import { watchLoopLag } from '../supervisor/loop-lag.ts'
import type { AskName, EdgeInit, HttpsInit, KeeperInit, WebInit } from '../supervisor/messages.ts'
import { answering } from '../supervisor/messages.ts'

/** A role inside a child: what it does for each question. */
export interface Role {
  answer(name: AskName, params: unknown): Promise<unknown>
  stop(): Promise<void>
}

/** Without its supervisor nobody would restart what fails next, so a child goes too, but the keeper writes what is waiting. */
const ORPHAN_MS = 2000

/** Runs a role until its end. @returns the exit code */
export async function runChild(role: string): Promise<number> {
  if (process.send === undefined) throw new Error('this role is started by the supervisor, not by hand')
  // A terminal and some service managers signal the whole group. What happens then is the supervisor's to decide.
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => {})
  process.umask(0o077)
  const { promise: ended, resolve: end } = Promise.withResolvers<number>()
  let log: Log | null = null
  let running: Role | null = null
  let starting: Promise<null> | null = null

  for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
    process.on(event, (error) => {
      if (log === null) console.error(error)
      else log.bug(error, `${event}: this process ends and is started again`)
      end(1)
    })
  }

  async function start(params: unknown): Promise<null> {
    const metrics = createMetrics()
    const made = (level: LogLevel, version: string, name: string) => {
      log = createLog({ level, version, process: name })
      watchLogLoss(log, metrics)
      watchLoopLag(metrics, log)
      return log
    }
    switch (role) {
      case 'keeper': {
        const init = params as KeeperInit
        // A third less time until it is back. Under the permission model the others can't, and an edge needs less than half as long.
        enableCompileCache(init.compileCache)
        const { keeperRole } = await import('./keeper-child.ts')
        running = await keeperRole(init, made(init.logLevel, init.version, 'keeper'), metrics)
        setImmediate(flushCompileCache)
        break
      }
      case 'edge': {
        const init = params as EdgeInit
        const { edgeRole } = await import('./edge-child.ts')
        running = await edgeRole(init, made(init.logLevel, init.version, init.name), metrics)
        break
      }
      case 'https': {
        const init = params as HttpsInit
        const { httpsRole } = await import('./https-child.ts')
        running = await httpsRole(init, made(init.logLevel, init.version, init.name), metrics)
        break
      }
      case 'web': {
        const init = params as WebInit
        const { webRole } = await import('./web-child.ts')
        running = await webRole(init, made(init.settings.logLevel, init.version, 'web'), metrics)
        break
      }
      default:
        throw new Error(`there is no role ${role}`)
    }
    return null
  }

  answering(process, async (name, params) => {
    if (name === 'ping') return null
    if (name === 'start') {
      starting = start(params)
      return starting
    }
    await starting // what is asked meanwhile is answered by the role when it is there
    if (running === null) throw new Error(`${role} has not started yet`)
    if (name !== 'stop') return running.answer(name, params)
    await running.stop()
    // The answer goes out before the process does.
    setImmediate(() => end(0))
    return null
  })
  process.on('disconnect', () => {
    setTimeout(() => end(1), ORPHAN_MS).unref()
    const stopped = running === null ? Promise.resolve() : running.stop()
    stopped.then(
      () => end(1),
      () => end(1),
    )
  })

  const code = await ended
  ;(log as Log | null)?.flush()
  return code
}
