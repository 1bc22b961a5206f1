/**
 * Certificates for tests: a CA and leaves with whatever names and dates a case needs. ECDSA P-256 throughout.
 */

import 'reflect-metadata'
import { randomBytes, webcrypto } from 'node:crypto'
import { isIP } from 'node:net'
import * as x509 from '@peculiar/x509'

x509.cryptoProvider.set(webcrypto)

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const DAY_MS = 86_400_000

export interface PemPair {
  /** The leaf, PEM. */
  readonly cert: string
  /** PKCS #8, PEM. */
  readonly key: string
}

export interface LeafOptions {
  /** Subject alternative names, host names or addresses; the first one is the common name too. Default localhost and 127.0.0.1. */
  readonly names?: readonly string[]
  readonly notBefore?: Date
  readonly notAfter?: Date
}

export interface CertificateAuthority {
  /** The CA's own certificate, PEM: what a client is told to trust. */
  readonly cert: string
  issue(options?: LeafOptions): Promise<PemPair>
  /** A leaf that ran out yesterday. */
  expired(names?: readonly string[]): Promise<PemPair>
}

/** Positive and minimal as DER wants it: the first byte is neither 0 nor above 0x7f. */
const serial = (): string => `51${randomBytes(15).toString('hex')}`
const generate = (): Promise<webcrypto.CryptoKeyPair> =>
  webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])

async function pemKey(keys: webcrypto.CryptoKeyPair): Promise<string> {
  return x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY')
}

export async function createCa(commonName = 'sallyport test CA'): Promise<CertificateAuthority> {
  const keys = await generate()
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: `CN=${commonName}`,
    notBefore: new Date(Date.now() - 30 * DAY_MS),
    notAfter: new Date(Date.now() + 120 * DAY_MS),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })

  async function issue(options: LeafOptions = {}): Promise<PemPair> {
    const names = options.names ?? ['localhost', '127.0.0.1']
    const leaf = await generate()
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: serial(),
      subject: `CN=${names[0] ?? 'nobody'}`,
      issuer: root.subject,
      notBefore: options.notBefore ?? new Date(Date.now() - DAY_MS),
      notAfter: options.notAfter ?? new Date(Date.now() + 90 * DAY_MS),
      signingAlgorithm: ALGORITHM,
      publicKey: leaf.publicKey,
      signingKey: keys.privateKey,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
        new x509.SubjectAlternativeNameExtension(
          names.map((name) => ({ type: isIP(name) ? ('ip' as const) : ('dns' as const), value: name })),
        ),
        await x509.AuthorityKeyIdentifierExtension.create(keys.publicKey),
      ],
    })
    return { cert: `${certificate.toString('pem')}\n`, key: `${await pemKey(leaf)}\n` }
  }

  return {
    cert: `${root.toString('pem')}\n`,
    issue,
    expired: (names) =>
      issue({
        ...(names ? { names } : {}),
        notBefore: new Date(Date.now() - 10 * DAY_MS),
        notAfter: new Date(Date.now() - DAY_MS),
      }),
  }
}
