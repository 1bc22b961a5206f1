import t from 'tap'
import { directoryFor, GOOD, load, problemsOf } from './fixture.ts'

t.test('SALLYPORT_… goes over the file', async (t) => {
  const { config } = await load(directoryFor(t), GOOD, {
    SALLYPORT_REDIS__URL: 'redis://127.0.0.1:7000',
    SALLYPORT_LIMITS__PERUSER: '7',
    SALLYPORT_UPSTREAMS__MAIN__IDENTITY__SEPARATOR: '*',
    SALLYPORT_UPSTREAMS__MAIN__IMAP__PORT: '1143',
    SALLYPORT_WORKERS: '0',
    SALLYPORT_LOG__LEVEL: 'debug',
    SALLYPORT_THROTTLE__TRUSTEDNETWORKS: '["10.0.0.0/8", 192.168.0.0/16]',
    SALLYPORT_LISTENERS__0__PORT: '0',
    SALLYPORT_GROUPS__OFFICE__APPPASSWORDS__ALLOWED: 'false',
    SALLYPORT_CONFIG: '/not/a/setting',
    SALLYPORT_REQUIRE_SERVICES: '1',
    OTHER: 'x',
  })
  t.match(config.redis, { nodes: [{ host: '127.0.0.1', port: 7000 }] })
  t.equal(config.limits.perUser, 7)
  t.match(config.upstreams.main, { identity: { separator: '*' }, imap: { hosts: [{ port: 1143 }] } })
  t.equal(config.workers, 0)
  t.equal(config.log.level, 'debug')
  t.strictSame(config.throttle.trustedNetworks, ['10.0.0.0/8', '192.168.0.0/16'])
  t.equal(config.listeners[0]?.port, 0)
  t.equal(config.groups.office?.appPasswords.allowed, false)
})

t.test('names with a dash, and existing names, are found', async (t) => {
  const text = GOOD.replace('  main:\n', '  my-mail:\n').replaceAll('upstream: main', 'upstream: my-mail')
  const { config } = await load(directoryFor(t), text, { SALLYPORT_UPSTREAMS__MY_MAIL__TRUSTED: 'true' })
  t.equal(config.upstreams['my-mail']?.trusted, true)
})

t.test('what fits no key is an error, with the nearest', async (t) => {
  for (const [env, key, message] of [
    [{ SALLYPORT_LIMIT__LOGIN: '1m' }, 'SALLYPORT_LIMIT__LOGIN', /did you mean SALLYPORT_LIMITS \(limits\)/],
    [{ SALLYPORT_REDIS__ULR: 'x' }, 'SALLYPORT_REDIS__ULR', /did you mean SALLYPORT_REDIS__URL \(redis\.url\)/],
    [{ SALLYPORT_QQQQQQQQ: 'x' }, 'SALLYPORT_QQQQQQQQ', /fits no key; known here: dataDirectory/],
    [
      { SALLYPORT_UPSTREAMS__MAIN__IMAP__PROT: '1' },
      'SALLYPORT_UPSTREAMS__MAIN__IMAP__PROT',
      /UPSTREAMS__MAIN__IMAP__PORT/,
    ],
    [{ SALLYPORT_DOMAINS: 'example.org' }, 'SALLYPORT_DOMAINS', /\[a, b\]/],
    [{ SALLYPORT_LIMITS: '5' }, 'SALLYPORT_LIMITS', /is a section/],
    [{ SALLYPORT_LISTENERS__9__PORT: '5' }, 'SALLYPORT_LISTENERS__9__PORT', /fits no key/],
    [{ SALLYPORT_WORKERS: 'many' }, 'SALLYPORT_WORKERS', /auto or a whole number/],
    [{ SALLYPORT_WORKERS: '[' }, 'SALLYPORT_WORKERS', /YAML or JSON/],
    [{ SALLYPORT_LIMITS__LOGIN: '5' }, 'SALLYPORT_LIMITS__LOGIN', /with a unit/],
    [{ SALLYPORT_: 'x' }, 'SALLYPORT_', /fits no key/],
    [{ SALLYPORT_LIMITS__: 'x' }, 'SALLYPORT_LIMITS__', /fits no key/],
  ] as const) {
    t.match(await problemsOf(directoryFor(t), GOOD, env), [{ file: 'environment', line: null, key, message }], key)
  }
})

t.test('a problem with what the environment set names the variable; all are reported together', async (t) => {
  const problems = await problemsOf(directoryFor(t), GOOD.replace('port: 9464', 'port: x'), {
    SALLYPORT_LOG__LEVEL: 'loud',
    SALLYPORT_NONSENSE: '1',
  })
  t.strictSame(problems.map(({ key }) => key).sort(), [
    'SALLYPORT_LOG__LEVEL',
    'SALLYPORT_NONSENSE',
    'listeners[1].port',
  ])
  const secret = 'hunter2-correct-horse'
  const redis = await problemsOf(directoryFor(t), GOOD, { SALLYPORT_REDIS__URL: `redis://u:${secret}@r.internal` })
  t.match(redis, [{ file: 'environment', key: 'SALLYPORT_REDIS__URL (redis)', message: /TLS/ }])
  t.notMatch(JSON.stringify(redis), secret)
})
