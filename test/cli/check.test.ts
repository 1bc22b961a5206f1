import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import t from 'tap'
import type { Step } from '../../src/cli/check/report.ts'
import { createCa } from '../support/certificates.ts'
import type { Dovecot } from '../support/dovecot.ts'
import { startDovecot } from '../support/dovecot.ts'
import type { ScriptedPeer } from '../support/peer.ts'
import { scriptedServer } from '../support/peer.ts'
import { freePort } from '../support/ports.ts'
import { requireService } from '../support/services.ts'
import { house } from './run.ts'

// The machine may be busy.
t.setTimeout(240_000)

const MASTER = '{ method: master-user, user: sallyport, passwordFile: master }'

/** One store for all cases, with the users they need: making one takes longer than most checks. */
const shared = house(t)
for (const user of ['ann@example.org', 'bob@example.org']) await shared.run(['user', 'add', user])

/** A configuration with one upstream. `data`: instead of the shared store, for a check that runs beside others. */
function config(imap: string, { identity = MASTER, extra = '', data = `${shared.directory}/data` } = {}): string {
  return `dataDirectory: ${data}
domains: [example.org]
listeners: [{ protocol: imap, port: 0, tls: implicit }]
upstreams:
  main:
    imap: { ${imap} }
    identity: ${identity}
    ${extra}
`
}

/** Runs `check --json` and answers the steps of the upstream, by name. */
async function check(t: Test, text: string, { user = '', password = 'x' } = {}) {
  const { run, directory } = house(t, text)
  writeFileSync(join(directory, 'master'), password)
  const { status, stdout, stderr } = await run(['check', '--json', ...(user === '' ? [] : ['--user', user])])
  t.notMatch(stdout + stderr, password === 'x' ? /$^/ : password, 'no secret is printed')
  t.equal(stderr, '')
  const steps = (JSON.parse(stdout) as Step[]).filter(({ hop }) => /^(upstream|user)/.test(hop))
  return { status, steps, failed: steps.filter(({ ok }) => !ok), names: steps.map(({ step }) => step) }
}

/** A scripted IMAP server in clear text on loopback. */
async function against(
  t: Test,
  script: (peer: ScriptedPeer) => Promise<void>,
  more: { readonly identity?: string; readonly imap?: string; readonly user?: string } = {},
) {
  await using server = await scriptedServer(script)
  const identity = more.identity === undefined ? {} : { identity: more.identity }
  return await check(
    t,
    config(`host: 127.0.0.1, port: ${server.port}, ${more.imap ?? 'tls: none'}`, identity),
    more.user === undefined ? {} : { user: more.user },
  )
}

t.test('M15: against a real Dovecot', async (t) => {
  if (!requireService(t, 'dovecot')) return
  await using dovecot: Dovecot = await startDovecot()
  const { imap, imaps, imapsProxy, pop3, pop3s } = dovecot.ports
  const ca = `caFile: ${dovecot.caFile}`
  const { password } = dovecot.master
  const user = 'ann@example.org'
  // Each of these waits for a greeting as long as a step may take, so they wait beside everything else.
  const silent = Promise.all([
    check(t, config(`host: localhost, port: ${imaps}, tls: starttls, ${ca}`, { data: 'data' })),
    check(t, config(`host: 127.0.0.1, port: ${imaps}, tls: none`, { data: 'data' })),
    check(
      t,
      config(`host: localhost, port: ${imaps}, ${ca}`, {
        extra: `pop3: { host: localhost, port: ${pop3s}, tls: starttls, ${ca} }`,
        data: 'data',
      }),
    ),
  ])

  await t.test('every step of implicit TLS and the master user', async (t) => {
    const { status, names, steps } = await check(t, config(`host: localhost, port: ${imaps}, ${ca}`), {
      user,
      password,
    })
    t.equal(status, 0, JSON.stringify(steps))
    t.strictSame(names, [
      'route and identity',
      'dns',
      'connect',
      'tls',
      'greeting',
      'capabilities',
      'login',
      'capabilities after login',
    ])
    t.match(
      steps.find(({ step }) => step === 'login'),
      { detail: /as ann@example\.org\*sallyport, \d+ ms/ },
    )
    await dovecot.waitForLog(/user=<ann@example\.org>/)
  })

  await t.test('every step of STARTTLS and authzid', async (t) => {
    const identity = '{ method: authzid, user: sallyport, passwordFile: master }'
    const { status, names, steps } = await check(
      t,
      config(`host: localhost, port: ${imap}, tls: starttls, ${ca}`, { identity }),
      { user, password },
    )
    t.equal(status, 0, JSON.stringify(steps))
    t.strictSame(names.slice(1, 8), [
      'dns',
      'connect',
      'greeting',
      'capabilities in clear',
      'starttls',
      'capabilities',
      'login',
    ])
  })

  await t.test('PROXY header', async (t) => {
    const { status, steps } = await check(
      t,
      config(`host: localhost, port: ${imapsProxy}, ${ca}`, { extra: 'proxyProtocol: v2' }),
      { user, password },
    )
    t.equal(status, 0, JSON.stringify(steps))
    const without = await check(t, config(`host: localhost, port: ${imapsProxy}, ${ca}`))
    t.match(without.failed, [{ step: 'tls', advice: /PROXY header/ }])
  })

  await t.test('without --user it stops before the login', async (t) => {
    const { status, names } = await check(t, config(`host: localhost, port: ${imaps}, ${ca}`))
    t.equal(status, 0)
    t.equal(names.at(-1), 'capabilities')
  })

  await t.test('POP3: implicit TLS and STLS, each to the login', async (t) => {
    for (const [section, steps] of [
      [`host: localhost, port: ${pop3s}, ${ca}`, ['tls', 'greeting', 'capabilities', 'login']],
      [
        `host: localhost, port: ${pop3}, tls: starttls, ${ca}`,
        ['greeting', 'capabilities in clear', 'starttls', 'capabilities', 'login'],
      ],
    ] as const) {
      const text = config(`host: localhost, port: ${imaps}, ${ca}`, { extra: `pop3: { ${section} }` })
      const mark = dovecot.mark()
      const good = await check(t, text, { user, password })
      t.equal(good.status, 0, JSON.stringify(good.failed))
      const own = good.steps.filter(({ hop }) => hop.startsWith('upstream main, pop3 localhost:'))
      t.strictSame(
        own.map(({ step }) => step),
        ['dns', 'connect', ...steps],
      )
      t.match(own.at(-1), { detail: /as ann@example\.org\*sallyport, \d+ ms/ })
      await dovecot.waitForLog(/pop3-login: Info: Login: user=<ann@example\.org>/, mark)
      const refused = await check(t, text, { user, password: 'not-the-master-password' })
      t.match(refused.failed, [
        { step: 'login' },
        { hop: /pop3/, step: 'login', detail: /\[AUTH\]/, advice: /master user’s password is wrong/ },
      ])
    }
    const wrong = await check(
      t,
      config(`host: localhost, port: ${imaps}, ${ca}`, { extra: `pop3: { host: localhost, port: ${imaps}, ${ca} }` }),
    )
    t.match(wrong.failed, [{ hop: /pop3/, step: 'greeting', detail: /no POP3 greeting/, advice: /IMAP server/ }])
  })

  await t.test('wrong port: clear text where TLS is expected, POP3, nobody', async (t) => {
    const clear = await check(t, config(`host: localhost, port: ${imap}, ${ca}`))
    t.equal(clear.status, 1)
    t.match(clear.failed, [
      { hop: `upstream main, imap localhost:${imap}`, step: 'tls', detail: /does not speak TLS/, advice: /starttls/ },
    ])
    const other = await check(t, config(`host: localhost, port: ${pop3}, tls: starttls`))
    t.match(other.failed, [{ step: 'greeting', advice: /POP3 server: the port is wrong/ }])
    const nobody = await check(t, config(`host: localhost, port: ${await freePort()}`))
    t.match(nobody.failed, [{ step: 'connect', detail: /refuses the connection/ }])
  })

  await t.test('wrong certificate name, unknown authority', async (t) => {
    const name = await check(t, config(`host: localhost, port: ${imaps}, ${ca}, serverName: mail.example.org`))
    t.match(name.failed, [
      { step: 'tls', detail: /is for localhost, .*not for mail\.example\.org/, advice: /serverName/ },
    ])
    const authority = await check(t, config(`host: localhost, port: ${imaps}`))
    t.match(authority.failed, [{ step: 'tls', detail: /no authority that is trusted/, advice: /caFile/ }])
    const other = await createCa()
    const { run, directory } = house(t, config(`host: localhost, port: ${imaps}, caFile: other.pem`))
    writeFileSync(join(directory, 'other.pem'), other.cert)
    t.match(await run(['check']), { status: 1, stdout: /FAIL {2}tls: .*no authority.*\n +→ CaFile does not hold/ })
  })

  await t.test('refused master password, unknown mailbox', async (t) => {
    const refused = await check(t, config(`host: localhost, port: ${imaps}, ${ca}`), {
      user,
      password: 'not-the-master-password',
    })
    t.equal(refused.status, 1)
    t.match(refused.failed, [
      { step: 'login', detail: /refused as ann@example\.org\*sallyport/, advice: /master user’s password is wrong/ },
    ])
    const unknown = await check(t, config(`host: localhost, port: ${imaps}, ${ca}`), {
      user: 'bob@example.org',
      password,
    })
    t.match(unknown.failed, [{ step: 'login', advice: /no such mailbox/ }])
  })

  await t.test('wrong port: TLS where clear text is expected', async (t) => {
    const [starttls, none, pop] = await silent
    for (const [mode, inClear] of [
      ['starttls', starttls],
      ['none', none],
    ] as const) {
      t.equal(inClear.status, 1)
      t.match(inClear.failed, [
        {
          step: 'greeting',
          detail: 'no greeting in clear text: this port speaks TLS from the first byte',
          advice: new RegExp(`Set tls: implicit .*for tls: ${mode} instead`),
        },
      ])
    }
    t.match(pop.failed, [{ hop: /pop3/, step: 'greeting', detail: /speaks TLS from the first byte/ }])
  })
})

t.test('a user who is not there; an upstream secret that is not there', async (t) => {
  const { run } = house(t, config('host: 127.0.0.1, port: 1'))
  const missing = await run(['check', '--user', 'nobody', '--json'])
  t.equal(missing.status, 1)
  t.match(
    missing.json<Step[]>().filter(({ ok }) => !ok),
    [{ hop: 'user nobody', advice: /Add the user/ }, { step: 'connect' }],
  )
  const secret = await check(t, config('host: 127.0.0.1, port: 1', { identity: '{ method: stored-secret }' }), {
    user: 'ann@example.org',
  })
  t.match(secret.failed[0], {
    step: 'route and identity',
    detail: /no secret is stored.*sallyport secret set --user ann@example\.org --upstream main/,
  })
})

t.test('a name that does not exist', async (t) => {
  const { failed, names } = await check(t, config('host: no-such-host.invalid, port: 993'))
  t.match(failed, [{ step: 'dns', advice: /spelled right/ }])
  t.strictSame(names, ['dns'], 'what can’t be tried is not listed')
})

const CAPABILITY = 'IMAP4rev1 SASL-IR IDLE ID AUTH=PLAIN'

t.test('a certificate that ran out', async (t) => {
  const ca = await createCa()
  const tls = await ca.expired()
  await using server = await scriptedServer(async (peer) => peer.end(), { tls })
  const { run, directory } = house(t, config(`host: localhost, port: ${server.port}, caFile: ca.pem`))
  writeFileSync(join(directory, 'ca.pem'), ca.cert)
  const { status, stdout } = await run(['check', '--json'])
  t.equal(status, 1)
  const failed = (JSON.parse(stdout) as Step[]).filter(({ ok }) => !ok)
  t.match(failed, [{ step: 'tls', detail: /ran out on \d{4}-/, advice: /Renew/ }])
})

t.test('a scripted server: greetings', async (t) => {
  for (const [greeting, detail, advice] of [
    ['* PREAUTH welcome', /PREAUTH/, /logged in already/],
    ['* BYE too many', /BYE/, /sends us away/],
    ['220 mail ESMTP', /no IMAP greeting/, /SMTP/],
    ['SSH-2.0-OpenSSH', /no IMAP greeting/, /SSH/],
    ['HTTP/1.1 400 Bad Request', /no IMAP greeting/, /web server/],
    ['hello\u001b[31m', /hello\?\[31m/, /IMAP port/],
  ] as const) {
    const { failed } = await against(t, async (peer) => {
      peer.send(`${greeting}\r\n`)
      await peer.linesUntil(/never/).catch(() => undefined)
    })
    t.match(failed, [{ step: 'greeting', detail, advice }], greeting)
  }
  const silent = await against(t, async (peer) => peer.end())
  t.match(silent.failed, [{ step: 'greeting', detail: /without a word/ }])
})

t.test('a scripted server: missing capabilities', async (t) => {
  const announcing = (capabilities: string) => async (peer: ScriptedPeer) => {
    peer.send('* OK ready\r\n')
    await peer.expect(/^check1 CAPABILITY/)
    peer.send(`* CAPABILITY ${capabilities}\r\ncheck1 OK done\r\n`)
    await peer.linesUntil(/never/).catch(() => undefined)
  }
  const none = await against(t, announcing('IMAP4rev1 LOGINDISABLED'))
  t.match(none.failed, [{ step: 'capabilities', advice: /takes no passwords/ }])
  const authzid = await against(t, announcing('IMAP4rev1'), {
    identity: '{ method: authzid, user: a, passwordFile: master }',
  })
  t.match(authzid.failed, [{ step: 'capabilities', advice: /AUTH=PLAIN is missing/ }])
  const slow = await against(t, announcing('IMAP4rev1 AUTH=PLAIN'))
  t.equal(slow.status, 0)
  t.match(slow.steps.at(-1), { ok: true, advice: /SASL-IR is missing/ })
  const noTls = await against(t, announcing(CAPABILITY), { imap: 'tls: starttls' })
  t.match(noTls.failed, [{ step: 'starttls', detail: 'STARTTLS is not offered', advice: /tls: implicit/ }])
})

t.test('a scripted POP3 server: what may be wrong before and after the login', async (t) => {
  const ready = (capabilities: string) => async (peer: ScriptedPeer) => {
    peer.send('+OK ready\r\n')
    for (;;) {
      const line = await peer.line().catch(() => 'QUIT')
      if (line === 'QUIT') return
      if (line === 'CAPA') peer.send(`+OK\r\n${capabilities}.\r\n`)
      else if (line === 'STLS') peer.send('+OK go\r\n+OK smuggled\r\n')
      else peer.send(line.startsWith('AUTH') ? '+ \r\n' : '+OK\r\n')
    }
  }
  for (const [why, script, section, identity, want] of [
    [
      'sent away',
      async (peer) => peer.end('-ERR [SYS/TEMP] full\r\n'),
      'tls: none',
      MASTER,
      { step: 'greeting', advice: /sends us away/ },
    ],
    ['another language', async (peer) => peer.end('220 mx\r\n'), 'tls: none', MASTER, { advice: /SMTP/ }],
    ['no STLS', ready('USER\r\n'), 'tls: starttls', MASTER, { step: 'starttls', detail: 'STLS is not offered' }],
    [
      'something behind STLS (invariant 3)',
      ready('STLS\r\n'),
      'tls: starttls',
      MASTER,
      { step: 'starttls', detail: /in clear/ },
    ],
    ['no passwords', ready('TOP\r\n'), 'tls: none', MASTER, { step: 'capabilities', advice: /takes no passwords/ }],
    [
      'nobody may act for others',
      ready('USER\r\nUIDL\r\n'),
      'tls: none',
      '{ method: authzid, user: a, passwordFile: master }',
      { step: 'capabilities', advice: /SASL PLAIN is missing/ },
    ],
    [
      'XCLIENT after the login (invariant 14)',
      ready('XCLIENT\r\nUIDL\r\nSASL PLAIN\r\n'),
      'tls: none',
      MASTER,
      { step: 'login', detail: /offers XCLIENT after login/ },
    ],
  ] as const satisfies [string, (peer: ScriptedPeer) => Promise<void>, string, string, object][]) {
    await using server = await scriptedServer(script)
    const extra = `pop3: { host: 127.0.0.1, port: ${server.port}, ${section} }`
    const { failed } = await check(t, config('host: 127.0.0.1, port: 1', { identity, extra }), {
      user: 'ann@example.org',
    })
    t.match(
      failed.filter(({ hop }) => hop.includes('pop3')),
      [want],
      why,
    )
  }
})

t.test('a scripted server: something behind STARTTLS (invariant 3)', async (t) => {
  const { failed } = await against(
    t,
    async (peer) => {
      peer.send('* OK ready\r\n')
      await peer.expect(/^check1 CAPABILITY/)
      peer.send('* CAPABILITY IMAP4rev1 STARTTLS\r\ncheck1 OK done\r\n')
      await peer.expect(/^check2 STARTTLS/)
      peer.send('check2 OK go\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n')
      await peer.linesUntil(/never/).catch(() => undefined)
    },
    { imap: 'tls: starttls' },
  )
  t.match(failed, [{ step: 'starttls', detail: /in clear/ }])
})

t.test('a scripted server: what may not be offered after the login (invariant 14)', async (t) => {
  const { status, failed } = await against(
    t,
    async (peer) => {
      peer.send(`* OK [CAPABILITY ${CAPABILITY}] ready\r\n`)
      for (;;) {
        const [tag, command] = (await peer.line()).split(' ')
        if (command === 'CAPABILITY') peer.send(`* CAPABILITY ${CAPABILITY}\r\n`)
        if (command === 'LOGOUT') peer.send('* BYE bye\r\n')
        if (command === 'AUTHENTICATE') {
          peer.send('+ \r\n')
          await peer.line()
          peer.send(`${tag} OK [CAPABILITY IMAP4rev1 IDLE ID UNAUTHENTICATE] in\r\n`)
        } else peer.send(`${tag} OK done\r\n`)
        if (command === 'LOGOUT') return
      }
    },
    { user: 'ann@example.org' },
  )
  t.equal(status, 1)
  t.match(failed, [{ step: 'capabilities after login', advice: /UNAUTHENTICATE .*refuses such a server/ }])
})

t.test('local steps: configuration, certificates, store, keys; words for people', async (t) => {
  const ca = await createCa()
  const { launch, directory } = house(
    t,
    `${config('host: 127.0.0.1, port: 1')}tls: { certificates: [{ certFile: cert.pem, keyFile: key.pem }] }
clientSetup: { host: mail.example.org }\n`,
  )
  const pair = await ca.issue({ names: ['mail.example.org'] })
  const other = await ca.issue({ names: ['mail.example.org'] })
  writeFileSync(join(directory, 'cert.pem'), pair.cert)
  writeFileSync(join(directory, 'key.pem'), pair.key, { mode: 0o600 })
  const good = await launch(['check'])
  t.equal(good.status, 1, 'the upstream is not there')
  t.match(good.stdout, /^configuration\n {2}ok {4}read: .*sallyport\.yaml\n/m)
  t.match(good.stdout, /certificate .*cert\.pem\n {2}(ok {2}|note) {2}read: for mail\.example\.org, valid until/)
  t.match(good.stdout, /^certificates\n {2}ok {4}names: mail\.example\.org\n/m)
  t.match(good.stdout, /^store\n {2}ok {4}open: .*no server is running\n/m)
  t.match(good.stdout, /^keys\n {2}ok {4}fit the store/m)
  t.match(good.stdout, /FAIL {2}connect: 127\.0\.0\.1:1 refuses.*\n {8}→ Nothing listens/)
  t.match(good.stdout, /\nFAILED: upstream main, imap 127\.0\.0\.1:1: connect\n$/)
  writeFileSync(join(directory, 'key.pem'), other.key)
  t.match(await launch(['check']), { status: 1, stdout: /FAIL {2}read: the key in .*key\.pem is not that of/ })
  const line = config('').split('\n').length
  t.match(await launch(['config', 'check']), {
    status: 78,
    stderr: new RegExp(`sallyport\\.yaml:${line}: tls\\.certificates\\[0\\]: the key in .*key\\.pem is not that of`),
  })
  const moved = await ca.issue({ names: ['old.example.org'] })
  writeFileSync(join(directory, 'cert.pem'), moved.cert)
  writeFileSync(join(directory, 'key.pem'), moved.key)
  t.match(
    (await launch(['check'])).stdout,
    /^certificates\n {2}note {2}names: none is good for mail\.example\.org\n {8}→ /m,
  )
  writeFileSync(join(directory, 'sallyport.yaml'), 'nonsense: 1')
  t.equal((await launch(['check'])).status, 78)
})
