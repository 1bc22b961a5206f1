/**
 * Socket files: 0600 in a directory 0700 that is ours.
 *
 * The directory is what keeps other users out; the mode of the file is a second line. A socket file that a dead process left
 * behind is replaced, but only once it is known that nobody answers behind it, and in one step: Node's permission model keeps
 * a process from no unix socket, so in a moment without the file an edge could listen in the keeper's place.
 */

import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { chmod, lstat, open, rename, unlink } from 'node:fs/promises'
import type { Server } from 'node:net'
import { connect } from 'node:net'
import { dirname } from 'node:path'
import { makeDirectory } from './directory.ts'
import { IpcError } from './error.ts'

/** sun_path holds 108 bytes on Linux and 104 elsewhere, with its NUL; seven more are for the name before the rename. */
const MAX_PATH_BYTES = 96

const errnoOf = (error: unknown): string => (error instanceof Error && 'code' in error ? String(error.code) : '')

/** @throws IpcError 'ERR_IPC_PATH' when a socket at this path can't work */
export function checkSocketPath(path: string): void {
  const bytes = Buffer.byteLength(path)
  if (bytes > MAX_PATH_BYTES) {
    throw new IpcError(
      'ERR_IPC_PATH',
      `the socket path ${path} has ${bytes} bytes and the system takes ${MAX_PATH_BYTES}: set runtimeDirectory to a shorter path`,
    )
  }
}

/**
 * Makes the directory for sockets (0700) when it is missing, and makes sure that it belongs to us alone.
 *
 * @throws IpcError 'ERR_IPC_PATH' when it is no directory, not ours, or open to others; 'ERR_IPC_PERMISSION'
 */
export async function ensurePrivateDirectory(path: string): Promise<void> {
  try {
    makeDirectory(path)
    // Opened without following a link, so that what is checked is what is there.
    const handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW)
    try {
      const stat = await handle.stat()
      const uid = process.geteuid?.()
      if (uid !== undefined && stat.uid !== uid) {
        throw new IpcError('ERR_IPC_PATH', `${path} belongs to user ${stat.uid}, and sallyport runs as user ${uid}`)
      }
      if ((stat.mode & 0o077) !== 0) {
        const mode = (stat.mode & 0o777).toString(8)
        throw new IpcError('ERR_IPC_PATH', `${path} is open to others (mode ${mode}): chmod 700 ${path}`)
      }
    } finally {
      await handle.close()
    }
  } catch (cause) {
    if (cause instanceof IpcError) throw cause
    const errno = errnoOf(cause)
    if (errno === 'EACCES' || errno === 'EPERM' || errno === 'EROFS') {
      const who = `user ${process.geteuid?.() ?? '?'}`
      const advice = `it and the directory it is in must belong to the user that sallyport runs as (dataDirectory, runtimeDirectory)`
      throw new IpcError('ERR_IPC_PERMISSION', `${path} can't be made or opened by ${who} (${errno}): ${advice}`, {
        cause,
      })
    }
    throw new IpcError(
      'ERR_IPC_PATH',
      `${path} is not a directory that can hold sockets, and none can be made there (${errno}): name one that can with runtimeDirectory or dataDirectory`,
      { cause },
    )
  }
}

/** Makes sure that there is nothing, or a socket file behind which nobody answers. @throws IpcError 'ERR_IPC_PATH' */
async function checkStale(path: string): Promise<void> {
  const found = await lstat(path).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return null
    throw error
  })
  if (found === null) return
  if (!found.isSocket()) throw new IpcError('ERR_IPC_PATH', `${path} is in the way: it is not a socket`)
  const errno = await new Promise<string>((resolve) => {
    const probe = connect(path)
    probe.once('connect', () => {
      probe.destroy()
      resolve('')
    })
    probe.once('error', (error) => resolve(errnoOf(error)))
  })
  if (errno === '') throw new IpcError('ERR_IPC_PATH', `${path} is in use: another sallyport answers there`)
  if (errno !== 'ECONNREFUSED' && errno !== 'ENOENT') {
    throw new IpcError('ERR_IPC_PATH', `${path} is in the way, and whether anybody answers can't be told (${errno})`)
  }
}

/**
 * Listens at a path, mode 0600. The directory is made and checked, a stale socket file replaced.
 *
 * @returns removes the socket file; call it before the server is closed
 * @throws IpcError 'ERR_IPC_PATH', 'ERR_IPC_PERMISSION'
 */
export async function listenAt(server: Server, path: string): Promise<() => Promise<void>> {
  checkSocketPath(path)
  await ensurePrivateDirectory(dirname(path))
  await checkStale(path)
  const fresh = `${path}.${randomBytes(3).toString('hex')}`
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      reject(new IpcError('ERR_IPC_PATH', `can't listen at ${path} (${errnoOf(cause)})`, { cause }))
    })
    // bind(2) happens inside listen() and applies the umask, so the file is never open to others, not even for a moment.
    const umask = process.umask(0o177)
    try {
      server.listen(fresh, resolve)
    } finally {
      process.umask(umask)
    }
  })
  await chmod(fresh, 0o600)
  await rename(fresh, path)
  return async () => {
    await unlink(path).catch((error: unknown) => {
      if (errnoOf(error) !== 'ENOENT') throw error
    })
  }
}
