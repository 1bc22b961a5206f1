/**
 * Making a directory of ours, for sockets, the store or a certificate.
 */

import { mkdirSync, statSync } from 'node:fs'
import { dirname } from 'node:path'

/**
 * Makes a directory and those above it, 0700, where they are missing.
 *
 * quirk: mkdir with `recursive` of Node 24 never ends where a file system knows no new names (ENOENT below a directory that is
 * there, as in /proc). Here each is tried once.
 *
 * @throws Error of the system: ENOENT, ENOTDIR, EEXIST (a file is in the way), EACCES, EPERM, EROFS …
 */
export function makeDirectory(path: string): void {
  if (isDirectory(path)) return
  const parent = dirname(path)
  if (parent !== path) makeDirectory(parent)
  try {
    mkdirSync(path, { mode: 0o700 })
  } catch (error) {
    // Another process may have been quicker.
    if (!isDirectory(path)) throw error
  }
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}
