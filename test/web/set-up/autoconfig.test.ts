/** Thunderbird's autoconfig over HTTP, for every served domain (M10). */

import { XMLParser, XMLValidator } from 'fast-xml-parser'
import t from 'tap'
import { autoconfigDocument } from '../../../src/web/set-up/autoconfig.ts'
import { NAMES, serve, settingsOf } from './house.ts'

const parser = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: '@',
  isArray: (name) => /Server$/.test(name),
})

t.test('both places, every served domain: the same servers with the domain’s own name', async (t) => {
  const { url } = await serve(t, await settingsOf(t))
  for (const domain of NAMES.domains) {
    for (const path of ['/mail/config-v1.1.xml', '/.well-known/autoconfig/mail/config-v1.1.xml']) {
      const response = await fetch(`${url}${path}?emailaddress=ann%40${domain}`)
      t.equal(response.status, 200, `${path} for ${domain}`)
      t.match(response.headers.get('content-type'), /^text\/xml/)
      const { emailProvider } = parser.parse(await response.text()).clientConfig
      t.equal(emailProvider['@id'], domain)
      t.equal(emailProvider.domain, domain)
      t.strictSame(
        emailProvider.incomingServer.map((server: Record<string, unknown>) => [
          server['@type'],
          server.hostname,
          server.port,
          server.socketType,
          server.authentication,
          server.username,
        ]),
        [
          ['imap', 'mail.example.org', 993, 'SSL', 'password-cleartext', '%EMAILADDRESS%'],
          ['imap', 'mail.example.org', 143, 'STARTTLS', 'password-cleartext', '%EMAILADDRESS%'],
          ['pop3', 'mail.example.org', 995, 'SSL', 'password-cleartext', '%EMAILADDRESS%'],
        ],
      )
      t.strictSame(
        emailProvider.outgoingServer.map((server: Record<string, unknown>) => [server.port, server.socketType]),
        [
          [465, 'SSL'],
          [587, 'STARTTLS'],
        ],
      )
    }
  }
})

t.test('the domain: of the address, else of the host name, else the first one', async (t) => {
  const { app } = await serve(t, await settingsOf(t))
  const domainFor = async (query: string, host: string) => {
    const { statusCode, body } = await app.inject({ url: `/mail/config-v1.1.xml${query}`, headers: { host } })
    return statusCode === 200 ? /<domain>(.*)<\/domain>/.exec(body)?.[1] : statusCode
  }
  t.equal(
    await domainFor('?emailaddress=ann@example.net', 'autoconfig.example.org'),
    'example.net',
    'the address first',
  )
  t.equal(await domainFor('?emailaddress=Ann@EXAMPLE.NET', 'x'), 'example.net', 'any capitalisation')
  t.equal(await domainFor('', 'autoconfig.example.net:443'), 'example.net')
  t.equal(await domainFor('', 'example.net'), 'example.net')
  t.equal(await domainFor('', 'evil.example'), 'example.org')
  t.equal(await domainFor('?emailaddress=ann@evil.example', 'autoconfig.example.org'), 404, 'not ours')
  t.equal(await domainFor('?emailaddress=%00', 'autoconfig.example.org'), 404)
})

t.test('the same answer for known and unknown addresses (G-7)', async (t) => {
  const { url } = await serve(t, await settingsOf(t))
  const answers = new Set<string>()
  for (const user of ['ann', 'nobody', 'x'.repeat(64), '<b>', '%27']) {
    const response = await fetch(`${url}/mail/config-v1.1.xml?emailaddress=${encodeURIComponent(user)}@example.org`)
    answers.add(`${response.status} ${await response.text()}`)
  }
  t.equal(answers.size, 1)
})

t.test('what an administrator wrote is escaped', async (t) => {
  const settings = {
    ...(await settingsOf(t)),
    name: `A & B <mail> "x" 'y' \u0007`,
    helpUrl: 'https://m.example.org/?a=1&b="',
  }
  const document = autoconfigDocument(settings, 'example.org')
  t.equal(XMLValidator.validate(document), true)
  t.match(document, '<displayName>A &amp; B &lt;mail&gt; &quot;x&quot; &apos;y&apos; \ufffd</displayName>')
  t.match(document, 'url="https://m.example.org/?a=1&amp;b=&quot;"')
})
