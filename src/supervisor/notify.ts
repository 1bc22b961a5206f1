/**
 * Tells systemd how far we are (Type=notify). Node has no datagram sockets of the unix kind, so systemd's own helper does it.
 */

import { spawn } from 'node:child_process'

/** Everything sallyport has to say to its service manager. */
export type ServiceState = 'ready' | 'stopping'
// Variables, not options: '--stopping' is younger than systemd 252.
const SAID: Readonly<Record<ServiceState, string>> = { ready: 'READY=1', stopping: 'STOPPING=1' }

/** Does nothing outside systemd. Resolves when it is said; a helper that is missing or fails is nobody's problem but systemd's. */
export async function notifyService(state: ServiceState, env: NodeJS.ProcessEnv = process.env): Promise<void> {
  const { NOTIFY_SOCKET, PATH } = env
  if (NOTIFY_SOCKET === undefined) return
  await new Promise<void>((resolve) => {
    const helper = spawn('systemd-notify', [`--pid=${process.pid}`, SAID[state]], {
      env: { NOTIFY_SOCKET, ...(PATH !== undefined && { PATH }) },
      stdio: 'ignore',
    })
    helper.once('error', () => resolve())
    helper.once('exit', () => resolve())
  })
}
