/**
 * Proving a passkey: the answer to a challenge, held against the credential that it names and the user it belongs to.
 */

import type { Config } from '../../config.ts'
import { ServiceError } from '../../contract/services.ts'
import type { RelyingParty } from '../../records/passkeys.ts'
import { credentialIdOf, relyingParty, usedPasskey } from '../../records/passkeys.ts'
import type { UserRow } from '../../records/store/store.ts'
import type { PortalDeps } from './deps.ts'

export interface ProvenPasskeys {
  /** The user whose passkey signed this challenge; null: nobody's, or (with `userId`) somebody else's. */
  prove(challenge: string, response: Readonly<Record<string, unknown>>, userId: string | null): Promise<UserRow | null>
}

export function createProvenPasskeys({ config, store, twoStep }: PortalDeps): ProvenPasskeys {
  return {
    async prove(challenge, response, userId) {
      const party = demandParty(config())
      const credentialId = credentialIdOf(response)
      const passkey = credentialId === null ? null : await store.people.passkeyByCredential(credentialId)
      if (passkey === null || (userId !== null && passkey.userId !== userId)) return null
      const used = await usedPasskey(party, challenge, passkey, response)
      if (used === null || !(await twoStep.notePasskey(passkey.id, used))) return null
      return await store.userById(passkey.userId)
    },
  }
}

/** @throws ServiceError 'not-configured' without a portal: a passkey is bound to its host name */
export function demandParty({ portal }: Config): RelyingParty {
  if (portal === null) throw new ServiceError('not-configured', 'the configuration has no portal (portal.url)')
  return relyingParty(portal.url)
}
