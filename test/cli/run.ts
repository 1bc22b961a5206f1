/** Runs commands in a directory with a configuration of its own: in this process, or as a shell would. */

import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { CliResult } from '../support/command.ts'
import { runCommand } from '../support/command.ts'
import { COMPILE_CACHE } from '../support/compile-cache.ts'
import { unhooked } from '../support/program.ts'

const LAUNCHER = resolve(import.meta.dirname, '../../scripts/sallyport')

export interface Ran extends CliResult {
  /** Standard output as JSON. */
  json<T = unknown>(): T
  /** The error that --json put on standard error. */
  error(): { readonly code: string; readonly message: string }
}

export interface RunOptions {
  readonly cwd?: string
  readonly input?: string
  /** Over PATH and HOME. */
  readonly env?: NodeJS.ProcessEnv
}

const environment = (more: NodeJS.ProcessEnv) => ({ PATH: process.env.PATH, HOME: process.env.HOME, ...more })

function ran(result: CliResult): Ran {
  return { ...result, json: () => JSON.parse(result.stdout), error: () => JSON.parse(result.stderr).error }
}

/** The command line, in this process. */
export async function sallyport(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const { cwd = process.cwd(), input = '', env = {} } = options
  return ran(await runCommand(args, { cwd, input, env: environment(env) }))
}

/** The real command, as a shell would run it. */
export async function launched(
  args: readonly string[],
  { cwd, input = '', env = {}, uid }: RunOptions & { readonly uid?: number } = {},
): Promise<Ran> {
  const child = spawn(...unhooked(LAUNCHER, args, env), {
    ...(cwd === undefined ? {} : { cwd }),
    ...(uid === undefined ? {} : { uid, gid: uid }),
    env: environment({ ...COMPILE_CACHE, ...env }),
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  child.stdin.on('error', () => undefined) // it did not want the input
  child.stdin.end(input)
  const status = await new Promise<number>((done, fail) => {
    child.on('error', fail)
    child.on('close', (code, signal) => done(code ?? (signal ? 128 : 127)))
  })
  return ran({ status, stdout, stderr })
}

export const CONFIG = `dataDirectory: data
domains: [example.org, example.net]
listeners:
  - { protocol: imap, port: 0, tls: implicit }
upstreams:
  main:
    imap: { host: 127.0.0.1, port: 1, tls: implicit }
    identity: { method: master-user, user: sallyport, passwordFile: master }
  own:
    imap: { host: 127.0.0.1, port: 1, tls: implicit }
    identity: { method: stored-secret }
routes:
  - { domain: example.org, upstream: main }
  - { domain: example.net, upstream: own }
`

/** A house of one's own: `run` and `launch` are the command in a directory with a configuration. */
export function house(t: { teardown(undo: () => void): void }, config = CONFIG) {
  const directory = mkdtempSync(join(tmpdir(), 'sp-cli-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  writeFileSync(join(directory, 'master'), 'the-master-password', { mode: 0o600 })
  writeFileSync(join(directory, 'sallyport.yaml'), config)
  return {
    directory,
    run: (args: readonly string[], options: RunOptions = {}) => sallyport(args, { cwd: directory, ...options }),
    launch: (args: readonly string[], options: Parameters<typeof launched>[1] = {}) =>
      launched(args, { cwd: directory, ...options }),
  }
}
