/**
 * argv → CLI command, or the body of a child of the server. The only file that may exit the process and set its exit code.
 *
 * What is not needed is not loaded: an edge must not even know the command line's libraries.
 */

import type { Io } from './cli/io.ts'

// A reader that has seen enough (`sallyport user list | head`) is no fault.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0)
    throw error
  })
}

let interrupted: AbortSignal | null = null

const io: Io = {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  cwd: process.cwd(),
  // Made when somebody asks: a command that does not wait for it dies of the signal, as it should.
  get interrupted() {
    if (interrupted === null) {
      const controller = new AbortController()
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => controller.abort())
      interrupted = controller.signal
    }
    return interrupted
  },
}

const args = process.argv.slice(2)

try {
  const isChild = args[0] === 'internal-role'
  const code = isChild ? await childRole(args[1] ?? '') : await commandLine()
  // A process that exits in good order makes its standard output block again, and with it that of all who share it: with nobody
  // taking the log, the supervisor would hang at its last line (threat I-10). What a child has to say is said.
  if (isChild && code === 0) process.kill(process.pid, 'SIGKILL')
  // Whatever still holds the event loop (a socket of a check that was given up) must not hold the command.
  process.stdout.write('', () => process.stderr.write('', () => process.exit(code)))
} catch (error) {
  process.stderr.write(
    `sallyport: a fault in sallyport itself: ${error instanceof Error ? error.stack : String(error)}\n`,
  )
  process.exit(1)
}

/** What the supervisor starts: `internal-role keeper`, `internal-role edge`. */
async function childRole(role: string): Promise<number> {
  const { runChild } = await import('./app/child.ts')
  return runChild(role)
}

async function commandLine(): Promise<number> {
  const [{ runCli }, { backend }] = await Promise.all([import('./cli/index.ts'), import('./cli/backend.ts')])
  return runCli(args, io, backend)
}
