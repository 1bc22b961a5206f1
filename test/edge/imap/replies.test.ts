import t from 'tap'
import { isOurFault, LOGIN_FAILURE_REASONS } from '../../../src/contract/failure.ts'
import { capabilitiesAfterLogin, capabilitiesBeforeLogin, refusal } from '../../../src/edge/imap/replies.ts'

const PORTAL = 'https://mail.example.org/app-passwords'
const EN = { language: 'en', portalUrl: PORTAL } as const

t.test('invariant 11: a fault of ours or of the upstream never reads as a wrong password', async (t) => {
  for (const reason of LOGIN_FAILURE_REASONS) {
    const line = refusal(reason, EN)
    t.match(line, /^NO \[[A-Z]+\] [\x20-\x7e]+$/, `${reason}: one printable line`)
    t.equal(
      line.startsWith('NO [UNAVAILABLE] '),
      isOurFault(reason),
      `${reason}: UNAVAILABLE is for faults, and only they`,
    )
    if (isOurFault(reason)) t.notMatch(line, /password|auth|credential/i, `${reason}: not a word about passwords`)
  }
})

t.test('each reason has its code (RFC 5530) and only helpful ones a link', async (t) => {
  for (const [reason, code, hasLink] of [
    ['bad-credentials', 'AUTHENTICATIONFAILED', false],
    ['app-password-deleted', 'ALERT', true],
    ['app-password-expired', 'ALERT', true],
    ['not-on-this-protocol', 'ALERT', true],
    ['use-app-password', 'ALERT', true],
    ['device-refused', 'ALERT', true],
    ['tls-required', 'PRIVACYREQUIRED', false],
    ['throttled', 'LIMIT', false],
    ['too-many-sessions', 'LIMIT', false],
  ] as const) {
    t.ok(refusal(reason, EN).startsWith(`NO [${code}] `), `${reason} is ${code}`)
    t.equal(
      refusal(reason, EN).endsWith(PORTAL),
      hasLink,
      `${reason} ${hasLink ? 'links' : 'does not link'} to the portal`,
    )
    t.notMatch(refusal(reason, { ...EN, portalUrl: null }), /https?:|\{portal\}/, `${reason} without a portal`)
  }
  t.notMatch(
    refusal('use-app-password', { ...EN, portalUrl: 'https://x/\r\n* BYE' }),
    /\r|\n|BYE/,
    'an address that is no line of ours is left out',
  )
})

t.test('capabilities before login are those of this program, as the connection stands', async (t) => {
  const base = ['IMAP4rev1', 'LITERAL-', 'SASL-IR', 'ID']
  const auth = ['AUTH=PLAIN', 'AUTH=LOGIN']
  for (const [isSecure, canStartTls, needsTls, want, why] of [
    [true, true, true, [...base, ...auth], 'inside TLS'],
    [true, false, true, [...base, ...auth], 'implicit TLS'],
    [false, true, true, [...base, 'STARTTLS', 'LOGINDISABLED'], 'A2: before STARTTLS, nothing to log in with'],
    [false, true, false, [...base, 'STARTTLS', ...auth], 'TLS offered, not demanded'],
    [false, false, false, [...base, ...auth], 'no TLS at all, by explicit choice'],
    [false, false, true, [...base, 'LOGINDISABLED'], 'TLS demanded and not to be had'],
  ] as const) {
    t.strictSame(capabilitiesBeforeLogin({ isSecure, canStartTls, needsTls }), want, why)
  }
})

t.test('capabilities after login are the upstream’s, without what is over', async (t) => {
  const upstream = [
    'IMAP4rev1',
    'IMAP4rev2',
    'SASL-IR',
    'starttls',
    'LOGINDISABLED',
    'AUTH=PLAIN',
    'auth=XOAUTH2',
    'IDLE',
  ]
  t.strictSame(capabilitiesAfterLogin(upstream), ['IMAP4rev1', 'IMAP4rev2', 'IDLE'])
})
