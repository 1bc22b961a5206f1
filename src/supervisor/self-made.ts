/**
 * A certificate of our own making, for trying out: kept in the data directory, so that who trusts it once need not again.
 *
 * Made anew when it has nearly run out, or when the names that it should stand for have changed.
 */

import { webcrypto, X509Certificate } from 'node:crypto'
import { open, readFile, rename, unlink } from 'node:fs/promises'
import { isIP } from 'node:net'
import { join } from 'node:path'
import { makeDirectory } from '../ipc/directory.ts'

export interface SelfMadeOptions {
  readonly dataDirectory: string
  /** Host names besides localhost and the loopback addresses. */
  readonly names: readonly string[]
  readonly now?: () => Date
}

export interface SelfMade {
  readonly cert: string
  readonly key: string
  readonly file: string
  readonly isNew: boolean
}

const FILE = 'self-made-certificate.pem'
const DAY_MS = 86_400_000
/** Apple's systems refuse certificates with a longer life, even when told to trust them. */
const VALID_DAYS = 397
const REMAKE_DAYS = 3
const ALWAYS = ['localhost', '127.0.0.1', '::1']

/** The certificate of the data directory, made when there is none that serves. */
export async function selfMadeCertificate({ dataDirectory, names, now }: SelfMadeOptions): Promise<SelfMade> {
  const file = join(dataDirectory, FILE)
  const wanted = [...new Set([...names.map((name) => name.toLowerCase()), ...ALWAYS])]
  const at = now?.() ?? new Date()
  const kept = await readFile(file, 'utf8').catch(() => null)
  if (kept !== null) {
    const [cert, key] = split(kept)
    if (cert !== undefined && key !== undefined && serves(cert, wanted, at)) return { cert, key, file, isNew: false }
  }
  const { cert, key } = await make(wanted, at)
  makeDirectory(dataDirectory)
  const fresh = `${file}.${process.pid}`
  await unlink(fresh).catch(() => {})
  const handle = await open(fresh, 'wx', 0o600)
  try {
    await handle.writeFile(cert + key)
  } finally {
    await handle.close()
  }
  await rename(fresh, file)
  return { cert, key, file, isNew: true }
}

function split(pem: string): [string | undefined, string | undefined] {
  const part = (what: string) =>
    new RegExp(`-----BEGIN ${what}-----[A-Za-z0-9+/=\\s]+-----END ${what}-----\n`).exec(pem)?.[0]
  return [part('CERTIFICATE'), part('PRIVATE KEY')]
}

function serves(cert: string, names: readonly string[], at: Date): boolean {
  try {
    const leaf = new X509Certificate(cert)
    if (new Date(leaf.validTo).getTime() - at.getTime() < REMAKE_DAYS * DAY_MS) return false
    return names.every((name) => (isIP(name) ? leaf.checkIP(name) : leaf.checkHost(name)) !== undefined)
  } catch {
    return false
  }
}

async function make(names: readonly string[], at: Date): Promise<{ cert: string; key: string }> {
  await import('reflect-metadata') // x509 needs it to be there first
  const x509 = await import('@peculiar/x509')
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const cert = await x509.X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: Buffer.from(webcrypto.getRandomValues(new Uint8Array(16))).toString('hex'),
      name: [{ CN: ['sallyport (self-made)'] }],
      notBefore: new Date(at.getTime() - DAY_MS),
      notAfter: new Date(at.getTime() + VALID_DAYS * DAY_MS),
      signingAlgorithm: algorithm,
      keys,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
        new x509.SubjectAlternativeNameExtension(
          names.map((name) => ({ type: isIP(name) ? ('ip' as const) : ('dns' as const), value: name })),
        ),
      ],
    },
    webcrypto,
  )
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64')
  const lines = pkcs8.match(/.{1,64}/g)?.join('\n') ?? ''
  return {
    cert: `${cert.toString('pem')}\n`,
    key: `-----BEGIN PRIVATE KEY-----\n${lines}\n-----END PRIVATE KEY-----\n`,
  }
}
