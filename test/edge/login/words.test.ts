/** What people read, in both languages (R39). */

import t from 'tap'
import { isOurFault, LOGIN_FAILURE_REASONS, LoginFailure } from '../../../src/contract/failure.ts'
import { LANGUAGES } from '../../../src/contract/languages.ts'
import { audienceOf } from '../../../src/edge/login/dialogue.ts'
import { failureText } from '../../../src/edge/login/words.ts'

const PORTAL = 'https://mail.example.org/app-passwords'
const HELPFUL = [
  'app-password-deleted',
  'app-password-expired',
  'not-on-this-protocol',
  'use-app-password',
  'device-refused',
]

t.test('R39: each reason has its own words in each language, in one printable line', async (t) => {
  const said = new Map<string, string>()
  for (const language of LANGUAGES) {
    for (const reason of LOGIN_FAILURE_REASONS) {
      const text = failureText(reason, 'IMAP', { language, portalUrl: PORTAL })
      t.match(text, /^[\x20-\x7e]{10,200}$/, `${language} ${reason}`)
      t.notMatch(text, /[{}]/, 'nothing is left to be filled in')
      t.equal(text.includes(PORTAL), HELPFUL.includes(reason), `${language} ${reason}: the portal where it helps`)
      t.notMatch(failureText(reason, 'IMAP', { language, portalUrl: null }), /http|\bSee\b|\bZie\b/)
      if (isOurFault(reason)) {
        t.notMatch(text, /password|wachtwoord|auth|credential|aanmeld/i, `invariant 11, ${language}: ${reason}`)
      }
      const other = said.get(reason)
      t.not(text, other, `${reason} differs between languages`)
      said.set(reason, text)
    }
  }
})

t.test('whoever has not proved to be a user hears the language of the house', async (t) => {
  const house = { language: 'nl', portalUrl: null } as const
  t.equal(audienceOf(house, new LoginFailure('bad-credentials', '')).language, 'nl')
  t.equal(audienceOf(house, new LoginFailure('app-password-deleted', '', { language: 'en' })).language, 'en')
})
