/**
 * A program that a test starts: its output is kept, it is stopped by its own pid, and it does not outlive the test process.
 */

import type { ChildProcess } from 'node:child_process'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { userInfo } from 'node:os'

export interface ProgramOptions {
  readonly cwd?: string
  readonly env?: NodeJS.ProcessEnv
  /** Written to standard input, which is closed after it. */
  readonly input?: string | Uint8Array
  /** Run as this user instead of ours (root only). */
  readonly account?: Account
  /** The program starts others: give it a process group of its own, and let `kill` end the whole group. */
  readonly group?: boolean
}

/** A user to run a server as: our own, or when we are root somebody who owns nothing. */
export interface Account {
  readonly user: string
  readonly group: string | null
  readonly uid: number | undefined
  readonly gid: number | undefined
}

/** Who servers under test run as. No server needs root for what tests do with it, and Dovecot's mail processes refuse it. */
export function ordinaryAccount(): Account {
  if (process.getuid?.() === 0) return { user: 'nobody', group: 'nogroup', uid: 65534, gid: 65534 }
  const { stdout } = spawnSync('id', ['-gn'], { encoding: 'utf8' })
  return { user: userInfo().username, group: stdout ? stdout.trim() : null, uid: undefined, gid: undefined }
}

/** Programs still running when the test process ends, however it ends, are killed. */
const running = new Set<Program>()
process.on('exit', () => {
  for (const program of running) program.signal('SIGKILL')
})
// A signal ends a process without 'exit' unless somebody listens. Tests are ended by SIGTERM, by Ctrl-C, and by a SIGALRM of
// their own when their time is up. The demo, which is no test, has listeners of its own.
if (process.argv[1]?.endsWith('.test.ts')) {
  for (const [signal, status] of [
    ['SIGTERM', 143],
    ['SIGINT', 130],
    ['SIGHUP', 129],
    ['SIGALRM', 142],
  ] as const) {
    process.on(signal, () => process.exit(status))
  }
}

/**
 * Starts a program without the hooks that the test runner puts into whatever its tests start: a server under test, and the
 * children it forks, must be what they are without a test. The pid is the program's own.
 */
export function unhooked(
  file: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): [file: string, args: string[]] {
  const own = env.NODE_OPTIONS
  const options = own === undefined || own.includes('tapjs') ? ['-u', 'NODE_OPTIONS'] : [`NODE_OPTIONS=${own}`]
  return ['/usr/bin/env', [...options, file, ...args]]
}

export class Program implements AsyncDisposable {
  readonly child: ChildProcess
  readonly #group: boolean
  readonly #output: Buffer[] = []
  readonly #ended = new AbortController()
  readonly #exit: Promise<number>

  constructor(file: string, args: readonly string[], options: ProgramOptions = {}) {
    this.#group = options.group ?? false
    const env = options.env ?? process.env
    this.child = spawn(...unhooked(file, args, env), {
      cwd: options.cwd,
      env,
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: this.#group,
      ...(options.account?.uid === undefined ? {} : { uid: options.account.uid, gid: options.account.gid }),
    })
    running.add(this)
    this.#exit = new Promise((resolve) => {
      const done = (why: string, code: number): void => {
        running.delete(this)
        this.#ended.abort(`${file} ended: ${why}\n${this.output}`)
        resolve(code)
      }
      this.child.once('error', (error) => done(error.message, 127))
      this.child.once('close', (code, signal) => done(signal ?? `exit ${code}`, code ?? 128))
    })
    this.child.stdout?.on('data', (chunk: Buffer) => this.#output.push(chunk))
    this.child.stderr?.on('data', (chunk: Buffer) => this.#output.push(chunk))
    // A program that ends without reading its input is no fault of the test.
    this.child.stdin?.on('error', () => undefined)
    this.child.stdin?.end(options.input ?? '')
  }

  /** Aborted when the program has ended; the reason says how, with its output. */
  get ended(): AbortSignal {
    return this.#ended.signal
  }

  /** Standard output and standard error so far, as they came. */
  get output(): string {
    return Buffer.concat(this.#output).toString()
  }

  /** The exit status (128 when a signal ended it, 127 when it could not be started). */
  get exit(): Promise<number> {
    return this.#exit
  }

  /** Sends a signal to the program, or to its whole group when it has one. */
  signal(name: NodeJS.Signals): void {
    if (this.ended.aborted || this.child.pid === undefined) return
    if (!this.#group) {
      this.child.kill(name)
      return
    }
    try {
      process.kill(-this.child.pid, name)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }

  /** Ends the program: `signal`, and SIGKILL when it has not obeyed within `graceMs`. */
  async stop(signal: NodeJS.Signals = 'SIGTERM', graceMs = 5_000): Promise<number> {
    if (!this.ended.aborted) {
      this.signal(signal)
      const timer = setTimeout(() => this.signal('SIGKILL'), graceMs)
      await once(this.ended, 'abort').finally(() => clearTimeout(timer))
    }
    return this.#exit
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }
}

export interface Finished {
  readonly status: number
  /** Standard output and standard error together. */
  readonly output: string
}

/** Runs a program to its end. A program that takes longer than `timeoutMs` is killed and answers status 128. */
export async function run(
  file: string,
  args: readonly string[],
  options: ProgramOptions & { readonly timeoutMs?: number } = {},
): Promise<Finished> {
  const program = new Program(file, args, options)
  const timer = setTimeout(() => program.signal('SIGKILL'), options.timeoutMs ?? 60_000)
  const status = await program.exit.finally(() => clearTimeout(timer))
  return { status, output: program.output }
}
