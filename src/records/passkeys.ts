/**
 * Passkeys (WebAuthn Level 3): what to ask a browser for, and whether its answer is good. The library verifies; here stands
 * what we demand. No state: challenges are the caller's, credentials the store's. The library is loaded at the first use: half a
 * second and 25 MB that most starts of a keeper need not wait for.
 */

import { z } from 'zod'
import type { PasskeyRow } from './store/people/second-steps.ts'
import type { UserRow } from './store/store.ts'

/** Whom a passkey is for: the portal's host name and its origin. */
export interface RelyingParty {
  readonly id: string
  readonly origin: string
  readonly name: string
}

/** What a browser takes, as JSON, and the challenge in it that its answer must carry. */
export interface Ceremony {
  readonly options: Readonly<Record<string, unknown>>
  readonly challenge: string
}

export type NewPasskey = Pick<PasskeyRow, 'credentialId' | 'publicKey' | 'counter' | 'transports' | 'backedUp'>

const TIMEOUT_MS = 5 * 60_000
const webauthn = () => import('@simplewebauthn/server')

const credential = {
  id: z.string(),
  rawId: z.string(),
  type: z.literal('public-key'),
}
/** What of a browser's answer is verified (WebAuthn Level 3, RegistrationResponseJSON). No extension was asked for, so none is looked at. */
const CREATED = z.object({
  ...credential,
  response: z.object({
    clientDataJSON: z.string(),
    attestationObject: z.string(),
    // A hint for the browser, later on.
    transports: z.array(z.string()).catch([]),
  }),
})
/** AuthenticationResponseJSON. */
const USED = z.object({
  ...credential,
  response: z.object({ clientDataJSON: z.string(), authenticatorData: z.string(), signature: z.string() }),
})

/** For `portal.url`. */
export function relyingParty(url: string): RelyingParty {
  const { hostname, origin } = new URL(url)
  return { id: hostname, origin, name: hostname }
}

/** Asks for a new passkey: one that the user is verified for, so that it is two steps in one, and that is found without a name. */
export async function passkeyCreation(
  party: RelyingParty,
  user: UserRow,
  existing: readonly PasskeyRow[],
): Promise<Ceremony> {
  const { generateRegistrationOptions } = await webauthn()
  const options = await generateRegistrationOptions({
    rpID: party.id,
    rpName: party.name,
    userName: user.address,
    userDisplayName: user.name ?? user.address,
    userID: new Uint8Array(Buffer.from(user.id)),
    attestationType: 'none',
    timeout: TIMEOUT_MS,
    excludeCredentials: existing.map(({ credentialId, transports }) => ({
      id: credentialId,
      transports: [...transports],
    })),
    authenticatorSelection: { residentKey: 'preferred', userVerification: 'required' },
  })
  return { options: { ...options }, challenge: options.challenge }
}

/** null: the answer is not good, whatever it holds. */
export async function createdPasskey(
  party: RelyingParty,
  challenge: string,
  response: Readonly<Record<string, unknown>>,
): Promise<NewPasskey | null> {
  const { verifyRegistrationResponse } = await webauthn()
  const verified = await tried(() =>
    verifyRegistrationResponse({
      response: { ...CREATED.parse(response), clientExtensionResults: {} },
      expectedChallenge: challenge,
      expectedOrigin: party.origin,
      expectedRPID: party.id,
      requireUserVerification: true,
    }),
  )
  if (!verified?.verified) return null
  const { credential, credentialBackedUp } = verified.registrationInfo
  return {
    credentialId: credential.id,
    publicKey: Buffer.from(credential.publicKey).toString('base64url'),
    counter: credential.counter,
    transports: transportsOf(credential.transports),
    backedUp: credentialBackedUp,
  }
}

/** Asks for one of these passkeys; none given: any that the browser knows for us. */
export async function passkeyRequest(party: RelyingParty, passkeys: readonly PasskeyRow[]): Promise<Ceremony> {
  const { generateAuthenticationOptions } = await webauthn()
  const options = await generateAuthenticationOptions({
    rpID: party.id,
    timeout: TIMEOUT_MS,
    userVerification: 'required',
    allowCredentials: passkeys.map(({ credentialId, transports }) => ({
      id: credentialId,
      transports: [...transports],
    })),
  })
  return { options: { ...options }, challenge: options.challenge }
}

/** The counter and state of a passkey that signed this challenge; null: the answer is not good. */
export async function usedPasskey(
  party: RelyingParty,
  challenge: string,
  passkey: PasskeyRow,
  response: Readonly<Record<string, unknown>>,
): Promise<{ readonly counter: number; readonly backedUp: boolean } | null> {
  const { verifyAuthenticationResponse } = await webauthn()
  const verified = await tried(() =>
    verifyAuthenticationResponse({
      response: { ...USED.parse(response), clientExtensionResults: {} },
      expectedChallenge: challenge,
      expectedOrigin: party.origin,
      expectedRPID: party.id,
      requireUserVerification: true,
      credential: {
        id: passkey.credentialId,
        publicKey: new Uint8Array(Buffer.from(passkey.publicKey, 'base64url')),
        counter: passkey.counter,
        transports: [...passkey.transports],
      },
    }),
  )
  if (!verified?.verified) return null
  const { newCounter, credentialBackedUp } = verified.authenticationInfo
  return { counter: newCounter, backedUp: credentialBackedUp }
}

/** Which credential an answer says it is of; null: it doesn't say. */
export function credentialIdOf(response: Readonly<Record<string, unknown>>): string | null {
  return typeof response.id === 'string' && response.id.length <= 1366 ? response.id : null
}

/** Whatever an answer may hold is thrown for, from a missing field to a wrong origin and broken CBOR: all of it means no. */
async function tried<T>(verify: () => Promise<T>): Promise<T | null> {
  try {
    return await verify()
  } catch {
    return null
  }
}

function transportsOf(transports: readonly string[] | undefined): readonly string[] {
  return (transports ?? []).filter((one) => /^[a-z-]{1,16}$/.test(one)).slice(0, 8)
}
