/**
 * argv → CLI command. The only file that may exit the process and set its exit code.
 */

import { backend } from './cli/backend.ts'
import { runCli } from './cli/index.ts'
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

try {
  const code = await runCli(process.argv.slice(2), io, backend)
  // Whatever still holds the event loop (a socket of a check that was given up) must not hold the command.
  process.stdout.write('', () => process.stderr.write('', () => process.exit(code)))
} catch (error) {
  process.stderr.write(
    `sallyport: a fault in sallyport itself: ${error instanceof Error ? error.stack : String(error)}\n`,
  )
  process.exit(1)
}
