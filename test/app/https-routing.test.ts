import t from 'tap'
import { placeOf } from '../../src/app/https-routing.ts'
import { isRefusal, targetOf } from '../../src/edge/http/request.ts'

const ALL = ['portal', 'eas', 'autoconfig'] as const

t.test('where a request goes: by host, path, and what the port serves', (t) => {
  for (const [host, path, easHost, serves, wants, why] of [
    ['mail.a', '/Microsoft-Server-ActiveSync', null, ALL, 'eas', 'as Microsoft writes it'],
    ['mail.a', '/microsoft-server-activesync/', null, ALL, 'eas', 'any case, a slash behind'],
    ['mail.a', '/Microsoft-Server-ActiveSync/x', null, ALL, 'web', 'and nothing behind that'],
    ['mail.a', '/x/Microsoft-Server-ActiveSync', null, ALL, 'web', 'nor in front'],
    ['mail.a', '/Microsoft-Server-ActiveSync', null, ['portal'], 'nowhere', 'not served here'],
    ['mail.a', '/security-info', null, ALL, 'web', 'the portal'],
    ['mail.a', '/security-info', null, ['eas'], 'nowhere', 'a port for phones only'],
    ['eas.a', '/Microsoft-Server-ActiveSync', 'eas.a', ALL, 'eas', 'its own name'],
    ['mail.a', '/Microsoft-Server-ActiveSync', 'eas.a', ALL, 'nowhere', 'and no other'],
    ['eas.a', '/security-info', 'eas.a', ALL, 'nowhere', 'no page of the portal in the origin of mail'],
    ['eas.a', '/', 'eas.a', ALL, 'nowhere', 'no page at all'],
    ['eas.a', '/Autodiscover/Autodiscover.xml', 'eas.a', ALL, 'web', 'but set-up, in any case'],
    ['a', '/autodiscover/autodiscover.json', null, ['autoconfig'], 'web', 'set-up'],
    ['autoconfig.a', '/mail/config-v1.1.xml', null, ['autoconfig'], 'web', 'Thunderbird'],
    ['a', '/.well-known/autoconfig/mail/config-v1.1.xml', null, ['autoconfig'], 'web', 'and its other place'],
    ['a', '/autodiscover/autodiscover.xml', null, ['portal'], 'nowhere', 'not served here'],
  ] as const) {
    t.equal(placeOf({ host, path, query: null }, { serves, easHost }), wants, `${host}${path}: ${why}`)
  }
  t.end()
})

t.test('G-3: a target is one that nobody can read in two ways, or none', (t) => {
  const target = (url: string, ...headers: string[]) => targetOf({ url, rawHeaders: ['Host', 'mail.a', ...headers] })
  t.strictSame(target('/a/b?c=d?e'), { host: 'mail.a', path: '/a/b', query: 'c=d?e' })
  t.strictSame(target('/'), { host: 'mail.a', path: '/', query: null })
  for (const url of [
    '',
    '*',
    'a',
    'http://x/',
    '//a',
    '/a//b',
    '/./a',
    '/a/..',
    '/a/..;x/b',
    '/a/.;/b',
    '/a%2Fb',
    '/a%5cb',
  ]) {
    t.match(target(url), { status: 400 }, url)
  }
  for (const url of ['/a%2e%2e/b', '/a%00', '/a%252f', '/a%3bb', '/a\\b', '/a b', '/ä', '/a#b', '/a?b\tc']) {
    t.match(target(url), { status: 400 }, url)
  }
  const alone = (url: string) => targetOf({ url, rawHeaders: ['Host', 'mail.a'] }, true)
  t.match(alone('/a%2Fb%5c%3B%25'), { path: '/a%2Fb%5c%3B%25' }, 'text, where one program alone reads it')
  for (const url of ['/a%2e%2e/b', '/a%00', '/a/..', '/a\\b', '//a']) t.match(alone(url), { status: 400 }, url)
  t.match(target(`/${'x'.repeat(9000)}`), { status: 414 })
  t.match(targetOf({ url: '/', rawHeaders: [] }), { status: 400 }, 'no Host')
  t.match(target('/', 'host', 'mail.b'), { status: 400 }, 'two')
  t.match(targetOf({ url: '/', rawHeaders: ['Host', 'Mail.A:8443'] }), { host: 'mail.a' }, 'its name, without the port')
  t.match(targetOf({ url: '/', rawHeaders: ['Host', '[::1]:443'] }), { host: '[::1]' })
  for (const host of ['', 'a/b', 'a b', 'a@b', '-a', 'a:b', 'a:123456', 'a,b']) {
    t.ok(isRefusal(targetOf({ url: '/', rawHeaders: ['Host', host] })), JSON.stringify(host))
  }
  t.match(target('/', ...Array<string>(202).fill('x')), { status: 431 }, 'G-8')
  t.match(target('/', 'Transfer-Encoding', 'gzip, chunked'), { status: 400 }, 'G-1')
  t.match(target('/', 'Transfer-Encoding', 'chunked', 'Content-Length', '1'), { status: 400 }, 'G-1')
  t.end()
})
