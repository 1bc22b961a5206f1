/**
 * The certificates shown to clients: read, checked whole before any is used, and watched for their end.
 *
 * A pair that does not fit keeps the server from starting, and at a reload keeps the old pairs in use (threat I-12).
 */

import { createPrivateKey, X509Certificate } from 'node:crypto'
import { open } from 'node:fs/promises'
import { createSecureContext } from 'node:tls'
import type { Config } from '../config.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import { selfMadeCertificate } from './self-made.ts'

export interface CertificatePair {
  /** The file, for messages and as the metric's label. */
  readonly name: string
  /** PEM, leaf first. */
  readonly cert: string
  readonly key: string
  readonly validFrom: Date
  readonly expiresAt: Date
}

/** A pair that can't be used. The message names the file and what is wrong. */
export class CertificateError extends Error {
  readonly code = 'ERR_CERTIFICATE'
  constructor(message: string, options?: { readonly cause: unknown }) {
    super(message, options)
    this.name = 'CertificateError'
  }
}

export interface CertificateFiles {
  readonly certFile: string
  readonly keyFile: string
}

export interface CertificateOptions {
  readonly files: readonly CertificateFiles[]
  /** For the self-made one, when there are no files: its directory and the names it stands for. */
  readonly dataDirectory: string
  readonly names: readonly string[]
  readonly log: Log
  readonly now?: () => Date
}

const MAX_PEM_BYTES = 1024 * 1024
const DAY_MS = 86_400_000
/** threat I-12: days before the end at which an operator is told. */
const WARN_DAYS = [1, 7, 30] as const

/**
 * All pairs, in the order of the configuration; a self-made one when it names none.
 *
 * @throws CertificateError for the first that can't be used
 */
export async function loadCertificates(options: CertificateOptions): Promise<readonly CertificatePair[]> {
  if (options.files.length === 0) {
    const { cert, key, file, isNew } = await selfMadeCertificate(options)
    const what = isNew ? 'a certificate was made, because none is configured' : 'a self-made certificate is in use'
    options.log.event('warn', 'warning', `${what}: clients will not trust it`, { detail: file })
    return [checkPair(file, cert, key)]
  }
  const pairs: CertificatePair[] = []
  for (const files of options.files) pairs.push(await readPair(files))
  return pairs
}

/** @throws CertificateError */
export async function readPair({ certFile, keyFile }: CertificateFiles): Promise<CertificatePair> {
  return checkPair(certFile, await read(certFile), await read(keyFile), keyFile)
}

async function read(file: string): Promise<string> {
  try {
    await using handle = await open(file)
    const { size } = await handle.stat()
    if (size > MAX_PEM_BYTES) throw new CertificateError(`${file} has ${size} bytes: is it the right file?`)
    return await handle.readFile('utf8')
  } catch (cause) {
    if (cause instanceof CertificateError) throw cause
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause)
    throw new CertificateError(`${file} can't be read (${code})`, { cause })
  }
}

/** @throws CertificateError */
function checkPair(certFile: string, cert: string, key: string, keyFile: string = certFile): CertificatePair {
  const leaf = attempt(`${certFile} holds no certificate in PEM form`, () => new X509Certificate(cert))
  // Without a cause: an error about a key could quote it.
  const privateKey = attempt(`${keyFile} holds no private key in PEM form, or one that needs a passphrase`, () =>
    createPrivateKey(key),
  )
  if (!leaf.checkPrivateKey(privateKey)) {
    throw new CertificateError(`the key in ${keyFile} is not that of the certificate in ${certFile}`)
  }
  attempt(`${certFile} and ${keyFile} are refused by OpenSSL (a weak key, or a broken chain)`, () =>
    createSecureContext({ cert, key }),
  )
  return {
    name: certFile,
    cert,
    key,
    validFrom: new Date(leaf.validFrom),
    expiresAt: new Date(leaf.validTo),
  }
}

function attempt<T>(message: string, make: () => T): T {
  try {
    return make()
  } catch {
    throw new CertificateError(message)
  }
}

/** Tells of certificates that run out, each step once, and keeps their metric. Call `look` at a load and once in a while. */
export function createExpiryWatch(log: Log, metrics: Metrics, now: () => Date = () => new Date()) {
  const told = new Map<string, number>()
  return {
    look(pairs: readonly CertificatePair[]): void {
      metrics.certificateExpiry.reset()
      for (const { name, validFrom, expiresAt } of pairs) {
        metrics.certificateExpiry.set({ certificate: name }, expiresAt.getTime() / 1000)
        const days = (expiresAt.getTime() - now().getTime()) / DAY_MS
        const step = days <= 0 ? 0 : (WARN_DAYS.find((limit) => days < limit) ?? null)
        const id = `${name} ${expiresAt.getTime()}`
        if (validFrom > now() && !told.has(id)) {
          told.set(id, Number.POSITIVE_INFINITY)
          log.event('warn', 'warning', `the certificate in ${name} is not valid before ${validFrom.toISOString()}`)
        }
        if (step === null || (told.get(id) ?? Number.POSITIVE_INFINITY) <= step) continue
        told.set(id, step)
        const when = step === 0 ? 'has run out' : `runs out in less than ${step === 1 ? 'a day' : `${step} days`}`
        log.event(step <= 1 ? 'error' : 'warn', 'warning', `the certificate in ${name} ${when}`, {
          detail: expiresAt.toISOString(),
        })
      }
    },
  }
}

/** All that clients and browsers are told to connect to. */
export function publishedNames({ portal, eas, clientSetup, domains, listeners }: Config): readonly string[] {
  const setsUp = listeners.some((listener) => listener.protocol === 'https' && listener.serves.includes('autoconfig'))
  const named = [portal && new URL(portal.url).hostname, eas.host, clientSetup.host]
  const found = setsUp ? domains.flatMap((domain) => [`autoconfig.${domain}`, `autodiscover.${domain}`]) : []
  return [...new Set([...named.filter((name) => name !== null), ...found])]
}

/** Under which names a self-made certificate is found. */
export function certificateNames(config: Config): readonly string[] {
  return [...new Set([...publishedNames(config), ...config.domains])]
}
