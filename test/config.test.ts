import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import t from 'tap'
import { ConfigError, loadConfig } from '../src/config.ts'
import { Secret } from '../src/secret.ts'
import { directoryFor, GOOD, load, MASTER_PASSWORD, problemsOf, writeConfig } from './config/fixture.ts'
import { createCa } from './support/certificates.ts'

t.test('a good file: units resolved, defaults filled in, paths absolute, secrets read', async (t) => {
  const directory = directoryFor(t)
  const { config, file, warnings } = await load(directory)
  t.equal(file, join(directory, 'sallyport.yaml'))
  t.equal(config.dataDirectory, join(directory, 'data'))
  t.equal(config.runtimeDirectory, join(directory, 'data/run'))
  t.strictSame(config.store, { sqlite: join(directory, 'data/sallyport.db') })
  t.equal(config.keys.file, join(directory, 'data/keys'))
  t.equal(config.limits.idle, 31 * 60_000)
  t.strictSame(config.throttle.delays, [2000, 4000, 8000, 15_000])
  t.equal(config.appPasswords.perUser, 40, 'R8: at most 40')
  t.equal(config.appPasswords.length, 16, 'R7')
  t.equal(config.appPasswords.expiry, null)
  t.equal(config.primaryPassword, 'refuse', 'R2')
  t.equal(config.redis, null)
  t.strictSame(
    config.listeners.map(({ name, port }) => [name, port]),
    [
      ['imap-1993', 1993],
      ['http-9464', 9464],
    ],
  )
  const { identity } = config.upstreams.main ?? {}
  t.match(identity, { method: 'master-user', user: 'sallyport', separator: '*' })
  t.equal(identity?.method === 'master-user' && identity.password.reveal(), MASTER_PASSWORD, 'without the last newline')
  t.notMatch(inspect(config, { depth: null }), MASTER_PASSWORD, 'invariant 5: the configuration prints no secret')
  t.ok(Object.isFrozen(config) && Object.isFrozen(config.upstreams.main?.imap?.hosts[0]))
  t.match(warnings, [{ key: 'tls.certificates', message: /self-made/ }])
})

t.test('routes by user stand before routes by domain; one upstream needs none', async (t) => {
  const byUser = GOOD.replace('routes:', 'routes:\n  - { domain: example.org, upstream: main }').replace(
    '{ domain: example.org, upstream: main }\n  - { domain: example.net',
    '{ users: [ann@example.org], upstream: main }\n  - { domain: example.net',
  )
  const { config } = await load(
    directoryFor(t),
    byUser.replace('routes:\n  - { users', 'routes:\n  - { domain: example.org, upstream: main }\n  - { users'),
  )
  t.strictSame(config.routes[0], { domain: null, users: ['ann@example.org'], upstream: 'main' })
  const without = await load(directoryFor(t), GOOD.slice(0, GOOD.indexOf('routes:')))
  t.strictSame(
    without.config.routes.map((route) => route.domain),
    ['example.org', 'example.net'],
  )
})

t.test('hosts, ports and protocols get one form', async (t) => {
  const text = GOOD.replace(
    'host: mail.internal\n      port: 993\n      tls: implicit',
    'hosts: [a.internal, "b.internal:1143", "[2001:db8::1]:7"]\n      tls: starttls',
  )
  const { config } = await load(directoryFor(t), text)
  t.strictSame(config.upstreams.main?.imap?.hosts, [
    { host: 'a.internal', port: 143 },
    { host: 'b.internal', port: 1143 },
    { host: '2001:db8::1', port: 7 },
  ])
})

/** What to replace in GOOD, by what, and the problem that must come of it. */
const REFUSED: readonly [why: string, from: string, to: string, line: number | null, key: string, message: RegExp][] = [
  [
    'unknown key names the nearest',
    'dataDirectory:',
    'dataDirectry:',
    1,
    'dataDirectry',
    /not a key; did you mean dataDirectory\?/,
  ],
  ['unknown key deep inside', 'host: mail', 'hots: mail', 10, 'upstreams.main.imap.hots', /did you mean hosts?\?/],
  [
    'unknown key far from any',
    'user: sally',
    'zzzzzzzz: sally',
    15,
    'upstreams.main.identity.zzzzzzzz',
    /known here: method, user, passwordFile, separator/,
  ],
  [
    'a secret in the file itself',
    'passwordFile: master',
    'password: master',
    16,
    'upstreams.main.identity.password',
    /file of its own .*passwordFile/,
  ],
  ['missing key', 'domains: [example.org, example.net]', '', 1, 'domains', /is missing: Mail domains/],
  ['wrong enum', 'tls: implicit }', 'tls: implict }', 4, 'listeners[0].tls', /must be implicit, starttls or none/],
  ['wrong protocol', 'protocol: imap', 'protocol: imaps', 4, 'listeners[0].protocol', /must have a protocol/],
  [
    'misspelt key of a choice',
    'method: master-user',
    'methode: master-user',
    14,
    'upstreams.main.identity.methode',
    /^is not a key; did you mean method\?$/,
  ],
  [
    'missing key of a choice',
    'method: master-user\n',
    '\n',
    13,
    'upstreams.main.identity.method',
    /^is missing: master-user, authzid, .* or oauth2$/,
  ],
  [
    'no blank behind a colon',
    'port: 1993',
    'port:1993',
    4,
    'listeners[0].(a key that is no name)',
    /write a blank after its colon/,
  ],
  ['missing in a list', 'port: 1993, ', '', 4, 'listeners[0].port', /is missing: Port/],
  ['text for a number', 'port: 9464', 'port: "9464"', 6, 'listeners[1].port', /whole number between 0 and 65535/],
  ['number out of range', 'port: 993\n', 'port: 99333\n', 11, 'upstreams.main.imap.port', /between 1 and 65535/],
  [
    'yes is no boolean in YAML 1.2',
    'identity:',
    'trusted: yes\n    identity:',
    13,
    'upstreams.main.trusted',
    /true or false/,
  ],
  ['domain in capitals', '[example.org, ', '[Example.org, ', 2, 'domains[0]', /lower case/],
  ['domain not an A-label', '[example.org, ', '[exämple.org, ', 2, 'domains[0]', /xn--/],
  ['domain twice', '[example.org, example.net]', '[example.org, example.net, example.org]', 2, 'domains[2]', /twice/],
  ['duration without unit', 'routes:', 'limits: { login: 60 }\nroutes:', 17, 'limits.login', /with a unit/],
  ['duration out of range', 'routes:', 'limits: { login: 2h }\nroutes:', 17, 'limits.login', /between 1s and 10m/],
  ['duplicate key', 'port: 993\n', 'port: 993\n      port: 994\n', 12, '', /twice in one section/],
  ['tab', '  main:', '\tmain:', 8, '', /tab/],
  ['unquoted star', 'user: sallyport', 'user: sallyport\n      separator: *', 16, '', /quotes/],
  ['unknown tag', 'user: sallyport', 'user: !secret x', 15, '', /quotes/],
  ['unclosed bracket', '[example.org, example.net]', '[example.org, example.net', 3, '', /bracket .* missing/],
  ['two documents', 'routes:', '---\nroutes:', 17, '', /several documents/],
  ['bad name of an upstream', '  main:\n', '  Main Mail:\n', 8, '', /a-z, 0-9 and -/],
  [
    'route to an unknown upstream',
    'example.net, upstream: main',
    'example.net, upstream: mian',
    19,
    'routes[1].upstream',
    /did you mean main\?/,
  ],
  [
    'route of a domain that is not served',
    'domain: example.net',
    'domain: example.com',
    19,
    'routes[1].domain',
    /not in domains; did you mean/,
  ],
  ['domain without a route', '  - { domain: example.net, upstream: main }\n', '', 2, 'domains[1]', /no route/],
  ['route for nobody', '{ domain: example.net, ', '{ ', 19, 'routes[1]', /domain or users/],
  ['route twice', 'domain: example.net', 'domain: example.org', 19, 'routes[1].domain', /route already/],
  [
    'protocol without an upstream section',
    'protocol: imap,',
    'protocol: pop3,',
    4,
    'listeners[0]',
    /upstreams\.main.* has no pop3 section/,
  ],
  [
    'host and hosts',
    'host: mail.internal',
    'host: mail.internal\n      hosts: [a]',
    11,
    'upstreams.main.imap.hosts',
    /one of the two/,
  ],
  ['no host', 'host: mail.internal\n      ', '', 9, 'upstreams.main.imap.host', /name the server/],
  [
    'host with a scheme',
    'host: mail.internal',
    'host: imaps://mail.internal',
    10,
    'upstreams.main.imap.host',
    /host or host:port/,
  ],
  [
    'unknown identity',
    'method: master-user',
    'method: masteruser',
    14,
    'upstreams.main.identity.method',
    /master-user, authzid, stored-secret/,
  ],
  [
    'pass-through under primaryPassword: refuse',
    'method: master-user\n      user: sallyport\n      passwordFile: master',
    'method: pass-through',
    14,
    'upstreams.main.identity.method',
    /until-enrolled/,
  ],
  [
    'separator out of names',
    'user: sallyport',
    'user: sallyport\n      separator: "-"',
    16,
    'upstreams.main.identity.separator',
    /user names hold/,
  ],
  [
    'names.allow holds the separator (threat C1)',
    'routes:',
    'names: { allow: "*!" }\nroutes:',
    17,
    'names.allow',
    /read as two/,
  ],
  [
    'authzid beside eas, which has no word for it',
    'identity:\n      method: master-user',
    'eas: { url: "https://mail.internal" }\n    identity:\n      method: authzid',
    13,
    'upstreams.main.eas',
    /eas: \{ identity: \{ method: stored-secret \} \}/,
  ],
  [
    'authzid as ActiveSync’s own identity',
    'identity:',
    'eas: { url: "https://mail.internal", identity: { method: authzid, user: a, passwordFile: master } }\n    identity:',
    13,
    'upstreams.main.eas.identity.method',
    /use stored-secret or master-user/,
  ],
  [
    'ActiveSync’s own identity under primaryPassword: refuse',
    'identity:',
    'eas: { url: "https://mail.internal", identity: { method: pass-through } }\n    identity:',
    13,
    'upstreams.main.eas.identity.method',
    /until-enrolled/,
  ],
  [
    'unknown method of ActiveSync’s own identity',
    'identity:',
    'eas: { url: "https://mail.internal", identity: { method: storedsecret } }\n    identity:',
    13,
    'upstreams.main.eas.identity.method',
    /master-user, authzid, stored-secret/,
  ],
  [
    'a grant that nobody has, in ActiveSync’s own identity',
    'identity:',
    'eas: { url: "https://mail.internal", identity: { method: oauth2, provider: google, grant: client-credentials, clientId: x, clientSecretFile: master } }\n    identity:',
    13,
    'upstreams.main.eas.identity.grant',
    /use service-account/,
  ],
  [
    'names.allow holds the separator of ActiveSync’s own identity (threat C1)',
    'upstreams:\n  main:',
    'names: { allow: "!" }\nupstreams:\n  main:\n    eas: { url: "https://mail.internal", identity: { method: master-user, user: a, passwordFile: master, separator: "!" } }',
    7,
    'names.allow',
    /upstreams\.main\.eas\.identity\.separator/,
  ],
  [
    'a secret of ActiveSync’s own identity that is not there',
    'identity:',
    'eas: { url: "https://mail.internal", identity: { method: master-user, user: a, passwordFile: nowhere } }\n    identity:',
    13,
    'upstreams.main.eas.identity.passwordFile',
    /does not exist/,
  ],
  ['no TLS towards strangers', 'tls: implicit }', 'tls: none }', 4, 'listeners[0].tls', /allowCleartextLogin/],
  [
    'allowCleartextLogin where it means nothing',
    'tls: implicit }',
    'tls: starttls, allowCleartextLogin: true }',
    4,
    'listeners[0].allowCleartextLogin',
    /tls: none only/,
  ],
  ['port twice', 'port: 9464', 'port: 1993', 6, 'listeners[1].port', /taken by listeners\[0\]/],
  [
    'admin API in public',
    'port: 9464',
    'port: 9464\n    bind: 0.0.0.0\n    serves: [api]',
    7,
    'listeners[1].bind',
    /loopback/,
  ],
  ['bind to a name', 'port: 9464', 'port: 9464\n    bind: localhost', 7, 'listeners[1].bind', /IP address/],
  [
    'bad address block',
    'tls: implicit }',
    'tls: implicit, proxyProtocol: { from: [10.0.0.0/33] } }',
    4,
    'listeners[0].proxyProtocol.from[0]',
    /10\.0\.0\.0\/8/,
  ],
  [
    'secret file that is not there',
    'passwordFile: master',
    'passwordFile: nowhere',
    16,
    'upstreams.main.identity.passwordFile',
    /does not exist/,
  ],
  [
    'secret file that is a directory',
    'passwordFile: master',
    'passwordFile: /',
    16,
    'upstreams.main.identity.passwordFile',
    /others may read|no regular file/,
  ],
  [
    'certificate that is not there',
    'routes:',
    'tls: { certificates: [{ certFile: /x/cert.pem, keyFile: /x/key.pem }] }\nroutes:',
    17,
    'tls.certificates[0].certFile',
    /does not exist/,
  ],
  [
    'CA file that is none',
    'tls: implicit\n',
    'tls: implicit\n      caFile: master\n',
    13,
    'upstreams.main.imap.caFile',
    /no certificate/,
  ],
  [
    'Windows domain that leads nowhere',
    'routes:',
    'names: { windowsDomains: { CONTOSO: example.com } }\nroutes:',
    17,
    'names.windowsDomains.CONTOSO',
    /not in domains/,
  ],
  [
    'two stores',
    'routes:',
    'store: { sqlite: a, postgres: { url: "postgres://a@b/c" } }\nroutes:',
    17,
    'store.postgres',
    /one of the two/,
  ],
  ['Redis nowhere', 'routes:', 'redis: {}\nroutes:', 17, 'redis', /url, sentinels or cluster/],
  [
    'Redis on another machine without TLS and password (threat I-1)',
    'routes:',
    'redis: { url: redis://r.internal }\nroutes:',
    17,
    'redis',
    /a password .* and TLS/,
  ],
  [
    'Redis sentinels without a name',
    'routes:',
    'redis: { sentinels: [a.internal] }\nroutes:',
    17,
    'redis.name',
    /is missing/,
  ],
  [
    'runtime directory too long for a socket',
    'routes:',
    `runtimeDirectory: /${'x'.repeat(90)}\nroutes:`,
    17,
    'runtimeDirectory',
    /too long/,
  ],
  [
    'the name of ActiveSync alone is the portal’s',
    'routes:',
    'portal: { url: https://mail.example.org }\neas: { host: mail.example.org }\nroutes:',
    18,
    'eas.host',
    /nothing but ActiveSync/,
  ],
  ['portal served and not set up', 'protocol: http\n', 'protocol: https\n', 5, 'listeners[1].serves', /portal section/],
  [
    'an app password longer than promised',
    'routes:',
    'appPasswords: { length: 8 }\nroutes:',
    17,
    'appPasswords.length',
    /between 16 and 32/,
  ],
]

t.test('every refusal names file, line, key and what to do (threat I-11)', async (t) => {
  for (const [why, from, to, line, key, message] of REFUSED) {
    t.ok(GOOD.includes(from), `${why}: the case changes something`)
    const directory = directoryFor(t)
    const problems = await problemsOf(directory, GOOD.replace(from, to))
    const found = problems.find(
      (problem) => problem.line === line && message.test(problem.message) && (key === '' || problem.key === key),
    )
    t.ok(found, why, { problems, wanted: { line, key, message } })
    t.equal(found?.file, join(directory, 'sallyport.yaml'))
  }
})

t.test('all problems at once, in the order of the file', async (t) => {
  const broken = GOOD.replace('dataDirectory', 'dataDir')
    .replace('port: 9464', 'port: x')
    .replace('port: 993\n', 'port: -1\n')
  const problems = await problemsOf(directoryFor(t), broken)
  t.strictSame(
    problems.map(({ line, key }) => [line, key]),
    [
      [1, 'dataDir'],
      [6, 'listeners[1].port'],
      [11, 'upstreams.main.imap.port'],
    ],
  )
  const crossed = GOOD.replace('example.org, upstream: main', 'example.org, upstream: a')
    .replace('example.net, upstream: main', 'example.net, upstream: b')
    .replace('passwordFile: master', 'passwordFile: none')
  t.strictSame(
    (await problemsOf(directoryFor(t), crossed)).map(({ line }) => line),
    [16, 18, 19],
    'files and checks across settings, too',
  )
})

t.test('no value is ever repeated: it may be a secret (threat J2)', async (t) => {
  const secret = 'hunter2-correct-horse'
  for (const text of [
    GOOD.replace('passwordFile: master', `password: ${secret}`),
    GOOD.replace('passwordFile: master', `passwordFile: master\n      ${secret}`),
    GOOD.replace('passwordFile: master', `passwordFile: master\n    ${secret} : x : y`),
    GOOD.replace('method: master-user', `method: ${secret}`),
    GOOD.replace('user: sallyport', `user: *${secret}`),
    GOOD.replace('user: sallyport', `user: !${secret} x`),
    GOOD.replace('user: sallyport', `user: "${secret}`),
    GOOD.replace('tls: implicit\n', `tls: ${secret}\n`),
    GOOD.replace('routes:', `redis: { url: "redis//${secret}@x" }\nroutes:`),
    GOOD.replace('routes:', `redis: { url: "redis://u:${secret}@r.internal" }\nroutes:`),
    GOOD.replace('routes:', `limits: { login: ${secret} }\nroutes:`),
  ]) {
    const problems = await problemsOf(directoryFor(t), text)
    t.ok(problems.length > 0)
    t.notMatch(JSON.stringify(problems), secret)
  }
})

t.test('alias bombs and giant files are refused', async (t) => {
  const bomb = ['a: &a [x,x,x,x,x,x,x,x,x]']
  for (let i = 1; i < 10; i++) {
    const [name, before] = [String.fromCharCode(97 + i), String.fromCharCode(96 + i)]
    bomb.push(`${name}: &${name} [${Array.from({ length: 9 }, () => `*${before}`).join()}]`)
  }
  t.match(await problemsOf(directoryFor(t), bomb.join('\n')), [{ message: /aliases/ }])
  t.match(await problemsOf(directoryFor(t), `#${'x'.repeat(1024 * 1024)}`), [{ message: /bigger than 1 MiB/ }])
  t.match(
    await problemsOf(directoryFor(t), ''),
    [{ line: null, key: 'domains' }, { key: 'listeners' }, { key: 'upstreams' }],
    'an empty file lacks the three',
  )
  t.match(await problemsOf(directoryFor(t), '- a\n- b\n'), [{ line: 1, message: /section of keys/ }])
  t.match(await problemsOf(directoryFor(t), `__proto__: { x: 1 }\n${GOOD}`), [{ line: 1, message: /not a key/ }])
})

t.test('where the file is looked for', async (t) => {
  const directory = directoryFor(t)
  await t.rejects(loadConfig({ env: {}, cwd: join(directory, 'nowhere') }), {
    message:
      /^no configuration found: looked for .*nowhere\/sallyport\.yaml and \/etc\/sallyport\/sallyport\.yaml.*--config/,
  })
  const path = writeConfig(directory)
  t.equal((await loadConfig({ env: {}, cwd: directory })).file, path, './sallyport.yaml')
  const other = join(directory, 'other')
  mkdirSync(other)
  const otherPath = writeConfig(other)
  t.equal(
    (await loadConfig({ env: { SALLYPORT_CONFIG: otherPath }, cwd: directory })).file,
    otherPath,
    '$SALLYPORT_CONFIG',
  )
  t.equal(
    (await loadConfig({ path: 'sallyport.yaml', env: { SALLYPORT_CONFIG: otherPath }, cwd: directory })).file,
    path,
    '--config',
  )
  await t.rejects(loadConfig({ path: join(directory, 'none.yaml'), env: {} }), {
    message: /none\.yaml: does not exist$/,
  })
  await t.rejects(loadConfig({ path: directory, env: {} }), { message: /no regular file|EISDIR/ })
  t.equal(
    (await loadConfig({ env: { RUNTIME_DIRECTORY: '/run/sallyport' }, cwd: directory })).config.runtimeDirectory,
    '/run/sallyport',
  )
})

t.test('what was accepted is accepted again, whatever file and environment say by now', async (t) => {
  const directory = directoryFor(t)
  const path = writeConfig(directory)
  const env = { SALLYPORT_LIMITS__LOGIN: '90s', RUNTIME_DIRECTORY: '/run/sallyport' }
  const { config, settings, written } = await loadConfig({ path, env })
  t.equal(inspect(settings), inspect(new Secret('')))
  rmSync(path)
  const environment = { SALLYPORT_LIMITS__LOGIN: '5s', SALLYPORT_NONSENSE: '1', RUNTIME_DIRECTORY: '/run/sallyport' }
  const again = await loadConfig({ path, settings, env: environment })
  t.strictSame(again.config, config)
  t.equal(again.config.limits.login, 90_000)
  t.strictSame([again.file, again.settings.reveal(), again.written], [path, settings.reveal(), written])

  const secret = 'upstreams.main.identity.passwordFile'
  rmSync(join(directory, 'master'))
  const refused = await loadConfig({ path, settings, env: {} }).then(
    () => null,
    (error: unknown) => error,
  )
  t.match(
    refused,
    new ConfigError([
      { file: path, line: null, key: secret, message: `names ${join(directory, 'master')}, which does not exist` },
    ]),
  )
})

t.test('a secret whose file is not there is complained of once', async (t) => {
  const identity = `
      method: oauth2
      provider: microsoft
      grant: client-credentials
      clientId: x
      clientSecretFile: no1
`
  const text = GOOD.replace(/\n {6}method: [\s\S]*master\n/, identity)
  t.strictSame(
    (await problemsOf(directoryFor(t), `${text}redis: { url: "rediss://redis.internal", passwordFile: no2 }\n`)).map(
      ({ key, message }) => `${key} ${message.replace(/names .*, /, '')}`,
    ),
    ['upstreams.main.identity.clientSecretFile which does not exist', 'redis.passwordFile which does not exist'],
  )
})

t.test('warnings: works, and should be known', async (t) => {
  for (const [why, from, to, key, message] of [
    ['clear upstream', 'tls: implicit\n', 'tls: none\n', 'upstreams.main.imap.tls', /in clear/],
    [
      'allowed clear logins',
      'tls: implicit }',
      'tls: none, allowCleartextLogin: true }',
      'listeners[0].allowCleartextLogin',
      /in clear/,
    ],
    [
      'trusted and proxyProtocol',
      'identity:',
      'trusted: true\n    proxyProtocol: v2\n    identity:',
      'upstreams.main.trusted',
      /not needed/,
    ],
    ['short idle', 'routes:', 'limits: { idle: 5m }\nroutes:', 'limits.idle', /30 minutes/],
    [
      'proxy from everywhere',
      'tls: implicit }',
      'tls: implicit, proxyProtocol: { from: [0.0.0.0/0] } }',
      'listeners[0].proxyProtocol.from',
      /everybody/,
    ],
    [
      'password in the Redis URL',
      'routes:',
      'redis: { url: "redis://u:pw@127.0.0.1" }\nroutes:',
      'redis.url',
      /passwordFile/,
    ],
    [
      'unused upstream',
      'routes:',
      '  spare:\n    imap: { host: a }\n    identity: { method: stored-secret }\nroutes:',
      'upstreams.spare',
      /not used/,
    ],
  ] as const) {
    const { warnings } = await load(directoryFor(t), GOOD.replace(from, to))
    t.ok(
      warnings.some((warning) => warning.key === key && message.test(warning.message)),
      why,
      { warnings },
    )
  }
  const loopback = await load(
    directoryFor(t),
    GOOD.replace('host: mail.internal', 'host: 127.0.0.1').replace('tls: implicit\n', 'tls: none\n'),
  )
  t.notOk(
    loopback.warnings.some((warning) => warning.key.startsWith('upstreams')),
    'loopback may be in clear',
  )
})

t.test('what no listener serves, and looks as if it was served: a warning each, with what to add', async (t) => {
  const warned = async (text: string) =>
    (await load(directoryFor(t), text)).warnings
      .filter(({ key }) => key !== 'tls.certificates')
      .map(({ line, key, message }) => `${line} ${key}: ${message}`)
  const portal = `${GOOD}portal: { url: https://mail.example.org }\n`
  t.match(await warned(portal), [
    /^20 portal: is served by no listener, .*add \{ protocol: https, port: 443, serves: \[portal\] \} .* to listeners$/,
  ])
  const eas = GOOD.replace('    identity:', '    eas: { url: https://mail.internal }\n    identity:')
  t.match(await warned(eas), [/^13 upstreams\.main\.eas: is not used: .* takes eas; add \{ protocol: https, .*\[eas\]/])
  const name = `${GOOD}eas: { host: eas.example.org }\n`
  t.match(await warned(name), [/^20 eas\.host: is served by no listener: add .* serves: \[eas\]/])

  const https = '  - { protocol: https, port: 8443, serves: [portal, eas] }\n'
  const all = `${portal}eas: { host: eas.example.org }\n`.replace('listeners:\n', `listeners:\n${https}`)
  t.strictSame(await warned(all.replace('    identity:', '    eas: { url: https://mail.internal }\n    identity:')), [])
  t.match(
    await problemsOf(directoryFor(t), all),
    [{ line: 4, key: 'listeners[0]', message: /takes eas, but upstreams\.main, .* has no eas section: add one there/ }],
    'the other way round nobody could log in: refused',
  )

  const smtp = GOOD.replace('    identity:', '    smtp: { host: mail.internal }\n    identity:')
  t.match(await warned(smtp), [
    /^13 upstreams\.main\.smtp: is not used: .*\{ protocol: smtp, port: 465, tls: implicit \}/,
  ])
  t.strictSame(await warned(`${smtp}mail: { from: noreply@example.org }\n`), [], 'used for our own mails')
})

t.test('directories of the system: refused, each once, with its line', async (t) => {
  const at = (settings: string) =>
    problemsOf(directoryFor(t), `${GOOD.replace('dataDirectory: data\n', '')}${settings}`)
  for (const [path, of] of [
    ['/proc/sallyport', '/proc'],
    ['/proc', '/proc'],
    ['/sys/fs/sallyport', '/sys'],
    ['/dev/sallyport', '/dev'],
    ['/dev/null', '/dev'],
    ['/var/../dev/shmx', '/dev'],
  ]) {
    t.strictSame(
      (await at(`dataDirectory: ${path}\n`)).map(({ line, key, message }) => [line, key, message]),
      [
        [
          19,
          'dataDirectory',
          `is in ${of}, which the system keeps for itself: name a directory such as /var/lib/sallyport`,
        ],
      ],
    )
  }
  t.match(
    await at('dataDirectory: d\nruntimeDirectory: /proc/x\nstore: { sqlite: /sys/x.db }\nkeys: { file: /dev/k }\n'),
    [
      { line: 20, key: 'runtimeDirectory' },
      { line: 21, key: 'store.sqlite' },
      { line: 22, key: 'keys.file' },
    ],
  )
  for (const path of ['/dev/shm/sallyport', '/process', '/srv/proc']) {
    const { config } = await load(directoryFor(t), GOOD.replace('dataDirectory: data', `dataDirectory: ${path}`))
    t.equal(config.dataDirectory, path)
  }
})

t.test('networks that are nearly everybody (threat B2): a warning, or a refusal', async (t) => {
  const trusted = async (block: string) => {
    const text = `${GOOD}throttle:\n  trustedNetworks:\n    - 192.0.2.0/24\n    - ${block}\n`
    const { warnings } = await load(directoryFor(t), text)
    return warnings.filter(({ key }) => key.startsWith('throttle'))
  }
  for (const block of ['0.0.0.0/0', '"::/0"', '0.0.0.0/1', '128.0.0.0/7', '"2000::/3"', '"2a00::/12"', '"f000::/4"']) {
    t.match(await trusted(block), [
      { line: 23, key: 'throttle.trustedNetworks[1]', message: /nearly everybody, .*many users is not slowed down/ },
    ])
  }
  for (const block of [
    '10.0.0.0/8',
    '192.0.2.1',
    '"2001:db8::/32"',
    '"fc00::/7"',
    '"fd00::/8"',
    '"2a00::/16"',
    '"::1"',
  ]) {
    t.strictSame(await trusted(block), [], block)
  }
  const halves = (rest: string) => GOOD.replace('tls: implicit }', `tls: implicit, ${rest} }`)
  t.match(
    (await load(directoryFor(t), halves('proxyProtocol: { from: [0.0.0.0/1, 128.0.0.0/1] }'))).warnings.map(
      ({ key }) => key,
    ),
    ['tls.certificates', 'listeners[0].proxyProtocol.from'],
  )
  t.match(await problemsOf(directoryFor(t), halves('scanner: { allowedNetworks: [0.0.0.0/1, 128.0.0.0/1] }')), [
    { key: 'listeners[0].scanner.allowedNetworks', message: /lets everybody in/ },
  ])
})

t.test('slips that would come out at the first login: refused, or a warning', async (t) => {
  const ca = await createCa()
  const old = await ca.expired()
  const files = { 'old.pem': old.cert, 'cut.pem': ca.cert.slice(0, 300), 'ca.pem': ca.cert + old.cert }
  const secrets = { 'blank-behind': 'secret \n', bom: '\ufeffsecret\n', blanks: '  \n' }
  const written = () => {
    const directory = directoryFor(t)
    for (const [name, text] of Object.entries({ ...files, ...secrets }))
      writeFileSync(join(directory, name), text, { mode: 0o600 })
    return directory
  }
  const upstream = (from: string, to: string) => GOOD.replace(from, to)
  const listener = (to: string) => GOOD.replace('port: 1993, tls: implicit', to)
  for (const [why, text, line, key, message] of [
    [
      'portal below a path',
      `${GOOD}portal: { url: https://a.example.org/portal }`,
      20,
      'portal.url',
      /behind the host/,
    ],
    ['two ports of one host', upstream('mail.internal', 'mail.internal:994'), 11, 'upstreams.main.imap.port', /one of/],
    [
      'ourselves as the mail server',
      upstream('mail.internal\n      port: 993', 'localhost\n      port: 1993'),
      9,
      'upstreams.main.imap',
      /leads back to this server, to its listener imap-1993/,
    ],
    [
      'a certificate that is cut',
      upstream('port: 993\n', 'caFile: cut.pem\n'),
      11,
      'upstreams.main.imap.caFile',
      /cut/,
    ],
    [
      'an editor’s mark',
      upstream('File: master', 'File: bom'),
      16,
      'upstreams.main.identity.passwordFile',
      /byte order/,
    ],
    ['blanks alone', upstream('File: master', 'File: blanks'), 16, 'upstreams.main.identity.passwordFile', /is empty/],
    ...['(mail={user}', '(mail={user}))', '(mail={user})(a=b)', 'mail={user}', '(&(a=b)(mail={user})'].map(
      (filter) =>
        [
          `filter ${filter}`,
          `${GOOD}signIn: { ldap: { url: ldaps://x, baseDn: dc=x, userFilter: "${filter}" } }`,
          20,
          'signIn.ldap.userFilter',
          /parenthesis/,
        ] as const,
    ),
    [
      'a mapped block',
      `${GOOD}throttle: { trustedNetworks: ["::ffff:10.0.0.0/104"] }`,
      20,
      'throttle.trustedNetworks[0]',
      /as IPv4/,
    ],
    ...[
      ['"::1"', '"0:0::1"'],
      ['0.0.0.0', '127.0.0.1'],
      ['127.0.0.1', '"::"'],
    ].map(
      ([one, other]) =>
        [
          `one port at ${one} and ${other}`,
          listener(`bind: ${one}, port: 1993, tls: implicit`).replace('port: 9464', `bind: ${other}\n    port: 1993`),
          7,
          'listeners[1].port',
          /taken by listeners\[0\]/,
        ] as const,
    ),
  ] as const) {
    const problems = await problemsOf(written(), text)
    t.match(problems, [{ line, key, message }], why)
    t.equal(problems.length, 1, why)
  }
  const twoPorts = listener('bind: 127.0.0.1, port: 1993, tls: implicit').replace(
    'port: 9464',
    'bind: 127.0.0.2\n    port: 1993',
  )
  await t.resolves(load(written(), twoPorts), 'two addresses may have the same port')

  const warned = async (text: string) => {
    const { warnings } = await load(written(), text)
    return warnings.filter(({ key }) => key !== 'tls.certificates')
  }
  for (const [text, line, key, message] of [
    [listener('port: 143, tls: implicit'), 4, 'listeners[0].tls', /^is implicit on port 143, .*starttls, or port 993/],
    [listener('port: 993, tls: starttls'), 4, 'listeners[0].tls', /^is starttls on port 993, .*implicit, or port 143/],
    [`${GOOD}limits: { connections: 150 }`, 20, 'limits.perAddress', /one address may take all/],
    [`${GOOD}throttle: { delays: [2s, 9s, 4s] }`, 20, 'throttle.delays', /becomes shorter/],
    [upstream('port: 993\n', 'port: 143\n'), 12, 'upstreams.main.imap.tls', /^is implicit on port 143/],
    [upstream('port: 993\n', 'caFile: old.pem\n'), 11, 'upstreams.main.imap.caFile', /have all run out/],
    [
      upstream('File: master', 'File: blank-behind'),
      16,
      'upstreams.main.identity.passwordFile',
      /taken as a part of it/,
    ],
  ] as const)
    t.match(await warned(text), [{ line, key, message }])
  t.strictSame(await warned(upstream('port: 993\n', 'caFile: ca.pem\n')), [], 'one of several is good')
  const filter = '(&(objectClass=person)(|(uid={user})(mail={user})))'
  t.strictSame(
    await warned(`${GOOD}signIn: { ldap: { url: ldaps://x, baseDn: dc=x, userFilter: "${filter}" } }`),
    [],
    filter,
  )
})

t.test('a file that is no UTF-8 is said to be none, with the line', async (t) => {
  const directory = directoryFor(t)
  const path = writeConfig(directory)
  for (const [bytes, line] of [
    [Buffer.from(GOOD.replace('sallyport', 'sällyport'), 'latin1'), 15],
    [Buffer.from(`\ufeff${GOOD}`, 'utf16le'), 1],
    [Buffer.from(GOOD, 'utf16le'), 1],
  ] as const) {
    writeFileSync(path, bytes)
    const refused = await loadConfig({ path, env: {} }).catch((error: unknown) => error)
    t.match(refused, { problems: [{ line, key: '', message: 'is no text in UTF-8: save it in that encoding' }] })
  }
  for (const text of [`\ufeff${GOOD}`, GOOD.replaceAll('\n', '\r\n')]) {
    const { config } = await load(directory, text)
    t.equal(
      config.domains[0],
      'example.org',
      'a mark, and the ends of lines of another system, are none of our business',
    )
  }
})

t.test('mails by an upstream that sends none: a warning', async (t) => {
  const text = `${GOOD}mail: { from: noreply@example.org }\n`
  const warned = async (written: string) =>
    (await load(directoryFor(t), written)).warnings.filter(({ key }) => key === 'mail.from')
  t.match(await warned(text), [{ line: 20, message: /sends nothing: upstreams\.main, .* has no smtp section/ }])
  const sends = text.replace('identity:', 'smtp: { host: mail.internal }\n    identity:')
  t.strictSame(await warned(sends), [])
})

t.test('what this version cannot do is accepted, and named for serve', async (t) => {
  t.strictSame((await load(directoryFor(t))).unavailable, [])
  const text = `${GOOD.replace('listeners:\n', 'listeners:\n  - { protocol: https, port: 8443, serves: [portal, eas] }\n').replace('identity:', 'eas: { url: "https://mail.internal" }\n    identity:')}
store: { postgres: { url: "postgres://a@b/c" } }
portal: { url: "https://mail.example.org" }
signIn: { local: true }
`
  t.match((await load(directoryFor(t), text)).unavailable, [
    { file: /sallyport\.yaml$/, line: 23, key: 'store.postgres', message: /not available in this version/ },
  ])
  const oauth = '{ method: oauth2, provider: google, grant: refresh-token, clientId: x }'
  const own = GOOD.replace('identity:', `eas: { url: "https://mail.internal", identity: ${oauth} }\n    identity:`)
  t.match(
    (await load(directoryFor(t), own)).unavailable.map(({ line, key }) => `${line} ${key}`),
    ['13 upstreams.main.eas.identity'],
    'an identity of ActiveSync’s own as well',
  )
})

t.test('ConfigError prints one line per problem', (t) => {
  const error = new ConfigError([
    { file: 'a.yaml', line: 3, key: 'x.y', message: 'is wrong' },
    { file: null, line: null, key: '', message: 'nothing there' },
  ])
  t.equal(error.message, 'a.yaml:3: x.y: is wrong\nnothing there')
  t.end()
})

t.test('Redis: a password in the URL becomes a Secret', async (t) => {
  const directory = directoryFor(t)
  const { config, written } = await load(
    directory,
    GOOD.replace('routes:', 'redis: { url: "rediss://sp:p%40ss@127.0.0.1:6380/2" }\nroutes:'),
  )
  t.match(config.redis, {
    mode: 'single',
    tls: true,
    username: 'sp',
    database: 2,
    nodes: [{ host: '127.0.0.1', port: 6380 }],
  })
  t.equal(config.redis?.password?.reveal(), 'p@ss')
  t.notMatch(JSON.stringify(written), 'p%40ss')
  writeFileSync(join(directory, 'rp'), 'file-pw', { mode: 0o600 })
  const sentinels = 'redis: { sentinels: [a.internal, "b.internal:1"], name: m, tls: true, passwordFile: rp }\nroutes:'
  const second = await load(directory, GOOD.replace('routes:', sentinels))
  t.match(second.config.redis, {
    mode: 'sentinel',
    name: 'm',
    nodes: [
      { host: 'a.internal', port: 26379 },
      { host: 'b.internal', port: 1 },
    ],
  })
  t.equal(second.config.redis?.password?.reveal(), 'file-pw')
})

t.test(
  'client set-up: a name is needed where it is served; a signature needs the key of its certificate',
  async (t) => {
    const https = '  - { protocol: https, port: 443, serves: [autoconfig] }\n'
    const served = GOOD.replace('listeners:\n', `listeners:\n${https}`)
    t.match(await problemsOf(directoryFor(t), served), [
      { key: 'listeners[0].serves', message: /clientSetup: \{ host/ },
    ])
    await t.resolves(load(directoryFor(t), `${served}clientSetup: { host: mail.example.org }\n`))
    await t.resolves(load(directoryFor(t), `${served}portal: { url: https://mail.example.org }\n`))

    const signing = `${GOOD}clientSetup: { signing: { chainFile: chain.pem, privateKeyFile: signing.key } }\n`
    const ca = await createCa()
    const [pair, other] = [await ca.issue(), await ca.issue()]
    const withFiles = (chain: string, key: string, mode = 0o600) => {
      const directory = directoryFor(t)
      writeFileSync(join(directory, 'chain.pem'), chain)
      writeFileSync(join(directory, 'signing.key'), key, { mode })
      return directory
    }
    const { config } = await load(withFiles(pair.cert, pair.key), signing)
    t.equal(config.clientSetup.signing?.chain, pair.cert)
    t.notMatch(inspect(config, { depth: null }), 'PRIVATE KEY', 'invariant 5')
    t.match(await problemsOf(withFiles(pair.cert, other.key), signing), [{ message: /is not the key of/ }])
    t.match(await problemsOf(withFiles(pair.cert, 'nonsense\n'), signing), [{ message: /can't be read as PEM/ }])
    t.match(await problemsOf(withFiles(pair.cert, pair.key, 0o644), signing), [{ message: /chmod 0600/ }])
    t.match(await problemsOf(directoryFor(t), signing), [{ message: /does not exist/ }, { message: /does not exist/ }])
  },
)

t.test(
  'scanner listeners (M11): a network is needed, old TLS is told of, aliases lead to accounts of ours',
  async (t) => {
    const listener = (rest: string) =>
      GOOD.replace('{ protocol: imap, port: 1993, tls: implicit }', `{ protocol: imap, port: 1993, ${rest} }`)
    const problems = (rest: string) => problemsOf(directoryFor(t), listener(rest))
    t.match(await problems('tls: implicit, scanner: {}'), [{ key: 'listeners[0].scanner.allowedNetworks' }])
    t.match(await problems('tls: implicit, scanner: { allowedNetworks: [0.0.0.0/0] }'), [
      { message: /lets everybody in/ },
    ])
    t.match(await problems('tls: implicit, scanner: { allowedNetworks: [10.0.0.0/8], allowInsecureTls: SSLv3 }'), [
      { message: /must be TLSv1 or TLSv1.1/ },
    ])
    t.match(
      await problems(
        'tls: implicit, tlsMinVersion: TLSv1.3, scanner: { allowedNetworks: [10.0.0.0/8], allowInsecureTls: TLSv1 }',
      ),
      [{ message: /stands beside tlsMinVersion: TLSv1.3/ }],
    )
    t.match(
      await problems(
        'tls: none, allowCleartextLogin: true, scanner: { allowedNetworks: [10.0.0.0/8], allowInsecureTls: TLSv1 }',
      ),
      [{ message: /is for a port with TLS/ }],
    )
    t.match(await problems('tls: implicit, tlsMinVersion: TLSv1'), [{ message: /must be TLSv1.2 or TLSv1.3/ }], 'A3')
    t.match(
      await problems(
        'tls: implicit, scanner: { allowedNetworks: [10.0.0.0/8], aliases: { scan1: { user: scan@elsewhere.org } } }',
      ),
      [{ key: 'listeners[0].scanner.aliases.scan1.user', message: /is not served/ }],
    )
    t.match(
      await problems(
        'tls: implicit, scanner: { allowedNetworks: [10.0.0.0/8], aliases: { "a@b": { user: s@example.org } } }',
      ),
      [{ message: /short name in lower case/ }],
      'C5: an alias is no address',
    )
    const { config, warnings } = await load(
      directoryFor(t),
      listener(
        'tls: implicit, scanner: { allowedNetworks: [10.0.0.0/8], allowInsecureTls: TLSv1, aliases: { scan1: { user: scan@example.org } } }',
      ),
    )
    t.match(config.listeners[0], { scanner: { aliases: { scan1: { user: 'scan@example.org', sender: null } } } })
    t.match(
      warnings.find(({ key }) => key.startsWith('listeners')),
      { key: 'listeners[0].scanner.allowInsecureTls', message: /TLSv1, which is broken/ },
    )
  },
)

t.test('A3: no TLS is never what is left out, and nowhere without a warning', async (t) => {
  const warned = async (text: string) => (await load(directoryFor(t), text)).warnings
  const left = GOOD.replace('      tls: implicit\n', '')
  t.equal((await load(directoryFor(t), left)).config.upstreams.main?.imap?.tls, 'implicit', 'left out means TLS')
  t.notMatch(await warned(left), [{ key: /upstreams/ }])
  t.match(
    (await warned(GOOD.replace('      tls: implicit\n', '      tls: none\n'))).find(({ key }) => /tls$/.test(key)),
    { key: 'upstreams.main.imap.tls', line: 12, message: /passwords and mail go there in clear/ },
  )
  const here = GOOD.replace('      tls: implicit\n', '      tls: none\n').replace('mail.internal', '127.0.0.1')
  t.notOk(
    (await warned(here)).some(({ key }) => key.startsWith('upstreams')),
    'on this machine nobody listens',
  )
  const eas = (url: string) => GOOD.replace('    identity:', `    eas: { url: ${url} }\n    identity:`)
  t.match(
    (await warned(eas('http://mail.internal'))).find(({ key }) => /url$/.test(key)),
    { key: 'upstreams.main.eas.url', message: /without TLS/ },
  )
  t.notOk((await warned(eas('https://mail.internal'))).some(({ key }) => /url$/.test(key)))
  const clear = (more: string) => GOOD.replace('tls: implicit }', `tls: none${more} }`)
  t.match(
    (await warned(clear(', allowCleartextLogin: true'))).find(({ key }) => /Cleartext/.test(key)),
    { key: 'listeners[0].allowCleartextLogin', message: /in clear/ },
    'a name that looks dangerous',
  )
  t.match(await problemsOf(directoryFor(t), clear('')), [{ key: 'listeners[0].tls', message: /allowCleartextLogin/ }])
})
