/**
 * Files that the configuration names: secrets, certificate authorities, certificates.
 *
 * A secret's file must belong to nobody but its owner (threat I-11). It is opened once and judged by the open descriptor,
 * so what was checked is what is read.
 */

import { constants } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { open, stat } from 'node:fs/promises'
import { Secret } from '../secret.ts'

/** A service account's key is the longest thing that anybody keeps in a secret's file. */
const MAX_SECRET_BYTES = 64 * 1024
const MAX_CA_BYTES = 4 * 1024 * 1024

/** What was read, or what is wrong with it in words that go on from the key. */
export type FileResult<T> =
  | {
      readonly ok: true
      readonly value: T
      /** What may not have been meant, in words that go on from the key. */
      readonly remark?: string
    }
  /** `denied`: the operating system does not let this user read it. */
  | { readonly ok: false; readonly message: string; readonly denied: boolean }

const wrong = (message: string, denied = false) => ({ ok: false, message, denied }) as const

/**
 * Reads a secret without its last newline.
 *
 * @param oneLine refuse control characters: passwords go into protocols that end at one
 */
export async function readSecretFile(path: string, oneLine: boolean): Promise<FileResult<Secret>> {
  const content = await readWhole(path, MAX_SECRET_BYTES, (mode) =>
    (mode & 0o777 & ~0o600) === 0
      ? null
      : `names ${path}, which others may read (mode ${(mode & 0o777).toString(8).padStart(4, '0')}): chmod 0600 ${path}`,
  )
  if (!content.ok) return content
  const text = content.value.replace(/\r?\n$/, '')
  if (text.trim() === '') return wrong(`names ${path}, which is empty: write the secret into it`)
  if (text.startsWith('\ufeff')) {
    return wrong(`names ${path}, which begins with a byte order mark: save it as plain text, or write it with printf`)
  }
  if (oneLine && /[\u0000-\u001f\u007f]/.test(text)) {
    return wrong(`names ${path}, which holds more than one line or a control character: it must hold the secret alone`)
  }
  const remark = `names ${path}, in which a blank stands before or behind the secret: it is taken as a part of it`
  return { ok: true, value: new Secret(text), ...(oneLine && text !== text.trim() && { remark }) }
}

/** Reads certificates in PEM. */
export async function readCaFile(path: string): Promise<FileResult<string>> {
  const content = await readWhole(path, MAX_CA_BYTES, () => null)
  if (!content.ok) return content
  if (!content.value.includes('-----BEGIN CERTIFICATE-----')) {
    return wrong(`names ${path}, which holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)`)
  }
  return content
}

/** Whether a file is there and can be read. */
export async function checkReadable(path: string): Promise<FileResult<unknown>> {
  return await readWhole(path, MAX_CA_BYTES, () => null)
}

/** Whether anybody on this machine may read a file that only few should. */
export async function isWorldReadable(path: string): Promise<boolean> {
  return ((await stat(path)).mode & 0o004) !== 0
}

async function readWhole(
  path: string,
  maxBytes: number,
  refuse: (mode: number) => string | null,
): Promise<FileResult<string>> {
  let handle: FileHandle
  try {
    // O_NONBLOCK: opening a named pipe must not wait for a writer.
    handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
    return wrong(`names ${path}, which ${openFailure(code)}`, code === 'EACCES' || code === 'EPERM')
  }
  await using file = handle
  const { mode, size } = await file
    .stat()
    .then((stats) => ({ mode: stats.mode, size: stats.isFile() ? stats.size : -1 }))
  if (size < 0) return wrong(`names ${path}, which is no regular file`)
  const refusal = refuse(mode)
  if (refusal !== null) return wrong(refusal)
  if (size > maxBytes) return wrong(`names ${path}, which is bigger than ${maxBytes} bytes: is it the right file?`)
  return { ok: true, value: await file.readFile('utf8') }
}

function openFailure(code: string): string {
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return 'does not exist'
    case 'EACCES':
    case 'EPERM':
      return `may not be read by this user (uid ${process.getuid?.() ?? '?'})`
    default:
      return `can't be opened (${code})`
  }
}
