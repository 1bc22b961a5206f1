/**
 * Run in a process before its own program: what a careless line of code in the path of a login or a byte would do. Whoever writes a
 * certain word to a socket is busy for 25 ms before, or stands still for as long.
 */

import { Socket } from 'node:net'

const MS = 25
/** Neither looks like anything else that is sent; a user may be called that. */
export const WORDS = { busy: 'this-keeps-busy', standing: 'this-stands-still' } as const

const { write } = Socket.prototype
Socket.prototype.write = function hindered(this: Socket, ...given: unknown[]) {
  const [data] = given
  const text = typeof data === 'string' ? data : Buffer.from(data as Uint8Array).toString('latin1')
  const holds = (word: string) => text.includes(word)
  if (holds(WORDS.busy)) beBusy()
  if (holds(WORDS.standing)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, MS)
  return write.apply(this, given as Parameters<typeof write>)
}

/** Of CPU time: what others take meanwhile does not count. */
function beBusy(): void {
  const begun = process.threadCpuUsage()
  for (;;) {
    const { user, system } = process.threadCpuUsage(begun)
    if ((user + system) / 1000 >= MS) return
  }
}
