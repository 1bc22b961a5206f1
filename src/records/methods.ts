/**
 * What a user proves itself with at the portal besides a password: authenticator apps, passkeys, links with providers.
 */

import type { ProviderLinkRow } from './store/people/provider-links.ts'
import type { AuthenticatorAppRow, PasskeyRow } from './store/people/second-steps.ts'
import type { StoreTransaction } from './store/store.ts'

/** Oldest first. */
export interface ProvenMethods {
  readonly apps: readonly AuthenticatorAppRow[]
  readonly passkeys: readonly PasskeyRow[]
  readonly links: readonly ProviderLinkRow[]
}

/** @throws StoreError */
export async function provenMethodsOf({ people }: StoreTransaction, userId: string): Promise<ProvenMethods> {
  return {
    apps: await people.authenticatorAppsOf(userId),
    passkeys: await people.passkeysOf(userId),
    links: await people.providerLinksOf(userId),
  }
}

/** 0: a password, or an invitation, is all there is. */
export function countMethods({ apps, passkeys, links }: ProvenMethods): number {
  return apps.length + passkeys.length + links.length
}
