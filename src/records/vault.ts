/**
 * The vault: sealing at rest with AES-256-GCM.
 *
 * An envelope is base64url of `version(1) ‖ length of key id(1) ‖ key id ‖ nonce(12) ‖ tag(16) ‖ ciphertext`. What it is
 * bound to (say purpose, user and upstream) and its head go in as additional data, so an envelope that was moved to another
 * row, or whose head was changed, doesn't open. Nonces are random: good for 2^32 envelopes a key (NIST SP 800-38D §8.3).
 */

import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import type { Keys, SealPurpose } from './keys.ts'

const VERSION = 1
const NONCE_BYTES = 12
const TAG_BYTES = 16
const ALGORITHM = 'aes-256-gcm'

export interface Sealed {
  readonly sealed: string
  readonly keyId: string
}

/** A bad seal is a fact about one record: the caller refuses that record, and says so, and goes on. */
export type Opened =
  | { readonly ok: true; readonly plain: Buffer }
  | { readonly ok: false; readonly why: 'malformed' | 'unknown-key' | 'bad-seal' }

/** What an envelope belongs to, in an order that the caller fixes: `['upstream-secret', userId, upstream]`. */
export type Binding = readonly string[]

export interface Vault {
  /** Seals under the active key. */
  seal(plain: Uint8Array | string, binding: Binding): Sealed
  /** Opens what was sealed with the same binding under any key of the key file. Never throws for what the envelope holds. */
  open(sealed: string, binding: Binding): Opened
}

/** `purpose` 'seal' for what lasts, 'cache-seal' for cached logins: one never opens as the other. */
export function createVault(keys: Keys, purpose: SealPurpose = 'seal'): Vault {
  return {
    seal(plain, binding) {
      const key = keys.active
      const head = headOf(key.id)
      const nonce = randomBytes(NONCE_BYTES)
      const cipher = createCipheriv(ALGORITHM, key.cipherKey(purpose), nonce, { authTagLength: TAG_BYTES })
      cipher.setAAD(additionalData(head, binding))
      const body = Buffer.concat([typeof plain === 'string' ? cipher.update(plain, 'utf8') : cipher.update(plain)])
      const last = cipher.final()
      const envelope = Buffer.concat([head, nonce, cipher.getAuthTag(), body, last])
      return { sealed: envelope.toString('base64url'), keyId: key.id }
    },

    open(sealed, binding) {
      const envelope = Buffer.from(sealed, 'base64url')
      const idBytes = envelope[1] ?? 0
      const headBytes = 2 + idBytes
      const bodyAt = headBytes + NONCE_BYTES + TAG_BYTES
      if (envelope[0] !== VERSION || envelope.length < bodyAt) return { ok: false, why: 'malformed' }
      const head = envelope.subarray(0, headBytes)
      const key = keys.byId(head.toString('latin1', 2))
      if (!key) return { ok: false, why: 'unknown-key' }
      const nonce = envelope.subarray(headBytes, headBytes + NONCE_BYTES)
      const tag = envelope.subarray(headBytes + NONCE_BYTES, bodyAt)
      const decipher = createDecipheriv(ALGORITHM, key.cipherKey(purpose), nonce, { authTagLength: TAG_BYTES })
      decipher.setAAD(additionalData(head, binding)).setAuthTag(tag)
      const plain = decipher.update(envelope.subarray(bodyAt))
      try {
        return { ok: true, plain: Buffer.concat([plain, decipher.final()]) }
      } catch {
        // final() throws for one reason: the tag doesn't fit.
        return { ok: false, why: 'bad-seal' }
      }
    },
  }
}

function headOf(keyId: string): Buffer {
  return Buffer.concat([Buffer.from([VERSION, keyId.length]), Buffer.from(keyId, 'latin1')])
}

/** Each part behind its length, so that `['ab', 'c']` and `['a', 'bc']` differ. */
function additionalData(head: Buffer, binding: Binding): Buffer {
  const parts = binding.flatMap((part) => {
    const bytes = Buffer.from(part, 'utf8')
    const length = Buffer.alloc(4)
    length.writeUInt32BE(bytes.length)
    return [length, bytes]
  })
  return Buffer.concat([head, ...parts])
}
