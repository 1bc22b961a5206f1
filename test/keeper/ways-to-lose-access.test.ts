/**
 * Every way to lose access × what the login cache knows × the state of the edge's channel: the next login is refused, and
 * what is open, dialling or spliced, is ended and counted (M2, R29, B8, I-5, invariant 8).
 */

import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import type { Config } from '../../src/config.ts'
import type { Grant, LiveSession } from '../../src/contract/admission.ts'
import type { SessionsEnded } from '../../src/contract/services.ts'
import { createLocalBus } from '../../src/records/bus.ts'
import { createPolicies } from '../../src/records/policies.ts'
import type { House } from './house.ts'
import { attempt, edge, house } from './house.ts'

const YAML = `
onPasswordReset: revoke
groups: { contractors: { appPasswords: { allowed: false } } }
limits: { perUser: 1000 }
`
const EDGE = 'edge-1.aaaa'

interface Case {
  readonly user: string
  readonly id: string
}
type Act = (h: House, ann: Case) => Promise<SessionsEnded | null>

const forbidding = (change: (config: Config) => Config): Act => {
  return async (h) => {
    await h.keeper.reload(change(h.config))
    return null // a configuration has nobody to answer to
  }
}

/** What is done, what the next login hears, how it is taken back when it concerns more than one user. */
const WAYS: Readonly<Record<string, readonly [Act, string, Act?]>> = {
  deleted: [(h, { id }) => h.call('app-password.delete', { id }), 'app-password-deleted'],
  'all deleted': [(h, { user }) => h.call('app-password.delete-all', { user }), 'app-password-deleted'],
  'forbidden to the user': [
    (h, { user }) => h.call('policy.set', { scope: 'user', user, appPasswords: 'forbidden' }),
    'bad-credentials',
  ],
  'forbidden to the group': [
    (h) => h.call('policy.set', { scope: 'group', group: 'office', appPasswords: 'forbidden' }),
    'bad-credentials',
    (h) => h.call('policy.set', { scope: 'group', group: 'office', appPasswords: 'default' }),
  ],
  'forbidden to everybody': [
    (h) => h.call('policy.set', { scope: 'all', appPasswords: 'forbidden' }),
    'bad-credentials',
    (h) => h.call('policy.set', { scope: 'all', appPasswords: 'default' }),
  ],
  'forbidden to everybody, and the message about it lost': [
    async ({ store }) => {
      const elsewhere = createPolicies({ store, bus: createLocalBus(() => {}) })
      await elsewhere.set({ scope: 'all' }, false, 'cli:elsewhere')
      return null // whoever asked sees its own sessions
    },
    'bad-credentials',
    (h) => h.call('policy.set', { scope: 'all', appPasswords: 'default' }),
  ],
  'forbidden by the configuration': [
    forbidding((config) => ({ ...config, appPasswords: { ...config.appPasswords, allowed: false } })),
    'bad-credentials',
    forbidding((config) => config),
  ],
  'a group forbidden by the configuration': [
    forbidding((config) => ({ ...config, groups: { office: { appPasswords: { allowed: false } } } })),
    'bad-credentials',
    forbidding((config) => config),
  ],
  disabled: [(h, { user }) => h.call('user.disable', { address: user }), 'bad-credentials'],
  'moved to another group': [
    (h, { user }) => h.call('user.set-groups', { address: user, groups: ['contractors'] }),
    'bad-credentials',
  ],
  'protocols narrowed': [
    (h, { id }) => h.call('app-password.update', { id, protocols: ['pop3'] }),
    'not-on-this-protocol',
  ],
  'networks narrowed': [
    (h, { id }) => h.call('app-password.update', { id, networks: ['10.0.0.0/8'] }),
    'bad-credentials',
  ],
  'run out': [
    async (h, { id }) => {
      await h.call('app-password.update', { id, expiresInMs: 1 })
      return null // it ends a moment after the answer
    },
    'app-password-expired',
  ],
  'password reset': [
    (h, { user }) => h.call('user.set-password', { address: user, password: 'a new long password' }),
    'app-password-deleted',
  ],
  'user deleted': [(h, { user }) => h.call('user.delete', { address: user }), 'bad-credentials'],
}

const CACHES = {
  'level 1': async () => {},
  'level 2': async (h: House) => h.keeper.bus.publish({ kind: 'all-changed' }),
  none: async (h: House) => {
    h.keeper.bus.publish({ kind: 'all-changed' })
    await h.store.deleteExpiredCachedLogins(new Date('2999-01-01'))
  },
} as const

for (const [cache, forget] of Object.entries(CACHES)) {
  for (const channel of ['up', 'down', 'restarting'] as const) {
    t.test(`cache: ${cache}; channel: ${channel}`, async (t) => {
      const endWithinMs = channel === 'down' ? 60 : 60_000
      let h = await house(t, { yaml: YAML, endWithinMs, storeLookMs: 20 })
      await h.addUser('bob@a.test')
      const bobs = await h.issue('bob@a.test')
      for (const [i, [way, [act, reason, undo]]] of Object.entries(WAYS).entries()) {
        const user = `ann${i}@a.test`
        await h.addUser(user, ['office'])
        const { id, password } = await h.issue(user)
        const { id: userId } = await h.call('user.show', { address: user })
        h.keeper.expectEdges([EDGE])
        let e = edge(h.keeper, { id: EDGE, deaf: channel === 'down' })
        await e.port.resume([])
        const bob = await e.login('bob@a.test', bobs.password)
        const open = [await e.login(user, password), await e.login(user, password, { protocol: 'smtp' })]
        const dialling = await e.admit(attempt(user, password))
        const mine = [...open, dialling].map(({ id }) => id)
        const live = (grant: Grant, protocol: 'imap' | 'smtp', settled: boolean): LiveSession => ({
          grantId: grant.id,
          userId,
          logName: user,
          appPassword: grant.appPassword,
          protocol,
          ip: '192.0.2.1',
          port: 1,
          startedAt: 0,
          settled,
        })
        const brought = [
          live(open[0] as Grant, 'imap', true),
          live(open[1] as Grant, 'smtp', true),
          live(dialling, 'imap', false),
        ]
        const told = new Set<string>()

        /** The edge comes back on a new channel, with all that it has. */
        async function comeBack(): Promise<void> {
          const before = e
          e = edge(h.keeper, { id: EDGE })
          for (const { grantId, settled } of brought) e.sessions.set(grantId, settled)
          for (const grantId of await e.port.resume(brought)) {
            told.add(grantId)
            if (!e.sessions.has(grantId)) continue
            const settled = e.sessions.get(grantId)
            e.sessions.delete(grantId)
            if (settled) e.port.ended(grantId, { reason: 'revoked', netInBytes: 0, netOutBytes: 0, durationMs: 0 })
            else e.port.settle(grantId, 'client-gone')
          }
          before.port.close()
        }

        if (channel === 'restarting') {
          await h.close()
          h = await house(t, { yaml: YAML, directory: h.directory, endWithinMs, storeLookMs: 20 })
          h.keeper.expectEdges([EDGE])
        }
        await forget(h)
        const from = performance.now()
        const acting = act(h, { user, id })
        if (channel === 'restarting') await comeBack()
        const answer = await acting
        if (channel === 'down') await comeBack()
        const deadline = from + 30_000
        const missing = () => mine.filter((grantId) => !told.has(grantId) && !e.told.includes(grantId))
        while (missing().length > 0 && performance.now() < deadline) await delay(2)
        t.strictSame(missing(), [], `${way}: all three sessions were told to end`)
        if (answer !== null) {
          const others = way === 'forbidden to everybody' && channel !== 'restarting' ? 1 : 0
          if (channel === 'down') t.match(answer, { sessionsEnded: 0, unanswered: ['edge-1'] }, `${way}: it is named`)
          else t.match(answer, { sessionsEnded: 3 + others, unanswered: [] }, `${way}: they are counted`)
        }
        t.equal(await e.result(user, password), reason, `${way}: the next login`)
        t.equal(
          (await h.call('session.list', { user: userId }).catch(() => ({ sessions: [] }))).sessions.length,
          0,
          `${way}: none survives`,
        )
        await undo?.(h, { user, id })
        t.equal(await e.result('bob@a.test', bobs.password), 'in', `${way}: nobody else is hit`)
        if (e.sessions.has(bob.id)) e.logout(bob)
        e.port.close()
      }
      t.strictSame(h.capture.log.bugs, 0)
    })
  }
}
