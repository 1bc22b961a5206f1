/** A configuration in a directory of its own, to break one line at a time. */

import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ConfigProblem, LoadedConfig } from '../../src/config.ts'
import { ConfigError, loadConfig } from '../../src/config.ts'

/** Line numbers matter: tests count on them. */
export const GOOD = `dataDirectory: data
domains: [example.org, example.net]
listeners:
  - { protocol: imap, port: 1993, tls: implicit }
  - protocol: http
    port: 9464
upstreams:
  main:
    imap:
      host: mail.internal
      port: 993
      tls: implicit
    identity:
      method: master-user
      user: sallyport
      passwordFile: master
routes:
  - { domain: example.org, upstream: main }
  - { domain: example.net, upstream: main }
`

export const MASTER_PASSWORD = 'master-secret-9d1f'

/** A directory for one test. Not t.testdir: the paths of sockets must be short. */
export function directoryFor(t: { teardown(undo: () => void): void }): string {
  const directory = mkdtempSync(join(tmpdir(), 'sp-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

/** Writes the file (and the secret that GOOD names) and answers its path. */
export function writeConfig(directory: string, text: string = GOOD): string {
  const secret = join(directory, 'master')
  writeFileSync(secret, `${MASTER_PASSWORD}\n`)
  chmodSync(secret, 0o600)
  const path = join(directory, 'sallyport.yaml')
  writeFileSync(path, text)
  return path
}

export function load(directory: string, text?: string, env: NodeJS.ProcessEnv = {}): Promise<LoadedConfig> {
  return loadConfig({ path: writeConfig(directory, text), env })
}

/** The problems of a configuration that must be refused. */
export async function problemsOf(
  directory: string,
  text: string,
  env: NodeJS.ProcessEnv = {},
): Promise<readonly ConfigProblem[]> {
  try {
    await load(directory, text, env)
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
  throw new Error('the configuration was accepted')
}
