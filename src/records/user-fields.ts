/**
 * What may stand in a user's fields, and what a change of them is: for the row, and for the audit trail. Pure.
 */

import type { Language } from '../contract/languages.ts'
import { ServiceError } from '../contract/services.ts'
import { printable } from '../log.ts'
import type { UserRow } from './store/store.ts'

const MAX_NAME = 128
const MAX_GROUPS = 32
const UNSHOWABLE = /[\p{Cc}\p{Cs}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u

export interface UserUpdate {
  readonly name?: string | null | undefined
  readonly groups?: readonly string[] | undefined
  readonly admin?: boolean | undefined
  readonly enabled?: boolean | undefined
  /** null: not known any more. */
  readonly language?: Language | null | undefined
}

const FIELDS = ['name', 'groups', 'admin', 'enabled', 'language'] as const satisfies readonly (keyof UserUpdate)[]

/** Trimmed, NFC; nothing left is null. */
export function displayName(raw: string | null): string | null {
  const name = raw?.normalize('NFC').trim() ?? ''
  if ([...name].length > MAX_NAME || UNSHOWABLE.test(name)) {
    throw new ServiceError('invalid', `a name has at most ${MAX_NAME} characters that can be shown`)
  }
  return name === '' ? null : name
}

/** Each once, sorted, so that the same groups are the same text. */
export function groupNames(raw: readonly string[]): readonly string[] {
  const groups = [...new Set(raw.map(groupName))].sort()
  if (groups.length > MAX_GROUPS) throw new ServiceError('invalid', `a user is in at most ${MAX_GROUPS} groups`)
  return groups
}

/** One of them, wherever it is named: another spelling of it would be a group that nobody is in. */
export function groupName(raw: string): string {
  const group = raw.normalize('NFC').trim()
  if (group === '' || [...group].length > 64 || UNSHOWABLE.test(group) || group.includes(',')) {
    throw new ServiceError('invalid', `a group has 1 to 64 characters and no comma: "${printable(group, 64)}"`)
  }
  return group
}

/** Which fields are wanted otherwise than they are. */
export function changedFields(before: UserRow, wanted: UserUpdate): readonly (keyof UserUpdate)[] {
  return FIELDS.filter(
    (field) => wanted[field] !== undefined && JSON.stringify(wanted[field]) !== JSON.stringify(before[field]),
  )
}

/** The entry in the trail for a field that is not as it was. */
export function auditOf(field: keyof UserUpdate, before: UserRow, after: UserRow) {
  switch (field) {
    case 'name':
      return { event: 'user_renamed', detail: { name: after.name, before: before.name } } as const
    case 'groups':
      return { event: 'user_groups_set', detail: { groups: after.groups.join(',') || null } } as const
    case 'admin':
      return { event: 'user_admin_set', detail: { admin: after.admin } } as const
    case 'enabled':
      return { event: after.enabled ? 'user_enabled' : 'user_disabled', detail: {} } as const
    case 'language':
      return { event: 'user_language_set', detail: { language: after.language } } as const
  }
}
