/**
 * What a command has to do with the outside: its streams, the environment, questions to the person at the terminal.
 *
 * Secrets come from standard input or from a hidden prompt. They are never arguments: a process list shows those to everybody.
 */

import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { Writable } from 'node:stream'
import { Secret } from '../secret.ts'
import { CliError } from './failure.ts'

export interface Io {
  readonly stdin: Readable & { readonly isTTY?: boolean | undefined }
  readonly stdout: Writable & { readonly isTTY?: boolean | undefined; readonly columns?: number | undefined }
  readonly stderr: Writable & { readonly isTTY?: boolean | undefined }
  readonly env: NodeJS.ProcessEnv
  readonly cwd: string
  /** Aborted by SIGINT and SIGTERM: what waits must give up. */
  readonly interrupted: AbortSignal
}

/** Nobody types or pipes a longer password. */
const MAX_SECRET_BYTES = 1024

/**
 * One secret: the whole of standard input without its last newline, or typed at a hidden prompt when standard input is a
 * terminal (twice, when `confirm` is set).
 */
export async function readSecret(
  io: Io,
  prompt: string,
  options: { readonly stdin: boolean; readonly confirm: boolean },
): Promise<Secret> {
  if (options.stdin || io.stdin.isTTY !== true) return readSecretStream(io)
  const first = await readHidden(io, `${prompt}: `)
  if (first === '') throw new CliError('usage', 'nothing was typed')
  if (options.confirm && (await readHidden(io, `${prompt}, once more: `)) !== first) {
    throw new CliError('failed', 'the two are not the same; nothing was changed')
  }
  return checked(first)
}

async function readSecretStream(io: Io): Promise<Secret> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of io.stdin) {
    const part = Buffer.from(chunk)
    bytes += part.length
    if (bytes > MAX_SECRET_BYTES + 2)
      throw new CliError('usage', `standard input holds more than ${MAX_SECRET_BYTES} bytes: that is no password`)
    chunks.push(part)
  }
  const text = Buffer.concat(chunks)
    .toString('utf8')
    .replace(/\r?\n$/, '')
  if (text === '') throw new CliError('usage', 'standard input is empty: the secret is read from there')
  return checked(text)
}

function checked(text: string): Secret {
  if (/[\u0000-\u001f\u007f]/.test(text))
    throw new CliError('usage', 'a secret must be one line without control characters')
  return new Secret(text)
}

/** Reads a line without showing it. */
function readHidden(io: Io, prompt: string): Promise<string> {
  io.stderr.write(prompt)
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({ input: io.stdin, output: nowhere, terminal: true, historySize: 0 })
  return new Promise<string>((resolve, reject) => {
    lines.once('line', resolve)
    lines.once('SIGINT', () => reject(new CliError('interrupted', 'interrupted; nothing was changed')))
    lines.once('close', () => reject(new CliError('failed', 'no answer; nothing was changed')))
  }).finally(() => {
    lines.close()
    io.stderr.write('\n')
  })
}

/** Asks before something that can't be undone. Without a terminal nobody can answer: then the command line itself was the answer. */
export async function confirm(io: Io, question: string, yes: boolean): Promise<void> {
  if (yes || io.stdin.isTTY !== true) return
  const lines = createInterface({ input: io.stdin, output: io.stderr, terminal: false })
  try {
    io.stderr.write(`${question} [y/N] `)
    const answer = await new Promise<string>((resolve) => {
      lines.once('line', resolve)
      lines.once('close', () => resolve(''))
    })
    if (!/^y(es)?$/i.test(answer.trim())) throw new CliError('failed', 'nothing was changed')
  } finally {
    lines.close()
  }
}
