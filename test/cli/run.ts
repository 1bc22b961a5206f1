/** Runs the real command, as a shell would, in a directory with a configuration of its own. */

import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { unhooked } from '../support/program.ts'

const LAUNCHER = resolve(import.meta.dirname, '../../scripts/sallyport')

/** Compiled code is kept between the commands of one test file: it halves what each costs. */
const COMPILE_CACHE = mkdtempSync(join(tmpdir(), 'sp-cli-cache-'))
process.on('exit', () => rmSync(COMPILE_CACHE, { recursive: true, force: true }))

export interface Ran {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
  /** Standard output as JSON. */
  json<T = unknown>(): T
  /** The error that --json put on standard error. */
  error(): { readonly code: string; readonly message: string }
}

export interface RunOptions {
  readonly cwd?: string
  readonly input?: string
  readonly env?: NodeJS.ProcessEnv
  readonly uid?: number
}

export async function sallyport(
  args: readonly string[],
  { cwd, input = '', env = {}, uid }: RunOptions = {},
): Promise<Ran> {
  const child = spawn(...unhooked(LAUNCHER, args, env), {
    ...(cwd === undefined ? {} : { cwd }),
    ...(uid === undefined ? {} : { uid, gid: uid }),
    env: { PATH: process.env.PATH, HOME: process.env.HOME, NODE_COMPILE_CACHE: COMPILE_CACHE, ...env },
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
  return {
    status,
    stdout,
    stderr,
    json: () => JSON.parse(stdout),
    error: () => JSON.parse(stderr).error,
  }
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

/** A house of one's own: `run` is the command in a directory with a configuration. */
export function house(t: { teardown(undo: () => void): void }, config = CONFIG) {
  const directory = mkdtempSync(join(tmpdir(), 'sp-cli-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  writeFileSync(join(directory, 'master'), 'the-master-password', { mode: 0o600 })
  writeFileSync(join(directory, 'sallyport.yaml'), config)
  return {
    directory,
    run: (args: readonly string[], options: RunOptions = {}) => sallyport(args, { cwd: directory, ...options }),
  }
}
