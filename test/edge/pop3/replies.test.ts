import t from 'tap'
import { isOurFault, LOGIN_FAILURE_REASONS } from '../../../src/contract/failure.ts'
import { capabilitiesBeforeLogin, refusal } from '../../../src/edge/pop3/replies.ts'

const PORTAL = 'https://mail.example.org/app-passwords'
const EN = { language: 'en', portalUrl: PORTAL } as const

t.test('invariant 11: a fault of ours or of the upstream never reads as a wrong password', async (t) => {
  for (const reason of LOGIN_FAILURE_REASONS) {
    const line = refusal(reason, EN)
    t.match(line, /^-ERR (\[[A-Z/-]+\] )?[\x20-\x7e]+$/, `${reason}: one printable line`)
    if (isOurFault(reason)) {
      t.ok(line.startsWith('-ERR [SYS/TEMP] '), `${reason} is temporary (RFC 3206 §4)`)
      t.notMatch(line, /password|auth|credential/i, `${reason}: not a word about passwords`)
    }
  }
})

t.test('each reason has its code (RFC 2449, RFC 3206) and only helpful ones a link', async (t) => {
  for (const [reason, start, hasLink] of [
    ['bad-credentials', '-ERR [AUTH] Authentication failed.', false],
    ['app-password-deleted', '-ERR [AUTH] This app password has been deleted.', true],
    ['app-password-expired', '-ERR [AUTH] This app password has expired.', true],
    ['not-on-this-protocol', '-ERR [AUTH] This app password may not be used for POP3.', true],
    ['use-app-password', '-ERR [AUTH] Please use an app password', true],
    ['device-refused', '-ERR [AUTH] This device may not be used', true],
    ['tls-required', '-ERR Please switch on SSL/TLS', false],
    ['throttled', '-ERR [SYS/TEMP] ', false],
    ['too-many-sessions', '-ERR [IN-USE] ', false],
  ] as const) {
    t.ok(refusal(reason, EN).startsWith(start), `${reason}: ${start}`)
    t.equal(refusal(reason, EN).endsWith(PORTAL), hasLink, `${reason}: the portal`)
    t.notMatch(refusal(reason, { ...EN, portalUrl: null }), /https?:|\{/, `${reason} without a portal`)
  }
})

t.test('capabilities before login are true of the connection (client 5)', async (t) => {
  const base = ['TOP', 'UIDL', 'RESP-CODES', 'AUTH-RESP-CODE']
  const login = ['USER', 'SASL PLAIN LOGIN']
  for (const [isSecure, canStartTls, needsTls, want, why] of [
    [true, true, true, [...base, ...login], 'inside TLS'],
    [true, false, true, [...base, ...login], 'implicit TLS'],
    [false, true, true, [...base, 'STLS'], 'A2: before STLS, nothing to log in with'],
    [false, true, false, [...base, 'STLS', ...login], 'TLS offered, not demanded'],
    [false, false, false, [...base, ...login], 'no TLS at all, by explicit choice'],
    [false, false, true, base, 'TLS demanded and not to be had'],
  ] as const) {
    t.strictSame(capabilitiesBeforeLogin({ isSecure, canStartTls, needsTls }), want, why)
  }
})
