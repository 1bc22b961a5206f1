import t from 'tap'
import { createOffers } from '../../../src/edge/login/offers.ts'
import { announceable, ehloReply, mergeParameters } from '../../../src/edge/smtp/replies.ts'

t.test('client 13: SIZE is the smallest of all upstreams; a keyword that one lacks is not announced', async (t) => {
  for (const [one, other, wanted] of [
    ['SIZE 100', 'SIZE 50', ['SIZE 50']],
    ['SIZE 0', 'SIZE 50', ['SIZE 50']],
    ['SIZE 50', 'SIZE 0', ['SIZE 50']],
    ['SIZE 0', 'SIZE 0', ['SIZE 0']],
    ['SIZE', 'SIZE 50', ['SIZE']],
    ['SIZE x', 'SIZE 50', ['SIZE']],
    ['SIZE 50', '8BITMIME', []],
    ['LIMITS RCPTMAX=10 MAILMAX=5', 'limits mailmax=5', ['LIMITS MAILMAX=5']],
  ] as const) {
    const offers = createOffers(mergeParameters)
    offers.expect(['a', 'b'])
    offers.learn('a', [one])
    offers.learn('b', [other])
    t.strictSame(offers.common(), wanted, `${one}, ${other}`)
  }
})

t.test('never announced for an upstream: what is ours, and what hands on an identity', async (t) => {
  const all = [
    'AUTH PLAIN',
    'auth=LOGIN',
    'STARTTLS',
    'XCLIENT ADDR',
    'xforward NAME',
    'X-EXPS GSSAPI',
    'DSN',
    'CHUNKING',
  ]
  t.strictSame(announceable(all), ['DSN', 'CHUNKING'])
})

t.test('the answer to EHLO as the connection stands', async (t) => {
  const standing = { isSecure: false, canStartTls: true, needsTls: true }
  t.equal(ehloReply('n', standing, null), '250-n\r\n250 STARTTLS\r\n')
  t.equal(ehloReply('n', { ...standing, isSecure: true }, ['DSN']), '250-n\r\n250-DSN\r\n250 AUTH PLAIN LOGIN\r\n')
  t.equal(ehloReply('n', { ...standing, canStartTls: false }, null), '250 n\r\n')
  t.equal(ehloReply('n', { ...standing, needsTls: false }, null), '250-n\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN\r\n')
})
