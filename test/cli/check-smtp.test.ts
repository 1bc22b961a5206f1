/** `sallyport check` where SMTP is spoken: upstreams from the name to what is offered after the login, and own listeners. */

import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Test } from 'tap'
import t from 'tap'
import type { Step } from '../../src/cli/check/report.ts'
import { COMPILE_CACHE } from '../support/compile-cache.ts'
import { SAMPLE_USER, startDovecot } from '../support/dovecot.ts'
import { waitForLine } from '../support/logs.ts'
import type { ScriptedPeer } from '../support/peer.ts'
import { scriptedServer } from '../support/peer.ts'
import { freePort } from '../support/ports.ts'
import { canRunPostfix, saslListener, startPostfix } from '../support/postfix.ts'
import { Program } from '../support/program.ts'
import { house } from './run.ts'

// Each case starts processes, and the machine may be busy.
t.setTimeout(240_000)

const LAUNCHER = resolve(import.meta.dirname, '../../scripts/sallyport')
const AUTHZID = '{ method: authzid, user: sallyport, passwordFile: master }'

const shared = house(t)
await shared.run(['user', 'add', SAMPLE_USER])

/** `data`: instead of the shared store, for a check that runs beside others. */
function config(smtp: string, { identity = AUTHZID, extra = '', data = `${shared.directory}/data` } = {}): string {
  return `dataDirectory: ${data}
domains: [example.org]
listeners: [{ protocol: smtp, port: 0, tls: implicit }]
upstreams: { main: { smtp: { host: localhost, ${smtp} }, identity: ${identity}, ${extra} } }
`
}

/** Runs `check --json` and answers the steps of the upstream. */
async function check(t: Test, text: string, password = 'x') {
  const { run, directory } = house(t, text)
  writeFileSync(join(directory, 'master'), password)
  const { status, stdout, stderr } = await run(['check', '--json', '--user', SAMPLE_USER])
  if (password !== 'x') t.notMatch(stdout + stderr, password, 'no secret is printed')
  const steps = (JSON.parse(stdout) as Step[]).filter(({ hop }) => hop.startsWith('upstream'))
  return { status, steps, failed: steps.filter(({ ok }) => !ok), names: steps.map(({ step }) => step) }
}

t.test('M15: against a real Postfix', async (t) => {
  if (!canRunPostfix(t)) return
  const saslPort = await freePort()
  await using dovecot = await startDovecot({ extra: saslListener(saslPort) })
  await using postfix = await startPostfix(dovecot, saslPort)
  const { password } = dovecot.master
  const ca = `caFile: ${postfix.caFile}`
  const { submission, submissions, trusting, xclient } = postfix.ports
  const startTls = (port: number): string => `port: ${port}, tls: starttls, ${ca}`
  // It waits for a greeting as long as a step may take, so it waits beside everything else.
  const silent = check(t, config(startTls(submissions), { data: 'data' }))

  for (const [why, section, steps] of [
    ['implicit TLS', `port: ${submissions}, ${ca}`, ['tls', 'greeting', 'capabilities']],
    ['STARTTLS', startTls(submission), ['greeting', 'capabilities in clear', 'starttls', 'capabilities']],
  ] as const) {
    await t.test(`every step of ${why}`, async (t) => {
      const good = await check(t, config(section), password)
      t.equal(good.status, 0, JSON.stringify(good.failed))
      t.strictSame(good.names, ['dns', 'connect', ...steps, 'login', 'capabilities after login'])
      t.match(
        good.steps.find(({ step }) => step === 'login'),
        { detail: /^as sallyport for ann@example\.org, \d+ ms$/ },
      )
      t.match(good.steps.at(-1), { detail: /SIZE 20480000.*8BITMIME/, advice: null })
      const refused = await check(t, config(section), 'not-the-master-password')
      t.match(refused.failed, [{ step: 'login', detail: /535 5\.7\.8/, advice: /user’s password is wrong/ }])
    })
  }

  await t.test('invariant 14: which setting lets a client become somebody else, and what to change', async (t) => {
    const { status, failed } = await check(t, config(startTls(trusting)), password)
    t.equal(status, 1)
    t.match(failed, [{ step: 'capabilities after login', detail: /XCLIENT/ }])
    const advice = failed[0]?.advice ?? ''
    t.match(advice, /^XCLIENT and XFORWARD can still be said after the login/)
    t.match(advice, /Take this machine’s address out of smtpd_authorized_xclient_hosts, or set trusted: true/)
    t.match(advice, /Take this machine’s address out of smtpd_authorized_xforward_hosts\./)
    t.match(advice, /main\.cf, or with -o .* master\.cf; then postfix reload/)
    t.notMatch(postfix.log(), /192\.0\.2\.1/, 'nobody was told of a client')
    const { run } = house(t, config(startTls(trusting)))
    const early = (await run(['check', '--json'])).json<Step[]>().find(({ step }) => step === 'trust')
    t.match(early, { ok: true, advice: /--user.*smtpd_authorized_xclient_hosts and smtpd_authorized_xforward_hosts/ })
  })

  await t.test('trusted: XCLIENT gives itself up, XFORWARD does not', async (t) => {
    const trusted = { extra: 'trusted: true' }
    const good = await check(t, config(startTls(xclient), trusted), password)
    t.equal(good.status, 0, JSON.stringify(good.failed))
    t.ok(await postfix.waitForLog(/disconnect from unknown\[192\.0\.2\.1\] .*auth=1/))
    const kept = await check(t, config(startTls(trusting), trusted), password)
    t.match(kept.failed, [{ step: 'capabilities after login', advice: /^XFORWARD can still .*xforward_hosts/ }])
    t.notMatch(kept.failed[0]?.advice, /xclient_hosts/)
    const deaf = await check(t, config(startTls(submission), trusted), password)
    t.equal(deaf.status, 0)
    t.match(
      deaf.steps.find(({ step }) => step === 'trust'),
      { ok: true, advice: /can’t be told .*smtpd_authorized_xclient_hosts/ },
    )
  })

  await t.test('wrong port, wrong name on the certificate', async (t) => {
    const clear = await check(t, config(`port: ${submission}, ${ca}`))
    t.match(clear.failed, [{ step: 'tls', detail: /does not speak TLS/, advice: /starttls/ }])
    t.match((await silent).failed, [
      { step: 'greeting', detail: /speaks TLS from the first byte/, advice: /tls: implicit/ },
    ])
    const imap = await check(t, config(`port: ${dovecot.ports.imap}, tls: starttls`))
    t.match(imap.failed, [{ step: 'greeting', detail: /no SMTP greeting/, advice: /IMAP server.*587/ }])
    const name = await check(t, config(`${startTls(submission)}, serverName: mail.example.org`))
    t.match(name.failed, [{ step: 'starttls', detail: /not for mail\.example\.org/ }])
  })

  await t.test('own listeners: greeting, and what clients are told', async (t) => {
    const [implicit, starttls] = [await freePort(), await freePort()]
    const own = house(
      t,
      `dataDirectory: data
domains: [example.org]
listeners:
  - { protocol: smtp, bind: 127.0.0.1, port: ${implicit}, tls: implicit }
  - { protocol: smtp, bind: 127.0.0.1, port: ${starttls}, tls: starttls }
upstreams: { main: { smtp: { host: localhost, port: ${submissions}, ${ca} }, identity: ${AUTHZID} } }
workers: 1
`,
    )
    await using server = new Program(LAUNCHER, ['serve'], {
      cwd: own.directory,
      env: { PATH: process.env.PATH, ...COMPILE_CACHE },
    })
    // Before that, a command would open the store itself, and the server could not.
    await waitForLine(() => server.output, 'started', undefined, 90_000)
    let steps: Step[] = []
    // The upstream is asked in the background.
    const start = performance.now()
    while (performance.now() - start < 60_000) {
      const { stdout } = await own.run(['check', '--json'])
      steps = (JSON.parse(stdout) as Step[]).filter(({ hop }) => hop.startsWith('listener'))
      if (steps.some(({ step, detail }) => step === 'EHLO' && detail.includes('SIZE'))) break
      await delay(100)
    }
    t.match(
      steps.filter(({ hop }) => hop === `listener smtp-${implicit}`),
      [
        { step: 'connect', ok: true },
        { step: 'tls', ok: true },
        { step: 'greeting', ok: true, detail: /^220 .*sallyport/ },
        { step: 'EHLO', ok: true, detail: /SIZE 20480000.*AUTH PLAIN LOGIN/, advice: null },
      ],
      server.output,
    )
    t.match(steps.find(({ hop, step }) => hop === `listener smtp-${starttls}` && step === 'EHLO')?.detail, /STARTTLS/)
  })
})

t.test('a scripted server: what may be wrong', async (t) => {
  const ready =
    (keywords: string, after = keywords) =>
    async (peer: ScriptedPeer) => {
      peer.send('220-up\r\n220 ready\r\n')
      let list = keywords
      for (;;) {
        const line = await peer.line().catch(() => 'QUIT')
        if (line === 'QUIT') return peer.end()
        if (line.startsWith('EHLO')) peer.send(`250-up\r\n${list}250 HELP\r\n`)
        else if (line === 'STARTTLS') peer.send('220 go\r\n250 smuggled\r\n')
        else {
          list = after
          peer.send('235 in\r\n')
        }
      }
    }
  const auth = '250-AUTH PLAIN\r\n'
  for (const [why, script, tls, want] of [
    ['sent away', (peer) => peer.end('554 5.7.1 no\r\n'), 'none', { step: 'greeting', advice: /sends us away/ }],
    ['another language', (peer) => peer.end('+OK\r\n'), 'none', { step: 'greeting', advice: /POP3 server/ }],
    ['a greeting without end', (peer) => peer.send('220-x\r\n'.repeat(120)), 'none', { detail: /does not end/ }],
    ['FTP', (peer) => peer.send('220 ftp\r\n500 EHLO\r\n'), 'none', { step: 'capabilities', advice: /without EHLO/ }],
    ['no STARTTLS', ready(auth), 'starttls', { step: 'starttls', detail: 'STARTTLS is not offered' }],
    [
      'something behind STARTTLS (invariant 3)',
      ready('250-STARTTLS\r\n'),
      'starttls',
      { step: 'starttls', detail: /in clear/ },
    ],
    ['no AUTH', ready(''), 'none', { step: 'capabilities', advice: /smtpd_sasl_auth_enable/ }],
    ['nobody may act for others', ready('250-AUTH LOGIN\r\n'), 'none', { advice: /AUTH PLAIN is missing/ }],
    [
      'XFORWARD after the login (invariant 14)',
      ready(auth, '250-XFORWARD ADDR\r\n'),
      'none',
      { step: 'capabilities after login', advice: /smtpd_authorized_xforward_hosts/ },
    ],
  ] as const satisfies [string, (peer: ScriptedPeer) => Promise<void> | void, string, object][]) {
    await using server = await scriptedServer(async (peer) => {
      await script(peer)
      await peer.rest().catch(() => undefined)
    })
    const { failed } = await check(t, config(`port: ${server.port}, tls: ${tls}`))
    t.match(failed, [want], why)
  }
  await using plain = await scriptedServer(ready('250-AUTH CRAM-MD5\r\n'))
  const { failed } = await check(
    t,
    config(`port: ${plain.port}, tls: none`, { identity: AUTHZID.replace('authzid', 'master-user') }),
  )
  t.match(failed, [{ step: 'capabilities', advice: /takes no passwords/ }])
})
