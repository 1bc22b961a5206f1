/**
 * The records' services over a real store in a directory of the test's own, with cheap hashes and a clock that is set.
 */

import { join } from 'node:path'
import type { Test } from 'tap'
import type { NameRules } from '../../src/contract/names.ts'
import type { IssuePolicy } from '../../src/records/app-passwords.ts'
import { createAppPasswords } from '../../src/records/app-passwords.ts'
import type { BusEvent } from '../../src/records/bus.ts'
import { createLocalBus } from '../../src/records/bus.ts'
import { createHasher } from '../../src/records/hash.ts'
import { openKeys } from '../../src/records/key-file.ts'
import { createStoredSecrets } from '../../src/records/secrets.ts'
import { openStore } from '../../src/records/store/open.ts'
import { createUsers } from '../../src/records/users.ts'
import { createVault } from '../../src/records/vault.ts'

const RULES: NameRules = {
  domains: ['example.org', 'example.net'],
  allow: '',
  separators: ['*'],
  windowsDomains: {},
}
export const POLICY: IssuePolicy = { cap: 40, length: 16, expiryMs: null, protocols: ['imap', 'pop3', 'smtp', 'eas'] }
export const ROOT = 'cli:root'
export const DAY = 24 * 60 * 60_000

/** 64 KiB and one pass: some 50 µs a hash. */
export async function openHouse(t: Test, hasherOptions: { readonly maxQueued?: number } = {}) {
  const directory = t.testdir()
  const file = join(directory, 'store.db')
  const store = await openStore({ sqlite: file })
  t.teardown(() => store.close())
  const keys = await openKeys({ file: join(directory, 'keys'), store })
  const hasher = createHasher({ memoryKiB: 64, passes: 1, concurrency: 2, maxQueued: 1000, ...hasherOptions })
  const events: BusEvent[] = []
  const bus = createLocalBus((error) => {
    throw error
  })
  bus.subscribe((event) => events.push(event))
  const clock = { now: new Date('2026-03-01T12:00:00Z') }
  const shared = { store, keys, hasher, bus, names: () => RULES, now: () => clock.now }
  const vault = createVault(keys)
  return {
    ...shared,
    directory,
    file,
    clock,
    vault,
    /** What the bus was told since it was last asked. */
    told: () => events.splice(0),
    users: createUsers(shared),
    appPasswords: createAppPasswords(shared),
    secrets: createStoredSecrets({ store, vault, bus, names: () => RULES, now: () => clock.now }),
    async audit(userId: string | null = null) {
      return await store.listAudit({ userId, since: null, afterSeq: 0, limit: 1000 })
    },
    async addUser(address: string) {
      const request = { address, name: null, groups: [], admin: false, password: null }
      return await this.users.add(request, ROOT)
    },
  }
}
