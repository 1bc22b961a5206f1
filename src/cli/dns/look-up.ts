/**
 * Asks a resolver whether the records are there.
 */

import type { Resolver } from 'node:dns/promises'
import { CliError } from '../failure.ts'
import type { CnameRecord, DnsRecord, SrvRecord } from './records.ts'

/** 'different': there is something, and it does not lead to where we are, or not only. */
export type RecordState = 'right' | 'missing' | 'different'

export interface LookedUp {
  readonly state: RecordState
  /** What is there, as in a zone file; of many the first few, and how many more there are. */
  readonly found: readonly string[]
}

/** More than anybody sets, and few enough to be looked at: an answer of DNS is a stranger's (threats D11). */
const MAX_FOUND = 8

/** @throws CliError 'unavailable' when the resolver does not answer, which says nothing about the record */
export async function lookUp(resolver: Resolver, record: DnsRecord): Promise<LookedUp> {
  const { state, found } = await lookUpAll(resolver, record)
  if (found.length <= MAX_FOUND) return { state, found }
  return { state, found: [...found.slice(0, MAX_FOUND), `and ${found.length - MAX_FOUND} more`] }
}

async function lookUpAll(resolver: Resolver, record: DnsRecord): Promise<LookedUp> {
  if (record.type === 'SRV') return await lookUpSrv(resolver, record)
  if (record.type === 'CNAME') return await lookUpCname(resolver, record)
  // Whether it is ours can't be told from here: there may be a load balancer or a port forward in front.
  const found = await addressesOf(resolver, record.name)
  return { found, state: stateOf(found, true) }
}

/** Priority and weight are the administrator's to choose. */
async function lookUpSrv(resolver: Resolver, { name, port, target }: SrvRecord): Promise<LookedUp> {
  const records = await answers(name, () => resolver.resolveSrv(name))
  const found = records.map((each) => `${each.priority} ${each.weight} ${each.port} ${each.name}.`)
  const isRight = records.every((each) => each.port === port && same(each.name, target))
  return { found, state: stateOf(found, isRight) }
}

/** An address record that leads to the same machine does as well. */
async function lookUpCname(resolver: Resolver, { name, target }: CnameRecord): Promise<LookedUp> {
  const names = await answers(name, () => resolver.resolveCname(name))
  if (names.some((each) => same(each, target))) return { found: names.map((each) => `${each}.`), state: 'right' }
  const addresses = await addressesOf(resolver, name)
  const found = names.length > 0 ? names.map((each) => `${each}.`) : addresses
  if (addresses.length === 0) return { found, state: stateOf(found, false) }
  const wanted = await addressesOf(resolver, target)
  return {
    found,
    state: stateOf(
      found,
      addresses.every((address) => wanted.includes(address)),
    ),
  }
}

async function addressesOf(resolver: Resolver, name: string): Promise<readonly string[]> {
  const [v4, v6] = await Promise.all([
    answers(name, () => resolver.resolve4(name)),
    answers(name, () => resolver.resolve6(name)),
  ])
  return [...v4, ...v6]
}

function stateOf(found: readonly string[], isRight: boolean): RecordState {
  return found.length === 0 ? 'missing' : isRight ? 'right' : 'different'
}

/** What the resolver says; nothing when it says that there is nothing. */
async function answers<T>(name: string, ask: () => Promise<readonly T[]>): Promise<readonly T[]> {
  try {
    return await ask()
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
    if (code === 'ENOTFOUND' || code === 'ENODATA') return []
    throw new CliError(
      'unavailable',
      `the resolver did not answer for ${name} (${code}): try again, or name another with --server`,
      { cause: error },
    )
  }
}

function same(one: string, other: string): boolean {
  return one.replace(/\.$/, '').toLowerCase() === other.toLowerCase()
}
