/**
 * `sallyport restore`: a backup becomes the store. Which backups are accepted, and how they take the store's place, is in
 * records/store/restore.ts; here is what an operator has to do with it.
 */

import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { createAuditSealer } from '../records/audit-chain.ts'
import { readKeyFile, verifyKeys } from '../records/key-file.ts'
import { restoreStore } from '../records/store/restore.ts'
import { StoreError } from '../records/store/store.ts'
import { cliActor } from './backend.ts'
import type { Context } from './context.ts'
import { CliError } from './failure.ts'
import { confirm } from './io.ts'
import { counted } from './output.ts'

export async function restore(context: Context, name: string, yes: boolean): Promise<undefined> {
  const { config } = await context.loadConfig()
  if (!('sqlite' in config.store)) {
    throw new CliError('configuration', 'restore is for the SQLite store; PostgreSQL has tools of its own (pg_restore)')
  }
  const target = config.store.sqlite
  const file = resolve(context.io.cwd, name)
  if (!(await isThere(file))) throw new CliError('failed', `there is no backup ${file}`, { code: 'not-found' })
  if ((await context.backend.serverHealth(config)) !== null) throw serverRuns()
  if (await isThere(target)) await confirm(context.io, `Put ${file} in the place of ${target}?`, yes)
  const keys = readKeyFile(config.keys.file)
  const checkKeys = (checks: ReadonlyMap<string, string>) => {
    if (keys !== null) verifyKeys(keys, checks, config.keys.file)
    else if (checks.size > 0) {
      throw new CliError(
        'configuration',
        `the key file ${config.keys.file} is not there: put it back first; without it the backup is worth nothing`,
        { code: 'ERR_KEYS_MISSING' },
      )
    }
  }
  try {
    const { users, aside } = restoreStore({
      file,
      target,
      actor: cliActor(),
      checkKeys,
      sealer: keys && createAuditSealer(keys),
    })
    const kept = aside === null ? '' : `The store that was there is kept as ${aside}\n`
    await context.print(
      { store: target, from: file, users, aside },
      `restored ${target} from ${file}: ${counted(users, 'user')}\n${kept}`,
    )
  } catch (error) {
    if (error instanceof StoreError && error.code === 'ERR_STORE_LOCKED') throw serverRuns(error)
    throw error
  }
  return undefined
}

function serverRuns(cause?: unknown): CliError {
  return new CliError('unavailable', 'a server is running: stop it first, then restore', { code: 'running', cause })
}

async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch {
    return false
  }
}
