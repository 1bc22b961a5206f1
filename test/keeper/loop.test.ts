/**
 * E7: nothing that a keeper does keeps its logins waiting for more than 20 ms, by measurement: a real one over a full store, asked
 * for each thing while logins go on.
 */

import { join } from 'node:path'
import t from 'tap'
import type { ServiceAnswer } from '../../src/contract/services.ts'
import type { Job } from '../support/turn-limit.ts'
import { LIMIT_MS, longestTurn, within } from '../support/turn-limit.ts'
import {
  AUDIT_ENTRIES,
  addressOf,
  CROWDED,
  fullStore,
  MORE_USERS,
  several,
  startSubject,
  startTables,
  USERS,
} from './loop-house.ts'

t.setTimeout(240_000)

const WRONG = 'abcd efgh jkmn pqrs'
const STAFF = { scope: 'group', group: 'staff' } as const
const NETWORKS = 10_000
const DAY = 24 * 60 * 60_000
const [ANN, BOB] = [addressOf(1), addressOf(2)]

const full = await fullStore(t)

t.test('E7: logins, and what administrators ask meanwhile', async (t) => {
  const house = await startSubject(t, full)
  const { call, wish, login, guess, stay, turns } = house
  const made = (user: string, n: number) => call('app-password.create', { user, name: `device ${n}` })

  const { password } = await made(ANN, 0)
  // Until what runs often has been compiled.
  await several(1000, 8, () => login(ANN, password))

  t.test('what the test can see', async (t) => {
    const busy = await longestTurn(turns, { work: () => wish({ busyMs: 25 }) })
    t.ok(busy.cpuMs > LIMIT_MS, `25 ms of work are seen: ${busy.cpuMs.toFixed(1)}`)
    const standing = await longestTurn(turns, { work: () => wish({ standMs: 25 }), cpuOnly: true })
    t.ok(standing.waitMs > LIMIT_MS, `25 ms of standing still are seen: ${standing.waitMs.toFixed(1)}`)
  })

  t.test('the path of a login', async (t) => {
    let fresh: string[] = []
    let known: Awaited<ReturnType<typeof made>>
    const jobs: Record<string, Job> = {
      '500 logins seen before': { work: () => several(500, 8, () => login(ANN, password)) },
      '8 logins never seen before': {
        prepare: async (n) => {
          fresh = []
          await several(8, 2, async (i) => {
            fresh[i] = (await made(addressOf(100 + i), n)).password
          })
        },
        work: () => several(8, 4, (i) => login(addressOf(100 + i), fresh[i] ?? '')),
      },
      '500 wrong guesses': { work: () => several(500, 8, (i) => guess(addressOf(1000 + i), WRONG)) },
      'a list of them': {
        work: async () => {
          const { lanes } = await call('throttle.list', { limit: 1000 })
          if (lanes.length < 1000) throw new Error(`only ${lanes.length} lanes`)
        },
      },
      'an app password made': { work: (n) => made(BOB, n) },
      'an app password deleted, with 500 sessions': {
        prepare: async (n) => {
          known = await made(ANN, n)
          await stay(ANN, known.password, 500)
        },
        work: () => call('app-password.delete', { id: known.id }),
      },
    }
    await within(t, turns, jobs)
    t.equal(house.sessions.size, 0)
  })

  t.test('sessions by the thousand', async (t) => {
    const fill = () => stay(ANN, password, 2000 - house.sessions.size)
    await fill()
    const listed: string[] = []
    for (let after: string | null = null, more = true; more; more = after !== null) {
      const page: ServiceAnswer<'session.list'> = await call('session.list', { after, limit: 150 })
      listed.push(...page.sessions.map(({ id }) => id))
      after = page.next
    }
    t.strictSame(listed, [...house.sessions.keys()].sort(), 'page by page, each of them once')
    await within(t, turns, {
      'a page of sessions, of 2000': { prepare: fill, work: () => call('session.list', { limit: 200 }) },
      'the sessions of one user': { work: () => call('session.list', { user: ANN, limit: 200 }) },
      '2000 sessions ended at once': { prepare: fill, work: () => call('session.end', { user: ANN }), times: 3 },
      'a user disabled, with 2000 sessions': {
        prepare: async () => {
          await call('user.enable', { address: ANN })
          await fill()
        },
        work: () => call('user.disable', { address: ANN }),
        times: 3,
      },
    })
    t.equal(house.sessions.size, 0)
    await call('user.enable', { address: ANN })
  })

  t.test('administration while logins go on', async (t) => {
    let [logins, goesOn] = [0, true]
    const phone = (async () => {
      for (; goesOn; logins++) await login(ANN, password)
    })()
    const long = await full.acceptedWith(
      `throttle: { trustedNetworks: [${Array.from({ length: NETWORKS }, (_, n) => `10.${n >> 8}.${n % 256}.0/24`)}] }`,
    )
    const all99 = Array.from({ length: USERS }, (_, n) => n).filter((n) => String(n).startsWith('99'))
    const all = Array.from({ length: 200 }, (_, line) => line)
    const jobs: Record<string, Job> = {
      [`the audit trail verified, ${AUDIT_ENTRIES} entries`]: {
        work: async () => {
          if (!(await call('audit.verify', {})).ok) throw new Error('the trail is not sound')
        },
        times: 2,
        cpuOnly: true,
      },
      'a page of the audit trail': { work: () => call('audit.list', { limit: 200 }) },
      'a page of the audit trail, from the middle': {
        work: () => call('audit.list', { sinceMs: Date.now() - AUDIT_ENTRIES / 2, limit: 200 }),
      },
      'a page of the audit trail, of one user': { work: () => call('audit.list', { user: BOB, limit: 200 }) },
      [`a page of ${USERS} users`]: { work: () => call('user.list', { limit: 200 }) },
      'users by a word that all have': { work: () => call('user.list', { search: 'user', limit: 200 }) },
      'users by two words, one of which all have': {
        work: async () => {
          const { users } = await call('user.list', { search: 'number 99', limit: 200 })
          const found = users.map(({ address }) => address)
          const meant = all99.map(addressOf)
          if (JSON.stringify(found) !== JSON.stringify(meant)) throw new Error(`${found} instead of ${meant}`)
        },
      },
      [`a page of ${USERS} devices`]: { work: () => call('device.list', { limit: 200 }) },
      'a page of the devices that wait': { work: () => call('device.list', { state: 'waiting', limit: 200 }) },
      'a user shown': { work: () => call('user.show', { address: ANN }) },
      '200 users imported': {
        work: (n) =>
          call('user.import', {
            users: all.map((line) => ({ line, address: `new.${n}.${line}@a.test`, name: 'New', groups: ['staff'] })),
          }),
      },
      'keys counted': { work: () => call('keys.status', {}) },
      [`a page of the policy, of which ${USERS / 2} have one of their own`]: {
        work: () => call('policy.list', { limit: 200 }),
      },
      [`the policy of a group of ${USERS + MORE_USERS}`]: {
        prepare: () => call('policy.set', { ...STAFF, appPasswords: 'allowed' }),
        work: () => call('policy.set', { ...STAFF, appPasswords: 'default' }),
      },
      [`the policy of everybody, of ${USERS + MORE_USERS}`]: {
        prepare: () => call('policy.set', { scope: 'all', appPasswords: 'allowed' }),
        work: () => call('policy.set', { scope: 'all', appPasswords: 'default' }),
      },
      backup: { work: (n) => call('backup', { file: join(full.directory, `backup-${n}`) }), cpuOnly: true },
      metrics: { work: () => wish({ scrape: null }) },
      'the configuration read again': { work: () => wish({ reload: full.accepted }) },
      [`the configuration read again, with ${NETWORKS} networks`]: { work: () => wish({ reload: long }) },
      [`${CROWDED.appPasswords} app passwords of one user deleted`]: {
        work: (n) => call('app-password.delete-all', { user: addressOf(CROWDED.from + n) }),
      },
      'what is done every hour, with nothing to do': { work: () => wish({ rounds: 2 }), cpuOnly: true },
    }
    try {
      await within(t, turns, jobs)
    } finally {
      goesOn = false
      await phone
    }
    t.ok(logins > 100, `${logins} logins went on`)
  })

  t.test('what is old goes', async (t) => {
    await within(t, turns, {
      'thousands of unused app passwords': {
        work: (n) => call('app-password.delete-unused', { unusedForMs: (450 - n * 100) * DAY }),
        times: 5,
      },
      'what is done every hour, with all there is': {
        work: async () => {
          await wish({ passMs: 200 * DAY })
          await wish({ rounds: 3 })
        },
        times: 1,
        cpuOnly: true,
      },
    })
  })

  t.test('its end', () => house.stop())
})

t.test('E7: ten thousand notes, and full tables of the throttle', async (t) => {
  const { work, turns } = await startTables(t, full)
  await work('fill the throttle')
  const written = (what: 'last uses' | 'tries' | 'visits'): Job => ({
    prepare: () => work(`note ${what}`),
    work: () => work(`write ${what}`),
  })
  await within(t, turns, {
    [`last uses of ${USERS} app passwords`]: written('last uses'),
    [`attempts with ${USERS} deleted app passwords`]: written('tries'),
    [`visits of ${USERS} devices`]: written('visits'),
    [`refusals of ${USERS} users`]: { work: () => work('refusals') },
    'guesses when all tables are full': { work: () => work('guesses') },
    'guesses when all in them is old': { prepare: () => work('an hour passes'), work: () => work('guesses') },
    'all of them forgotten': { prepare: () => work('fill the throttle'), work: () => work('clear the throttle') },
  })
})
