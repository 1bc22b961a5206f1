/** Every page there is, each with what the keeper must say for it to be shown. */

import type { EnrolmentStep } from '../../../src/contract/portal/session.ts'
import type { DeviceView, UserView } from '../../../src/contract/services.ts'
import { ServiceError } from '../../../src/contract/services.ts'
import type { Answers } from './stand-in.ts'
import { ago, appPassword, methodList, sessionView } from './stand-in.ts'

export interface Shot {
  readonly name: string
  readonly path: string
  /** A form that is sent to `path`; its token is added. */
  readonly form?: Readonly<Record<string, string>>
  readonly signedIn?: boolean
  /** What the browser still holds. */
  readonly cookie?: string
  readonly answers?: Answers
  readonly status?: number
}

const flow = (methods: readonly string[]): string =>
  `__Host-sallyport-flow=${Buffer.from(JSON.stringify({ token: 'f'.repeat(22), methods, next: null })).toString('base64url')}`
const note = (value: unknown): string =>
  `__Host-sallyport-note=${Buffer.from(JSON.stringify(value)).toString('base64url')}`

const options = {
  password: true,
  passkey: true,
  providers: [{ id: 'contoso', name: 'Contoso' }],
  enrolment: 'invitation',
} as const
const enrolling = (...enrolment: readonly EnrolmentStep[]): Answers => ({
  'sign-in.options': options,
  'session.show': sessionView({ stage: 'enrolling', enrolment }),
})
const codes = Array.from({ length: 10 }, (_, index) => `k7fq-${index}m2x-tz9p-4hde`)
const issued = {
  id: 'a9',
  user: 'ann@example.org',
  name: 'iPad',
  password: 'abcd efgh ijkl mnop',
  protocols: ['imap'],
  createdAt: ago(0),
}
const fresh = { token: 'b'.repeat(24), expiresAt: ago(-12) }
const totp = {
  id: 't9',
  secret: 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP',
  uri: 'otpauth://totp/example.org:ann%40example.org?issuer=example.org&secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&period=30&digits=6&algorithm=SHA1',
}
const totpForm = { ...totp, code: '123456', name: 'Authenticator app' }
const signedIn: Answers = { 'session.show': sessionView(), 'methods.list': methodList() }
const forty = Array.from({ length: 40 }, (_, index) =>
  appPassword(`c${index}`, `Device ${index + 1}`, {
    createdAt: ago(24 * (200 - index)),
    lastUsed: index % 3 === 0 ? null : { at: ago(24 * index), protocol: 'imap', ip: '192.0.2.7', agent: null },
  }),
)
const notices = methodList({
  aliases: [
    { alias: 'scan1', protocol: 'smtp', port: 2525, sender: 'scan@example.org' },
    { alias: 'scan2', protocol: 'smtp', port: 2525, sender: null },
  ],
  notices: [
    ...methodList().notices,
    {
      kind: 'login-refused',
      id: 'n6',
      reason: 'app-password-expired',
      name: 'iPad',
      at: ago(2),
      ip: '192.0.2.9',
      protocol: 'eas',
    },
    { kind: 'set-up-used', id: 'n2', name: 'New iPhone', appPassword: 'a1', at: ago(1), ip: '198.51.100.4' },
    { kind: 'done-for-you', id: 'n3', what: 'app-password-created', name: 'Scanner', at: ago(5) },
    { kind: 'recovery-codes-low', id: 'n4', left: 2 },
    { kind: 'password-was-reset', id: 'n5', at: ago(50), appPasswords: 3 },
  ],
})

const setUps = [
  { id: 'l1', name: 'iPhone', createdAt: ago(0.1), usedAt: null, usedIp: null, appPassword: null },
  { id: 'l2', name: 'iPad', createdAt: ago(2), usedAt: ago(1.9), usedIp: '198.51.100.4', appPassword: 'a1' },
  { id: 'l3', name: 'Mac', createdAt: ago(5), usedAt: null, usedIp: null, appPassword: null },
]

function device(id: string, state: DeviceView['state'], more: Partial<DeviceView> = {}): DeviceView {
  return {
    id,
    user: 'ann@example.org',
    type: 'iPhone',
    agent: 'Apple-iPhone14C5/2001.50',
    protocolVersion: '16.1',
    state,
    blockedBy: state === 'blocked' ? 'owner' : null,
    firstSeenAt: ago(24 * 60),
    lastSeenAt: ago(0.1),
    lastIp: '192.0.2.7',
    ...more,
  }
}
const devices = [
  device('appldnqk3', 'allowed'),
  device('androidc259148960', 'blocked', { type: 'Android', agent: 'Android/14-EAS-2.0' }),
  device('sec1a2b3c4d5e6f7', 'blocked', { type: 'SamsungDevice', agent: null, blockedBy: 'administrator' }),
  device('0f'.repeat(64), 'waiting', { type: null, agent: null, lastIp: '2001:db8::17' }),
]

const sessions: Answers = {
  'session.show': sessionView(),
  'mail-session.list': [
    mailSession('s1', 'iPad', 'imap', 2),
    mailSession('s2', 'iPad', 'imap', 0.4),
    mailSession('s3', 'Outlook at home', 'imap', 30),
  ],
  'device.list': { devices: [], mayAllow: true },
  'session.others': [
    {
      id: 'o1',
      beganAt: ago(0.2),
      seenAt: ago(0),
      ip: '192.0.2.7',
      agent: 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36',
      current: true,
    },
    {
      id: 'o2',
      beganAt: ago(9),
      seenAt: ago(6),
      ip: '198.51.100.4',
      agent: 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) Version/18.1 Mobile/15E148 Safari/604.1',
      current: false,
    },
  ],
}

function mailSession(id: string, name: string, protocol: string, hours: number) {
  return {
    id,
    user: 'ann@example.org',
    protocol,
    appPassword: { id: name, name },
    ip: '192.0.2.7',
    startedAt: ago(hours),
    upstream: 'main',
    state: 'open',
  } as const
}

const admin = sessionView({ user: { ...sessionView().user, admin: true } })
const asUser = (address: string, name: string | null, more: Partial<UserView> = {}): UserView => ({
  id: address,
  address,
  name,
  groups: [],
  admin: false,
  enabled: true,
  language: null,
  hasPassword: true,
  enrolledAt: ago(24 * 30),
  createdAt: ago(24 * 60),
  appPasswords: 3,
  ...more,
})
const users = [
  asUser('ann@example.org', 'Ann de Vries', { admin: true }),
  asUser('bob@example.org', 'Bob', { enrolledAt: null, appPasswords: 0 }),
  asUser('cas@example.org', null, { enabled: false, groups: ['contractors'] }),
]
/** Answers to the services of administrators, by service. */
function administration(services: Readonly<Record<string, unknown>> = {}, session = admin): Answers {
  const answers: Readonly<Record<string, unknown>> = {
    'user.list': { users, next: 'cas@example.org' },
    'user.show': {
      ...asUser('bob@example.org', 'Bob Jansen', { groups: ['contractors', 'staff'] }),
      methods: [
        { kind: 'totp', id: 't1', name: 'Pixel', createdAt: ago(24 * 30), lastUsedAt: ago(4) },
        { kind: 'passkey', id: 'p1', name: 'Laptop', createdAt: ago(24 * 3), lastUsedAt: null },
      ],
      recoveryCodes: 9,
    },
    'app-password.list': methodList().appPasswords,
    'device.list': { devices, next: null },
    'policy.list': {
      policies: [
        { scope: 'all', subject: null, appPasswords: 'allowed', source: 'configured', configured: 'allowed' },
        { scope: 'group', subject: 'contractors', appPasswords: 'forbidden', source: 'set', configured: null },
        { scope: 'user', subject: 'cas@example.org', appPasswords: 'allowed', source: 'set', configured: null },
      ],
      next: 'user:cas@example.org',
    },
    'policy.show': {
      user: 'bob@example.org',
      appPasswords: 'forbidden',
      decidedBy: { scope: 'group', subject: 'contractors', source: 'set' },
      perUser: 40,
      expiryMs: null,
      protocols: ['imap'],
    },
    'user.add': users[1],
    'user.invite': {
      user: 'bob@example.org',
      url: 'https://mail.example.org/invitation/k3Jd9fWq0LmZx8VtR2yBnA',
      expiresAt: ago(-72),
      mailed: false,
    },
    'audit.list': {
      entries: ['sign_in_accepted', 'app_password_created', 'app_password_deleted', 'user_disabled'].map(
        (event, index) => ({
          seq: index + 1,
          at: ago(4 - index),
          event,
          actor: 'user:9a1c',
          user: 'ann@example.org',
          detail: { name: 'iPad', ip: '192.0.2.7', sessions: 2 },
        }),
      ),
      lastSeq: 4,
    },
    ...services,
  }
  return {
    'session.show': session,
    'admin.call': ({ method }: { readonly method: string }) => {
      const answer = answers[method]
      if (answer instanceof ServiceError) throw answer
      return { answer, replayed: false }
    },
  }
}

export const SHOTS: readonly Shot[] = [
  { name: 'sign-in', path: '/sign-in', answers: { 'sign-in.options': options } },
  {
    name: 'sign-in-refused',
    path: '/sign-in',
    form: { user: 'ann@example.org', password: 'wrong' },
    answers: { 'sign-in.options': options, 'sign-in.password': { next: 'refused', why: 'bad-credentials' } },
    status: 401,
  },
  {
    name: 'sign-in-nobody',
    path: '/sign-in',
    answers: { 'sign-in.options': { ...options, password: false, passkey: false, providers: [] } },
  },
  { name: 'second-step', path: '/sign-in/second-step', cookie: flow(['totp', 'passkey', 'recovery-code']) },
  { name: 'second-step-passkey', path: '/sign-in/second-step?by=passkey', cookie: flow(['totp', 'passkey']) },
  {
    name: 'second-step-recovery-code',
    path: '/sign-in/second-step?by=recovery-code',
    cookie: flow(['totp', 'recovery-code']),
  },
  {
    name: 'forwarding',
    path: '/sign-in/provider/contoso',
    form: {},
    answers: {
      'sign-in.options': options,
      'sign-in.provider-begin': { flow: 'f'.repeat(22), url: 'https://login.example.com/authorize?state=a&nonce=b' },
    },
  },
  {
    name: 'invitation',
    path: `/invitation/${'i'.repeat(22)}`,
    answers: {
      'invitation.show': { user: 'ann@example.org', name: 'Ann', expiresAt: ago(-70), why: 'new-user' },
    },
  },
  {
    name: 'invitation-reset',
    path: `/invitation/${'i'.repeat(22)}`,
    answers: { 'invitation.show': { user: 'ann@example.org', name: null, expiresAt: ago(-70), why: 'reset' } },
  },
  {
    name: 'invitation-gone',
    path: `/invitation/${'i'.repeat(22)}`,
    answers: { 'invitation.show': () => null },
    status: 404,
  },
  {
    name: 'enrol-choose',
    path: '/enrol',
    signedIn: true,
    answers: enrolling('second-step', 'recovery-codes', 'app-password'),
  },
  {
    name: 'enrol-authenticator',
    path: '/add/authenticator',
    signedIn: true,
    answers: { ...enrolling('second-step'), 'totp.begin': totp },
  },
  {
    name: 'enrol-codes',
    path: '/add/authenticator',
    form: totpForm,
    signedIn: true,
    answers: { ...enrolling('second-step'), 'totp.confirm': { session: fresh, recoveryCodes: codes } },
  },
  { name: 'enrol-codes-missing', path: '/enrol', signedIn: true, answers: enrolling('recovery-codes', 'app-password') },
  { name: 'enrol-password', path: '/enrol', signedIn: true, answers: enrolling('password', 'app-password') },
  { name: 'enrol-app-password', path: '/app-passwords/new', signedIn: true, answers: enrolling('app-password') },
  {
    name: 'enrol-issued',
    path: '/app-passwords/new',
    form: { name: 'iPad', expiry: '', networks: '' },
    signedIn: true,
    answers: { ...enrolling('app-password'), 'app-password.issue': issued },
  },
  { name: 'security-info', path: '/security-info', signedIn: true, answers: signedIn },
  {
    name: 'security-info-deleted',
    path: '/security-info',
    signedIn: true,
    cookie: note({ kind: 'app-password-deleted', name: 'Old laptop', sessions: 2, partly: false }),
    answers: signedIn,
  },
  {
    name: 'security-info-notices',
    path: '/security-info',
    signedIn: true,
    answers: { 'session.show': sessionView(), 'methods.list': notices },
  },
  {
    name: 'security-info-new',
    path: '/security-info',
    signedIn: true,
    answers: {
      'session.show': sessionView({ appPasswords: { ...sessionView().appPasswords, live: 0 } }),
      'methods.list': methodList({ passkeys: [], appPasswords: [], notices: [] }),
    },
  },
  {
    name: 'security-info-forbidden',
    path: '/security-info',
    signedIn: true,
    answers: {
      'session.show': sessionView({ appPasswords: { ...sessionView().appPasswords, allowed: false } }),
      'methods.list': methodList({ notices: [] }),
    },
  },
  { name: 'app-passwords', path: '/app-passwords', signedIn: true, answers: signedIn },
  { name: 'profile', path: '/profile', signedIn: true, answers: signedIn },
  { name: 'new-password', path: '/profile/password', signedIn: true, answers: signedIn },
  { name: 'sessions', path: '/sessions', signedIn: true, answers: sessions },
  {
    name: 'sessions-none',
    path: '/sessions',
    signedIn: true,
    answers: { ...sessions, 'mail-session.list': [] },
  },
  {
    name: 'sessions-devices',
    path: '/sessions',
    signedIn: true,
    answers: { ...sessions, 'device.list': { devices, mayAllow: true } },
  },
  {
    name: 'sessions-devices-quarantine',
    path: '/sessions',
    signedIn: true,
    cookie: note({ kind: 'device-blocked', name: 'iPhone', sessions: 2, partly: false }),
    answers: { ...sessions, 'device.list': { devices, mayAllow: false } },
  },
  {
    name: 'device-block',
    path: '/sessions/devices/appldnqk3/block',
    signedIn: true,
    answers: { ...sessions, 'device.list': { devices, mayAllow: true } },
  },
  {
    name: 'device-forget',
    path: `/sessions/devices/${devices[2]?.id}/forget`,
    signedIn: true,
    answers: { ...sessions, 'device.list': { devices, mayAllow: false } },
  },
  { name: 'add', path: '/add', signedIn: true, answers: signedIn },
  {
    name: 'add-authenticator',
    path: '/add/authenticator',
    signedIn: true,
    answers: { ...signedIn, 'totp.begin': totp },
  },
  {
    name: 'add-authenticator-wrong',
    path: '/add/authenticator',
    form: totpForm,
    signedIn: true,
    answers: { ...signedIn, 'totp.confirm': () => null },
    status: 422,
  },
  { name: 'add-passkey', path: '/add/passkey', signedIn: true, answers: signedIn },
  { name: 'recovery-codes', path: '/recovery-codes', signedIn: true, answers: signedIn },
  {
    name: 'recovery-codes-new',
    path: '/recovery-codes',
    form: {},
    signedIn: true,
    answers: { ...signedIn, 'recovery-codes.renew': { codes } },
  },
  { name: 'delete-method', path: '/methods/passkey/p1/delete', signedIn: true, answers: signedIn },
  { name: 'new-app-password', path: '/app-passwords/new', signedIn: true, answers: signedIn },
  {
    name: 'new-app-password-invalid',
    path: '/app-passwords/new',
    form: { name: 'iPad', protocols: 'imap', expiry: '30', networks: 'home' },
    signedIn: true,
    answers: { ...signedIn, 'app-password.issue': new ServiceError('invalid', 'no network') },
    status: 422,
  },
  {
    name: 'issued',
    path: '/app-passwords/new',
    form: { name: 'iPad', expiry: '', networks: '' },
    signedIn: true,
    answers: { ...signedIn, 'app-password.issue': issued },
  },
  {
    name: 'at-the-cap',
    path: '/app-passwords/new',
    form: { name: 'iPad', expiry: '', networks: '' },
    signedIn: true,
    answers: {
      'session.show': sessionView({ appPasswords: { ...sessionView().appPasswords, live: 40 } }),
      'methods.list': methodList({ appPasswords: forty }),
      'app-password.issue': new ServiceError('cap-reached', 'at the cap'),
    },
    status: 409,
  },
  { name: 'delete-app-password', path: '/app-passwords/a1/delete', signedIn: true, answers: signedIn },
  { name: 'delete-all', path: '/app-passwords/delete-all', signedIn: true, answers: signedIn },
  { name: 'rename', path: '/app-passwords/a1/rename', signedIn: true, answers: signedIn },
  { name: 'set-up', path: '/set-up', signedIn: true, answers: { ...signedIn, 'set-up.list': [] } },
  { name: 'set-up-made', path: '/set-up', signedIn: true, answers: { ...signedIn, 'set-up.list': setUps } },
  {
    name: 'set-up-no-room',
    path: '/set-up',
    form: { name: 'iPhone', kind: 'imap' },
    signedIn: true,
    answers: { ...signedIn, 'set-up.list': [], 'set-up.create': new ServiceError('cap-reached', 'full') },
    status: 409,
  },
  {
    name: 'set-up-link',
    path: '/set-up',
    form: { name: 'iPhone', kind: 'imap' },
    signedIn: true,
    answers: { ...signedIn, 'set-up.create': { token: 'k3Jd9fWq0LmZx8VtR2yBnA', expiresAt: ago(-1 / 6) } },
  },
  {
    name: 'set-up-install',
    path: '/set-up/k3Jd9fWq0LmZx8VtR2yBnA',
    answers: {
      'set-up.show': { user: 'ann@example.org', name: 'iPhone', kind: 'imap', expiresAt: ago(-1 / 7) },
    },
  },
  {
    name: 'set-up-gone',
    path: '/set-up/k3Jd9fWq0LmZx8VtR2yBnA',
    answers: { 'set-up.show': null },
    status: 404,
  },
  {
    name: 'set-up-failed',
    path: '/profile/k3Jd9fWq0LmZx8VtR2yBnA.mobileconfig',
    form: {},
    answers: { 'set-up.consume': new ServiceError('cap-reached', 'full') },
    status: 409,
  },
  {
    name: 'step-up',
    path: '/step-up?next=/app-passwords/new?name=iPad',
    signedIn: true,
    answers: {
      'session.show': sessionView({ freshUntil: null, stepUp: ['totp', 'passkey', 'recovery-code', 'provider'] }),
      'sign-in.options': options,
    },
  },
  { name: 'admin', path: '/admin', signedIn: true, answers: administration() },
  {
    name: 'admin-none',
    path: '/admin?find=zz',
    signedIn: true,
    answers: administration({ 'user.list': { users: [], next: null } }),
  },
  { name: 'admin-user', path: '/admin/users/bob%40example.org', signedIn: true, answers: administration() },
  { name: 'admin-new-user', path: '/admin/users/new', signedIn: true, answers: administration() },
  {
    name: 'admin-user-exists',
    path: '/admin/users/new',
    form: { address: 'bob@example.org', name: '', groups: '' },
    signedIn: true,
    answers: administration({ 'user.add': new ServiceError('exists', 'bob@example.org is there already') }),
    status: 422,
  },
  {
    name: 'admin-invited',
    path: '/admin/users/new',
    form: { address: 'bob@example.org', name: '', groups: '' },
    signedIn: true,
    answers: administration(),
  },
  { name: 'admin-disable', path: '/admin/users/bob%40example.org/disable', signedIn: true, answers: administration() },
  {
    name: 'admin-reset',
    path: '/admin/users/bob%40example.org/reset-two-step',
    signedIn: true,
    answers: administration(),
  },
  {
    name: 'admin-delete-app-passwords',
    path: '/admin/users/bob%40example.org/delete-app-passwords',
    signedIn: true,
    answers: administration(),
  },
  {
    name: 'admin-delete-app-password',
    path: '/admin/users/bob%40example.org/app-passwords/a1/delete',
    signedIn: true,
    answers: administration(),
  },
  {
    name: 'admin-block-device',
    path: '/admin/users/bob%40example.org/devices/appldnqk3/block',
    signedIn: true,
    answers: administration(),
  },
  {
    name: 'admin-forget-device',
    path: '/admin/users/bob%40example.org/devices/appldnqk3/forget',
    signedIn: true,
    answers: administration(),
  },
  {
    name: 'admin-waiting',
    path: '/admin/devices',
    signedIn: true,
    cookie: note({ kind: 'device-allowed', name: 'iPhone' }),
    answers: administration({
      'device.list': {
        devices: [
          device('appldnqk3', 'waiting'),
          device('appldnqk3', 'waiting', { user: `${'a-long-name.'.repeat(5)}bob@example.org` }),
          device('0f'.repeat(64), 'waiting', { type: null, agent: null, lastIp: '2001:db8::17' }),
        ],
        next: '1767225600123 9a1c appldnqk3',
      },
    }),
  },
  {
    name: 'admin-waiting-none',
    path: '/admin/devices',
    signedIn: true,
    answers: administration({ 'device.list': { devices: [], next: null } }),
  },
  { name: 'admin-policy', path: '/admin/policy', signedIn: true, answers: administration() },
  { name: 'admin-audit', path: '/admin/audit', signedIn: true, answers: administration() },
  {
    name: 'admin-for-others',
    path: '/admin',
    signedIn: true,
    answers: administration({}, sessionView()),
    status: 404,
  },
  { name: 'help', path: '/help' },
  { name: 'help-outlook-2010', path: '/help/outlook-2010' },
  { name: 'help-apple-mail', path: '/help/apple-mail' },
  { name: 'help-iphone', path: '/help/iphone', signedIn: true, answers: signedIn },
  { name: 'help-android', path: '/help/android' },
  { name: 'help-thunderbird', path: '/help/thunderbird' },
  { name: 'help-scanner', path: '/help/scanner' },
  { name: 'not-found', path: '/nothing-here', status: 404 },
  {
    name: 'unavailable',
    path: '/security-info',
    signedIn: true,
    answers: { 'session.show': new ServiceError('unavailable', 'the keeper is away') },
    status: 503,
  },
  {
    name: 'stale',
    path: '/app-passwords/done',
    form: { csrf: 'another' },
    signedIn: true,
    answers: signedIn,
    status: 403,
  },
  {
    name: 'session-over',
    path: '/sign-in',
    cookie: note({ kind: 'session-over' }),
    answers: { 'sign-in.options': options },
  },
]
