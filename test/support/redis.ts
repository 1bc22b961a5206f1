/**
 * A private Redis on loopback, in memory only.
 */

import { chownSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort, waitForPort } from './ports.ts'
import { ordinaryAccount, Program } from './program.ts'
import { program } from './services.ts'

export interface Redis extends AsyncDisposable {
  readonly port: number
  /** redis://127.0.0.1:port */
  readonly url: string
  /** Kills it the hard way, as a crash would: SIGTERM is graceful and hides what a crash does. */
  kill(): Promise<void>
  /** Starts it again on the same port, empty. */
  restart(): Promise<void>
  /** Stopped (SIGSTOP): it accepts connections and answers nothing, until it goes on. */
  hang(): void
  goOn(): void
  stop(): Promise<void>
}

export async function startRedis(options: { readonly password?: string } = {}): Promise<Redis> {
  const account = ordinaryAccount()
  const directory = mkdtempSync(join(tmpdir(), 'sp-redis-'))
  if (account.uid !== undefined) chownSync(directory, account.uid, account.gid ?? account.uid)
  const port = await freePort()
  const settings = ['--port', `${port}`, '--bind', '127.0.0.1', '--dir', directory, '--save', '', '--appendonly', 'no']
  if (options.password !== undefined) settings.push('--requirepass', options.password)

  async function launch(): Promise<Program> {
    const server = new Program(program('redis'), settings, { account })
    await waitForPort(port, { signal: server.ended })
    return server
  }
  let server = await launch()

  async function stop(): Promise<void> {
    await server.stop('SIGKILL')
    rmSync(directory, { recursive: true, force: true })
  }
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    async kill() {
      await server.stop('SIGKILL')
    },
    async restart() {
      await server.stop('SIGKILL')
      server = await launch()
    },
    hang: () => server.signal('SIGSTOP'),
    goOn: () => server.signal('SIGCONT'),
    stop,
    [Symbol.asyncDispose]: stop,
  }
}
