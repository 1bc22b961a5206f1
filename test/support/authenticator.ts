/**
 * A passkey made of software: answers to WebAuthn ceremonies as a browser with a platform authenticator gives them (WebAuthn
 * Level 3 §6.5, attestation 'none'). Each part of an answer can be bent.
 */

import type { KeyObject } from 'node:crypto'
import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto'

const UP = 0x01
const UV = 0x04
const BE = 0x08
const BS = 0x10
const AT = 0x40

export interface AnswerOptions {
  readonly origin?: string
  readonly rpId?: string
  readonly userVerified?: boolean
  readonly challenge?: string
  /** Default: one more than last time. */
  readonly counter?: number
}

const b64 = (bytes: Uint8Array | string): string => Buffer.from(bytes).toString('base64url')
const sha256 = (bytes: Uint8Array | string): Buffer => createHash('sha256').update(bytes).digest()

/** CBOR (RFC 8949) of what these answers hold: unsigned and negative integers, bytes, text, maps. */
function cbor(value: unknown): Buffer {
  const head = (major: number, length: number): Buffer => {
    if (length < 24) return Buffer.from([(major << 5) | length])
    if (length < 256) return Buffer.from([(major << 5) | 24, length])
    return Buffer.from([(major << 5) | 25, length >> 8, length & 0xff])
  }
  if (typeof value === 'number') return value >= 0 ? head(0, value) : head(1, -1 - value)
  if (typeof value === 'string') return Buffer.concat([head(3, Buffer.byteLength(value)), Buffer.from(value)])
  if (value instanceof Uint8Array) return Buffer.concat([head(2, value.length), value])
  if (value instanceof Map) {
    return Buffer.concat([head(5, value.size), ...[...value].flatMap(([key, each]) => [cbor(key), cbor(each)])])
  }
  throw new TypeError('no CBOR for that')
}

/** One credential. */
export function createPasskey(home: { readonly origin: string; readonly rpId: string }) {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const id = randomBytes(16)
  let counter = 0

  function authenticatorData(options: AnswerOptions, attested: Buffer | null): Buffer {
    counter = options.counter ?? counter + 1
    const flags = UP | (options.userVerified === false ? 0 : UV) | BE | BS | (attested ? AT : 0)
    const tail = Buffer.alloc(5)
    tail[0] = flags
    tail.writeUInt32BE(counter, 1)
    return Buffer.concat([sha256(options.rpId ?? home.rpId), tail, attested ?? Buffer.alloc(0)])
  }

  function clientData(type: string, challenge: string, options: AnswerOptions): Buffer {
    const origin = options.origin ?? home.origin
    return Buffer.from(JSON.stringify({ type, challenge: options.challenge ?? challenge, origin, crossOrigin: false }))
  }

  return {
    id: b64(id),

    /** Answers `navigator.credentials.create`. */
    create(asked: Readonly<Record<string, unknown>>, options: AnswerOptions = {}): Record<string, unknown> {
      const attested = Buffer.concat([
        Buffer.alloc(16), // AAGUID
        Buffer.from([0, id.length]),
        id,
        coseKey(publicKey),
      ])
      const authData = authenticatorData(options, attested)
      const attestation = new Map<unknown, unknown>([
        ['fmt', 'none'],
        ['attStmt', new Map()],
        ['authData', authData],
      ])
      return {
        id: b64(id),
        rawId: b64(id),
        type: 'public-key',
        clientExtensionResults: {},
        response: {
          clientDataJSON: b64(clientData('webauthn.create', String(asked.challenge), options)),
          attestationObject: b64(cbor(attestation)),
          transports: ['internal'],
        },
      }
    },

    /** Answers `navigator.credentials.get`. */
    get(asked: Readonly<Record<string, unknown>>, options: AnswerOptions = {}): Record<string, unknown> {
      const authData = authenticatorData(options, null)
      const client = clientData('webauthn.get', String(asked.challenge), options)
      return {
        id: b64(id),
        rawId: b64(id),
        type: 'public-key',
        clientExtensionResults: {},
        response: {
          clientDataJSON: b64(client),
          authenticatorData: b64(authData),
          signature: b64(sign('sha256', Buffer.concat([authData, sha256(client)]), privateKey)),
        },
      }
    },
  }
}

/** COSE_Key of a P-256 key (RFC 9053 §7.1.1), alg ES256. */
function coseKey(key: KeyObject): Buffer {
  const { x = '', y = '' } = key.export({ format: 'jwk' })
  return cbor(
    new Map<unknown, unknown>([
      [1, 2],
      [3, -7],
      [-1, 1],
      [-2, Buffer.from(x, 'base64url')],
      [-3, Buffer.from(y, 'base64url')],
    ]),
  )
}
