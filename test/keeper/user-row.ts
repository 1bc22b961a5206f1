import type { UserRow } from '../../src/records/store/store.ts'

/** A user as the store knows one, for tests without a store. */
export function userRow(patch: Partial<UserRow> = {}): UserRow {
  return {
    id: 'u1',
    address: 'ann@a.test',
    name: null,
    groups: [],
    admin: false,
    enabled: true,
    epoch: 1,
    enrolledAt: null,
    passwordHash: null,
    passwordKeyId: null,
    createdAt: new Date(0),
    appPasswords: null,
    language: null,
    ...patch,
  }
}
