/**
 * Invariant 8 as it is written (threat I-5): 500 sessions, revocations fired at random moments during login, a thousand runs, no survivor.
 *
 * Fifty app passwords hold ten sessions each, at five edges. A run takes one of them, logs its ten in again and takes it away
 * at some moment meanwhile, in one of several ways: whatever was granted must end, and the other 490 must not notice. Real
 * processes and a real Dovecot are in test/e2e/revocation.test.ts.
 */

import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import type { Grant } from '../../src/contract/admission.ts'
import { LoginFailure } from '../../src/contract/failure.ts'
import { createRandom } from '../fuzz/random.ts'
import type { House } from './house.ts'
import { attempt, edge, house } from './house.ts'

// A busy machine may take a minute for its ten seconds of work.
t.setTimeout(300_000)

const RUNS = 1000
const APP_PASSWORDS = 50
const SESSIONS_EACH = 10
const EDGES = 5
const SEED = Number(process.env.SALLYPORT_SEED ?? 8)

interface Holder {
  readonly user: string
  readonly userId: string
  id: string
  password: string
}

type Revoke = (h: House, holder: Holder) => Promise<unknown>
/** Ways to lose access, and how to get it back; null: by a new app password. */
const WAYS: readonly (readonly [Revoke, Revoke | null])[] = [
  [(h, { id }) => h.call('app-password.delete', { id }), null],
  [(h, { user }) => h.call('app-password.delete-all', { user }), null],
  [
    (h, { user }) => h.call('user.disable', { address: user }),
    (h, { user }) => h.call('user.enable', { address: user }),
  ],
  [
    (h, { user }) => h.call('policy.set', { scope: 'user', user, appPasswords: 'forbidden' }),
    (h, { user }) => h.call('policy.set', { scope: 'user', user, appPasswords: 'default' }),
  ],
  [
    (h, { user }) => h.call('policy.set', { scope: 'group', group: user, appPasswords: 'forbidden' }),
    (h, { user }) => h.call('policy.set', { scope: 'group', group: user, appPasswords: 'default' }),
  ],
  [
    (h, { id }) => h.call('app-password.update', { id, networks: ['10.0.0.0/8'] }),
    (h, { id }) => h.call('app-password.update', { id, networks: [] }),
  ],
]

/** In memory where there is such a place: what is tested is the order of things, not the disk. */
function quickDirectory(): string {
  return mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'sp-invariant-'))
}

for (const identity of [undefined, '{ method: stored-secret }']) {
  t.test(`invariant 8: ${RUNS / 2} runs, ${identity ?? 'master user'}, seed ${SEED}`, async (t) => {
    const directory = quickDirectory()
    t.teardown(() => rmSync(directory, { recursive: true, force: true }))
    const { below, pick } = createRandom(SEED + (identity ? 1 : 0))
    const h = await house(t, { directory, yaml: 'limits: { perUser: 10000 }', ...(identity ? { identity } : {}) })
    const edges = Array.from({ length: EDGES }, () => edge(h.keeper))
    const holders: Holder[] = []
    for (let i = 0; i < APP_PASSWORDS; i++) {
      const user = `user${i}@a.test`
      const { id: userId } = await h.addUser(user, [user])
      if (identity) await h.call('secret.set', { user, upstream: 'main', secret: 'the upstream password' })
      const { id, password } = await h.issue(user)
      holders.push({ user, userId, id, password })
    }
    const held = () => edges.reduce((sum, { sessions }) => sum + sessions.size, 0)
    const counts = { granted: 0, refused: 0, survivors: 0 }

    /** One login, with the pauses of a dial in it. */
    async function login({ user, password }: Holder, pauses: number): Promise<void> {
      const e = pick(edges)
      let grant: Grant
      try {
        grant = await e.admit(attempt(user, password))
      } catch (error) {
        if (!(error instanceof LoginFailure)) throw error
        if (!/^(app-password-deleted|bad-credentials)$/.test(error.reason)) t.fail(`refused as ${error.reason}`)
        counts.refused += 1
        return
      }
      counts.granted += 1
      for (let i = 0; i < pauses; i++) await turn()
      // An end may have come while it was dialling: then the edge has answered already.
      if (e.sessions.has(grant.id)) e.settle(grant, 'accepted')
    }

    async function logInAll(holder: Holder): Promise<void> {
      for (let i = 0; i < SESSIONS_EACH; i++) await login(holder, 0)
    }

    for (const holder of holders) await logInAll(holder)
    t.equal(held(), APP_PASSWORDS * SESSIONS_EACH)

    for (let run = 0; run < RUNS / 2; run++) {
      const holder = pick(holders)
      const [revoke, giveBack] = pick(WAYS)
      await h.call('session.end', { user: holder.user })
      // Some begin cold, some with level 2 only, most with a login that is remembered.
      const cache = below(4)
      if (cache === 0) h.keeper.bus.publish({ kind: 'user-changed', userId: holder.userId, epoch: 0 })
      if (cache === 1) h.keeper.bus.publish({ kind: 'all-changed' })
      const moment = below(SESSIONS_EACH + 2)
      const logins: Promise<void>[] = []
      let revoked: Promise<unknown> = Promise.resolve()
      for (let i = 0; i < SESSIONS_EACH + 2; i++) {
        if (i === moment) revoked = revoke(h, holder)
        if (i < SESSIONS_EACH) logins.push(login(holder, below(3)))
        if (below(3) === 0) await (below(2) === 0 ? turn() : null)
      }
      await Promise.all([...logins, revoked])
      await turn()
      await turn()
      const left = h.keeper.services['session.list']({ user: holder.user, after: null, limit: 100 }, 'system')
      counts.survivors += (await left).sessions.length
      if (held() !== (APP_PASSWORDS - 1) * SESSIONS_EACH) {
        t.fail(`run ${run}: ${held()} sessions at the edges, ${(APP_PASSWORDS - 1) * SESSIONS_EACH} expected`)
        return
      }
      if (giveBack) await giveBack(h, holder)
      else Object.assign(holder, await h.issue(holder.user))
      await logInAll(holder)
    }
    t.equal(counts.survivors, 0, 'no survivor')
    t.equal(held(), APP_PASSWORDS * SESSIONS_EACH, 'and everybody else is where they were')
    t.ok(counts.granted > 5000 && counts.refused > 500, `${counts.granted} granted, ${counts.refused} refused`)
    t.equal(h.capture.log.bugs, 0)
  })
}
