/**
 * The bench's own processes: mail server, responder, load generator. Forked with the Node that runs the bench; each says
 * something when it is ready, answers one question at a time, and ends with the bench.
 */

import type { ChildProcess } from 'node:child_process'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Job, JobResult } from './jobs.ts'

const START_TIMEOUT_MS = 30_000
const JOB_TIMEOUT_MS = 240_000

export class Helper implements AsyncDisposable {
  readonly #file: string
  readonly #child: ChildProcess
  readonly pid: number
  #ready: object = {}

  private constructor(file: string, child: ChildProcess, pid: number) {
    this.#file = file
    this.#child = child
    this.pid = pid
  }

  /** Starts it and waits for its first word. @throws when it ends instead */
  static async start(file: string, args: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Promise<Helper> {
    const child = fork(join(import.meta.dirname, file), args, {
      execArgv: ['--disable-warning=ExperimentalWarning'],
      env: { ...process.env, ...env },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    const helper = new Helper(file, child, child.pid ?? 0)
    try {
      helper.#ready = await helper.#word(START_TIMEOUT_MS)
      return helper
    } catch (error) {
      await helper[Symbol.asyncDispose]()
      throw error
    }
  }

  /** The port it said it listens on. */
  get port(): number {
    if (!('port' in this.#ready)) throw new Error(`${this.#file} listens on no port`)
    return Number(this.#ready.port)
  }

  /** Asks, and waits for the answer. @throws when it ends or takes too long */
  async ask(question: object): Promise<object> {
    const answer = this.#word(JOB_TIMEOUT_MS)
    this.#child.send(question)
    return answer
  }

  async #word(timeoutMs: number): Promise<object> {
    const heard = new AbortController()
    const signal = AbortSignal.any([heard.signal, AbortSignal.timeout(timeoutMs)])
    try {
      const ended = once(this.#child, 'exit', { signal }).then(() => {
        throw new Error(`${this.#file} ended`)
      })
      const [word]: unknown[] = await Promise.race([once(this.#child, 'message', { signal }), ended])
      if (typeof word !== 'object' || word === null) throw new Error(`${this.#file} said ${String(word)}`)
      return word
    } finally {
      heard.abort()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exit = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await exit
  }
}

export const startStub = (): Promise<Helper> => Helper.start('stub.ts')

export const startSink = (): Promise<Helper> => Helper.start('sink.ts')

/** nginx's auth_http server. `password` is the one it takes; ports are the mail server's for reading and for sending. */
export const startResponder = (imapPort: number, smtpPort: number, password: string): Promise<Helper> =>
  Helper.start('responder.ts', [String(imapPort), String(smtpPort), password])

export class Generator implements AsyncDisposable {
  readonly #helper: Helper

  private constructor(helper: Helper) {
    this.#helper = helper
  }

  static async start(): Promise<Generator> {
    return new Generator(await Helper.start('generator.ts'))
  }

  /** Runs one job to its end. @throws when the job could not run; sessions that failed are in the result */
  async run(job: Job): Promise<JobResult> {
    const said = await this.#helper.ask(job)
    if ('result' in said) return said.result as JobResult
    throw new Error(`load generator: ${JSON.stringify(said)}`)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#helper[Symbol.asyncDispose]()
  }
}
