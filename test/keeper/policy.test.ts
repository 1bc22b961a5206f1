import t from 'tap'
import type { PolicyConfig } from '../../src/keeper/policy.ts'
import { isUsable, mayUsePrimaryPassword, policyFor, refusalOf } from '../../src/keeper/policy.ts'
import type { AppPasswordRow } from '../../src/records/store/store.ts'
import { userRow } from './user-row.ts'

const DAY = 24 * 60 * 60_000
const NOW = new Date('2026-01-02T03:04:05Z')

const config: PolicyConfig = {
  appPasswords: { allowed: true, perUser: 40, length: 16, expiry: null, protocols: ['imap', 'pop3', 'smtp', 'eas'] },
  groups: {
    contractors: { appPasswords: { allowed: false } },
    staff: { appPasswords: { allowed: true, perUser: 60, expiry: 90 * DAY } },
    scanners: { appPasswords: { perUser: 2, expiry: null, protocols: ['smtp'] } },
    readers: { appPasswords: { expiry: 30 * DAY, protocols: ['imap', 'smtp'] } },
  },
  primaryPassword: 'refuse',
}

const row = (patch: Partial<AppPasswordRow> = {}): AppPasswordRow => ({
  id: 'p1',
  userId: 'u1',
  name: 'phone',
  selector: 1,
  hash: '',
  keyId: 'k',
  protocols: ['imap'],
  networks: [],
  createdAt: NOW,
  expiresAt: null,
  lastUsed: null,
  tombstoneDigest: '',
  ...patch,
})

t.test('R29: policy global and per group; of several groups the strictest counts', async (t) => {
  const general = { allowed: true, cap: 40, length: 16, expiryMs: null, protocols: ['imap', 'pop3', 'smtp', 'eas'] }
  for (const [groups, want] of [
    [[], general],
    [['unknown', '__proto__', 'constructor'], general],
    [['contractors'], { ...general, allowed: false }],
    [['staff'], { ...general, cap: 60, expiryMs: 90 * DAY }],
    [['staff', 'contractors'], { ...general, allowed: false, cap: 60, expiryMs: 90 * DAY }],
    [['scanners'], { ...general, cap: 2, protocols: ['smtp'] }],
    [['staff', 'scanners', 'readers'], { ...general, cap: 2, expiryMs: 30 * DAY, protocols: ['smtp'] }],
  ] as const) {
    t.strictSame(policyFor(config, { groups, appPasswords: null }), want, groups.join() || 'no group')
  }
  const closed = { ...config, appPasswords: { ...config.appPasswords, allowed: false } }
  t.equal(policyFor(closed, { groups: [], appPasswords: null }).allowed, false)
  t.equal(policyFor(closed, { groups: ['staff'], appPasswords: null }).allowed, true, 'a group may be the exception')
})

t.test('what may not be used at all reads as a wrong secret; the rest says why', async (t) => {
  for (const [u, r, protocol, ip, want, why] of [
    [userRow(), row(), 'imap', '192.0.2.1', null, 'admitted'],
    [userRow({ enabled: false }), row(), 'imap', '192.0.2.1', 'bad-credentials', 'disabled user'],
    [userRow({ groups: ['contractors'] }), row(), 'imap', '192.0.2.1', 'bad-credentials', 'forbidden by policy (R29)'],
    [userRow(), row({ networks: ['10.0.0.0/8'] }), 'imap', '192.0.2.1', 'bad-credentials', 'wrong network'],
    [userRow(), row({ networks: ['10.0.0.0/8'] }), 'imap', '10.1.1.1', null, 'right network'],
    [userRow(), row(), 'smtp', '192.0.2.1', 'not-on-this-protocol', 'wrong protocol (M9)'],
    [userRow(), row({ expiresAt: NOW }), 'imap', '192.0.2.1', 'app-password-expired', 'run out this very moment'],
    [userRow(), row({ expiresAt: new Date(NOW.getTime() + 1) }), 'imap', '192.0.2.1', null, 'not yet run out'],
    [
      userRow({ enabled: false }),
      row({ expiresAt: NOW }),
      'smtp',
      '192.0.2.1',
      'bad-credentials',
      'disabled goes first',
    ],
  ] as const) {
    t.equal(refusalOf(config, u, r, protocol, ip, NOW), want, why)
  }
  t.equal(isUsable(config, userRow(), row({ networks: ['10.0.0.0/8'] }), null), true, 'from anywhere')
})

t.test('R5: the primary password is for known, enabled users who never enrolled, and only if configured', async (t) => {
  const open: PolicyConfig = { ...config, primaryPassword: 'until-enrolled' }
  t.equal(mayUsePrimaryPassword(config, userRow()), false, 'refuse is the default')
  t.equal(mayUsePrimaryPassword(open, userRow()), true)
  t.equal(mayUsePrimaryPassword(open, userRow({ enrolledAt: NOW })), false, 'enrolment is one-way')
  t.equal(mayUsePrimaryPassword(open, userRow({ enabled: false })), false)
})
