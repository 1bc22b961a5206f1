/**
 * Finding the user that somebody means, and the words for a name that can't be one.
 */

import type { CanonicalName, NameRefusal, NameRules } from '../contract/names.ts'
import { canonicalName } from '../contract/names.ts'
import { ServiceError } from '../contract/services.ts'
import { printable } from '../log.ts'
import type { StoreTransaction, UserRow } from './store/store.ts'

const WORDS: Readonly<Record<NameRefusal, string>> = {
  empty: 'the address is empty',
  'too-long': 'the address is too long (64 characters before the @, 254 in all)',
  control: 'the address holds a control character',
  'not-ascii': 'the address holds a character outside ASCII; write its domain as A-labels (xn--…)',
  character: 'the part before the @ holds a character that names.allow does not list, or a dot in the wrong place',
  separator: 'the address holds the master-user separator of an upstream',
  domain: 'the part behind the @ is not a domain',
  'windows-domain': 'names.windowsDomains does not list that domain',
}

/** Why what somebody typed can't be anybody's address, in words. */
export function notAName(raw: string, why: NameRefusal): string {
  return `${WORDS[why]}: ${printable(raw)}`
}

/** A new user's name: canonical, and in one of the domains served. */
export function nameOfNewUser(raw: string, rules: NameRules): CanonicalName & { readonly ok: true } {
  const name = canonicalName(raw, rules)
  if (!name.ok) throw new ServiceError('invalid', notAName(raw, name.why))
  if (!rules.domains.includes(name.domain)) {
    throw new ServiceError('invalid', `${name.name} is in none of the domains served (${rules.domains.join(', ')})`)
  }
  return name
}

/** Ids are UUIDs as the records make them. */
const ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** Whether somebody wrote a user's id where an address could stand, too. */
export function isUserId(text: string): boolean {
  return ID.test(text)
}

/** The user with this id, or of this address as somebody typed it. @throws ServiceError 'not-found' */
export async function userAt(store: StoreTransaction, raw: string, rules: NameRules): Promise<UserRow> {
  const byId = isUserId(raw) ? await store.userById(raw) : null
  if (byId) return byId
  const name = canonicalName(raw, rules)
  const user = name.ok ? await store.userByAddress(name.name) : null
  if (!user) throw noSuchUser(name.ok ? name.name : raw)
  return user
}

export function noSuchUser(address: string): ServiceError {
  return new ServiceError('not-found', `there is no user ${printable(address)}`)
}
