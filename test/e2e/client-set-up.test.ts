/**
 * A mail program sets itself up from nothing but an address (M10): Thunderbird's requests in Thunderbird's order, by curl, against
 * the whole product; then the login with what was found, to a real Dovecot. Phones and Outlook the same way.
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { XMLParser } from 'fast-xml-parser'
import { ImapFlow } from 'imapflow'
import type { Test } from 'tap'
import t from 'tap'
import { createCa } from '../support/certificates.ts'
import { startDovecot } from '../support/dovecot.ts'
import { freePort } from '../support/ports.ts'
import { run } from '../support/program.ts'
import { masterPasswordFile, startSallyport, upstreamOf } from '../support/sallyport.ts'
import { plainPassword } from '../support/secrets.ts'
import { program, requireService } from '../support/services.ts'

const DOMAINS = ['example.org', 'example.net'] as const
const ANN = 'ann@example.net'

t.setTimeout(240_000)

/** What Thunderbird asks, the first answer counting: mailnews' FetchConfig.sys.mjs and ExchangeAutoDiscover.sys.mjs. */
const LOOKUPS = (address: string, domain: string): readonly string[] => [
  `https://autoconfig.${domain}/mail/config-v1.1.xml?emailaddress=${encodeURIComponent(address)}`,
  `https://${domain}/.well-known/autoconfig/mail/config-v1.1.xml`,
  `http://autoconfig.${domain}/mail/config-v1.1.xml?emailaddress=${encodeURIComponent(address)}`,
  `http://${domain}/.well-known/autoconfig/mail/config-v1.1.xml`,
]

interface Server {
  readonly incoming: readonly { readonly type: string; readonly hostname: string; readonly port: number }[]
}

t.test('from an address to a login', async (t) => {
  if (!requireService(t, 'dovecot') || !requireService(t, 'curl')) return
  const directory = mkdtempSync(join(tmpdir(), 'sp-set-up-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const put = (name: string, text: string) => {
    writeFileSync(join(directory, name), text, { mode: 0o600 })
    return join(directory, name)
  }
  const ca = await createCa()
  const names = DOMAINS.flatMap((domain) => [domain, `autoconfig.${domain}`, `autodiscover.${domain}`])
  const pair = await ca.issue({ names: ['mail.example.org', ...names] })
  const caFile = put('ca.pem', ca.cert)
  const https = await freePort()
  const portalOnly = await freePort()

  await using dovecot = await startDovecot({ users: { [ANN]: plainPassword() } })
  await using gate = await startSallyport({
    domains: DOMAINS,
    upstreams: { main: upstreamOf(dovecot, masterPasswordFile(dovecot), { pop3: {} }) },
    listeners: [
      { protocol: 'https', bind: '127.0.0.1', port: https, serves: ['autoconfig'] },
      { protocol: 'https', bind: '127.0.0.1', port: portalOnly, serves: ['portal'] },
    ],
    settings: {
      tls: { certificates: [{ certFile: put('cert.pem', pair.cert), keyFile: put('key.pem', pair.key) }] },
      portal: { url: 'https://mail.example.org' },
    },
    workers: 1,
  })
  await gate.addUser(ANN)
  const device = await gate.createAppPassword(ANN, 'Thunderbird')

  /** One request of a client that resolves every name to us; null: no answer. */
  async function curl(
    url: string,
    more: readonly string[] = [],
    port = https,
  ): Promise<{ status: number; text: string } | null> {
    const { status, output } = await run(
      program('curl'),
      ['-s', '--cacert', caFile, '--connect-to', `::127.0.0.1:${port}`, '-w', '\n%{http_code}', ...more, url],
      { input: '' },
    )
    if (status !== 0) return null
    const at = output.lastIndexOf('\n')
    return { status: Number(output.slice(at + 1)), text: output.slice(0, at) }
  }

  await t.test(
    'Thunderbird: the first place that it looks at, for every domain; and each of the others that has TLS',
    async (t) => {
      for (const domain of DOMAINS) {
        const answers: (Server | null)[] = []
        for (const url of LOOKUPS(`ann@${domain}`, domain)) {
          const answer = await curl(url)
          if (url.startsWith('https:')) t.equal(answer?.status, 200, url)
          else t.not(answer?.status, 200, `${url}: nothing is told in clear`)
          answers.push(answer?.status === 200 ? serversIn(answer.text, domain) : null)
        }
        t.ok(answers[0], 'nothing else has to be tried')
        t.strictSame(answers[1], answers[0])
      }
    },
  )

  await t.test('what was found is enough to log in', async (t) => {
    const answer = await curl(LOOKUPS(ANN, 'example.net')[0] ?? '')
    const { incoming } = serversIn(answer?.text ?? '', 'example.net')
    t.match(
      incoming.map(({ type, hostname }) => [type, hostname]),
      [
        ['imap', 'mail.example.org'],
        ['imap', 'mail.example.org'],
        ['pop3', 'mail.example.org'],
        ['pop3', 'mail.example.org'],
      ],
    )
    const [imap] = incoming
    t.equal(imap?.port, gate.ports.imaps, 'implicit TLS first (RFC 8314)')
    const client = new ImapFlow({
      host: '127.0.0.1',
      port: imap?.port ?? 0,
      secure: true,
      servername: imap?.hostname ?? '',
      tls: { ca: ca.cert },
      auth: { user: ANN, pass: device.letters },
      logger: false,
    })
    await client.connect()
    t.ok(client.authenticated)
    await client.logout()
  })

  await t.test('Outlook and phones, in their capitals', async (t) => {
    await autodiscover(t, put, curl)
  })

  await t.test('only where a listener serves it', async (t) => {
    for (const url of [
      LOOKUPS(ANN, 'example.net')[0] ?? '',
      'https://autodiscover.example.net/autodiscover/autodiscover.xml',
    ]) {
      t.equal((await curl(url, [], portalOnly))?.status, 404, url)
    }
  })
  t.same(gate.lines('bug'), [])
})

async function autodiscover(
  t: Test,
  put: (name: string, text: string) => string,
  curl: (url: string, more?: readonly string[]) => Promise<{ status: number; text: string } | null>,
): Promise<void> {
  const ask = (schema: string) =>
    `@${put(
      'question.xml',
      `<?xml version="1.0" encoding="utf-8"?><Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"><Request><EMailAddress>${ANN}</EMailAddress><AcceptableResponseSchema>http://schemas.microsoft.com/exchange/autodiscover/${schema}</AcceptableResponseSchema></Request></Autodiscover>`,
    )}`
  const url = 'https://autodiscover.example.net/Autodiscover/Autodiscover.xml'
  const header = ['-H', 'Content-Type: text/xml']
  const outlook = await curl(url, [...header, '--data-binary', ask('outlook/responseschema/2006a')])
  t.equal(outlook?.status, 200)
  t.match(outlook?.text, `<LoginName>${ANN}</LoginName>`)
  const phone = await curl(url, [...header, '--data-binary', ask('mobilesync/responseschema/2006')])
  t.match(phone?.text, '<ErrorCode>601</ErrorCode>', 'no ActiveSync here')
  const json = await curl('https://autodiscover.example.net/autodiscover/autodiscover.json?Protocol=AutodiscoverV1')
  t.match(JSON.parse(json?.text ?? ''), { Url: 'https://mail.example.org/autodiscover/autodiscover.xml' })
  const bomb = put('bomb.xml', '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>')
  t.equal((await curl(url, [...header, '--data-binary', `@${bomb}`]))?.status, 400, 'G-7')
  const big = put('big.xml', ' '.repeat(70_000))
  for (let i = 0; i < 5; i++) {
    t.equal(
      (await curl(url, [...header, '--data-binary', `@${big}`]))?.status,
      413,
      'G-7: also on its way through the edge',
    )
  }
}

function serversIn(text: string, domain: string): Server {
  const parser = new XMLParser({
    ignoreAttributes: false,
    attributeNamePrefix: '@',
    isArray: (name) => /Server$/.test(name),
  })
  const { emailProvider } = parser.parse(text).clientConfig
  if (emailProvider['@id'] !== domain) throw new Error(`settings of ${emailProvider['@id']} for ${domain}`)
  return {
    incoming: emailProvider.incomingServer.map((server: Record<string, string | number>) => ({
      type: server['@type'],
      hostname: server.hostname,
      port: server.port,
    })),
  }
}
