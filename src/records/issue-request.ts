/**
 * What is asked of a new app password, held against the policy: everything that can be said without looking at the others.
 * Pure.
 */

import type { ProtocolName } from '../contract/admission.ts'
import { PROTOCOL_NAMES } from '../contract/admission.ts'
import { ServiceError } from '../contract/services.ts'
import { printable } from '../log.ts'
import { checkAppPasswordName } from './app-password.ts'
import { normaliseNetwork } from './networks.ts'
import type { AppPasswordPatch } from './store/store.ts'

const MAX_NETWORKS = 32
const MAX_LIFE_MS = 100 * 366 * 24 * 60 * 60_000

/** What the policy for this user says, at this moment. Whether app passwords are allowed at all is the caller's question. */
export interface IssuePolicy {
  /** How many may be live at once. */
  readonly cap: number
  /** Letters, 16–32. */
  readonly length: number
  /** The longest life one may have, which is also the default; null: for ever. */
  readonly expiryMs: number | null
  /** The protocols one may have, which are also the default. */
  readonly protocols: readonly ProtocolName[]
}

export interface IssueRequest {
  /** As typed; made canonical here. */
  readonly address: string
  readonly name: string
  readonly protocols?: readonly ProtocolName[] | undefined
  readonly networks?: readonly string[] | undefined
  /** From now; null: for ever; left out: what the policy says. */
  readonly expiresInMs?: number | null | undefined
  /** The portal session that asks: 'signed-out' when it was ended meanwhile. */
  readonly session?: string | undefined
}

/** What is to change of one that exists; what is left out stays. */
export type UpdateRequest = Pick<IssueRequest, 'protocols' | 'networks' | 'expiresInMs'> & {
  readonly name?: string | undefined
}

/** What the row of a new one says, but for its secret. */
export interface CheckedIssueRequest {
  readonly name: string
  readonly protocols: readonly ProtocolName[]
  readonly networks: readonly string[]
  readonly createdAt: Date
  readonly expiresAt: Date | null
}

/** @throws ServiceError 'invalid', or 'forbidden' when the policy says no */
export function checkIssueRequest(request: IssueRequest, policy: IssuePolicy, createdAt: Date): CheckedIssueRequest {
  return {
    name: appPasswordName(request.name),
    protocols: protocolsFor(request.protocols, policy.protocols),
    networks: networksFor(request.networks ?? []),
    createdAt,
    expiresAt: expiryFor(request.expiresInMs, policy.expiryMs, createdAt),
  }
}

/** @throws ServiceError 'invalid', also when nothing is asked; 'forbidden' when the policy says no */
export function checkUpdateRequest(request: UpdateRequest, policy: IssuePolicy, at: Date): AppPasswordPatch {
  const { name, protocols, networks, expiresInMs } = request
  if ([name, protocols, networks, expiresInMs].every((each) => each === undefined)) {
    throw new ServiceError('invalid', 'say what is to change: name, protocols, networks or expiry')
  }
  return {
    ...(name !== undefined && { name: appPasswordName(name) }),
    ...(protocols !== undefined && { protocols: protocolsFor(protocols, policy.protocols) }),
    ...(networks !== undefined && { networks: networksFor(networks) }),
    ...(expiresInMs !== undefined && { expiresAt: expiryFor(expiresInMs, policy.expiryMs, at) }),
  }
}

const NAME_WORDS = {
  empty: 'an app password needs a name: which device is it for?',
  'too-long': 'the name of an app password has at most 64 characters',
  control: 'the name of an app password holds a character that can not be shown',
} as const

/** @throws ServiceError 'invalid' */
export function appPasswordName(raw: string): string {
  const checked = checkAppPasswordName(raw)
  if (!checked.ok) throw new ServiceError('invalid', NAME_WORDS[checked.why])
  return checked.name
}

function protocolsFor(
  wanted: readonly ProtocolName[] | undefined,
  allowed: readonly ProtocolName[],
): readonly ProtocolName[] {
  if (wanted === undefined) return PROTOCOL_NAMES.filter((name) => allowed.includes(name))
  const unknown = wanted.find((name) => !PROTOCOL_NAMES.includes(name))
  if (unknown !== undefined || wanted.length === 0) {
    throw new ServiceError('invalid', `protocols are one or more of ${PROTOCOL_NAMES.join(', ')}`)
  }
  const forbidden = wanted.find((name) => !allowed.includes(name))
  if (forbidden !== undefined) {
    throw new ServiceError(
      'forbidden',
      `the policy does not allow app passwords for ${forbidden} (${allowed.join(', ')})`,
    )
  }
  return PROTOCOL_NAMES.filter((name) => wanted.includes(name))
}

function networksFor(wanted: readonly string[]): readonly string[] {
  if (wanted.length > MAX_NETWORKS) throw new ServiceError('invalid', `at most ${MAX_NETWORKS} networks`)
  const networks = new Set<string>()
  for (const raw of wanted) {
    const network = normaliseNetwork(raw)
    if (network === null) {
      throw new ServiceError(
        'invalid',
        `"${printable(raw, 64)}" is not a network; write it like 192.0.2.0/24 or 2001:db8::/32`,
      )
    }
    networks.add(network)
  }
  return [...networks]
}

function expiryFor(wantedMs: number | null | undefined, longestMs: number | null, from: Date): Date | null {
  const ms = wantedMs === undefined ? longestMs : wantedMs
  if (longestMs !== null && (ms === null || ms > longestMs)) {
    throw new ServiceError(
      'forbidden',
      `the policy lets an app password live ${longestMs / 86_400_000} days at the most`,
    )
  }
  if (ms === null) return null
  if (!Number.isFinite(ms) || ms <= 0 || ms > MAX_LIFE_MS) {
    throw new ServiceError('invalid', 'an app password lives for a while, 100 years at the most')
  }
  return new Date(from.getTime() + ms)
}
