/**
 * The command line in the process of the test: what `scripts/sallyport` runs, with streams of its own, and without the second
 * that a process takes to start on a slow machine.
 *
 * What only a process has (its end, signals, pipes, another user, `serve`) is tested on `scripts/sallyport` itself.
 */

import { Readable, Writable } from 'node:stream'
import { backend } from '../../src/cli/backend.ts'
import { runCli } from '../../src/cli/index.ts'

/** What the CLI printed and how it ended. */
export interface CliResult {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

export interface CommandOptions {
  readonly cwd: string
  /** Standard input, which is no terminal. */
  readonly input?: string
  /** The whole environment that the command sees. */
  readonly env?: NodeJS.ProcessEnv
}

/** @throws what is a fault of the command line itself */
export async function runCommand(
  args: readonly string[],
  { cwd, input = '', env = {} }: CommandOptions,
): Promise<CliResult> {
  if (args[0] === 'serve' && !args.includes('--help')) throw new Error('a server is started as a process of its own')
  const stdout = new Kept()
  const stderr = new Kept()
  const stdin = Readable.from(input === '' ? [] : [Buffer.from(input)])
  // A command without a server opens a keeper, which sets the mask of its process.
  const mask = process.umask()
  try {
    const status = await runCli(args, { stdin, stdout, stderr, env, cwd, interrupted: NEVER }, backend)
    return { status, stdout: stdout.text, stderr: stderr.text }
  } finally {
    process.umask(mask)
  }
}

const NEVER = new AbortController().signal

class Kept extends Writable {
  #chunks: Buffer[] = []

  get text(): string {
    return Buffer.concat(this.#chunks).toString()
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#chunks.push(chunk)
    done()
  }
}
