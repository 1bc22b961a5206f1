/** Autodiscover, both versions, as phones, Outlook and strangers ask for it (M10, threat G-7). */

import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { XMLParser, XMLValidator } from 'fast-xml-parser'
import t from 'tap'
import { parseAutodiscover } from '../../../src/web/set-up/autodiscover.ts'
import { BASE, serve, settingsOf } from './house.ts'

const OUTLOOK = 'http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a'
const MOBILESYNC = 'http://schemas.microsoft.com/exchange/autodiscover/mobilesync/responseschema/2006'

const question = (schema: string, address = 'ann@example.org', before = '<?xml version="1.0" encoding="utf-8"?>') =>
  `${before}
<Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/mobilesync/requestschema/2006">
  <Request>
    <EMailAddress>${address}</EMailAddress>
    <AcceptableResponseSchema>${schema}</AcceptableResponseSchema>
  </Request>
</Autodiscover>`

const basic = (user: string, password = 'abcd efgh ijkl mnop') =>
  `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`

async function post(
  url: string,
  body: string,
  headers: Record<string, string> = {},
  path = '/autodiscover/autodiscover.xml',
) {
  const response = await fetch(`${url}${path}`, {
    method: 'POST',
    body: body === '' ? null : body,
    headers: { 'content-type': 'text/xml', ...headers },
  })
  return { status: response.status, headers: response.headers, text: await response.text() }
}

const parse = (text: string) => {
  if (XMLValidator.validate(text) !== true) throw new Error(`this is no XML: ${text}`)
  return new XMLParser({
    ignoreAttributes: false,
    attributeNamePrefix: '@',
    isArray: (name) => name === 'Protocol',
  }).parse(text)
}
const errorCode = (text: string) => parse(text).Autodiscover.Response.Error.ErrorCode

t.test('Outlook is told the mail servers, without credentials', async (t) => {
  const { url } = await serve(t, await settingsOf(t))
  const { status, headers, text } = await post(url, question(OUTLOOK, 'Ann@Example.NET'))
  t.equal(status, 200)
  t.match(headers.get('content-type'), /^text\/xml/)
  t.equal(headers.get('x-content-type-options'), 'nosniff')
  const { Autodiscover } = parse(text)
  t.equal(Autodiscover['@xmlns'], 'http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006')
  t.equal(Autodiscover.Response['@xmlns'], OUTLOOK, 'two nested default namespaces')
  const { Account } = Autodiscover.Response
  t.match(Account, { AccountType: 'email', Action: 'settings' })
  t.match(Account.Protocol, [
    { Type: 'IMAP', Server: 'mail.example.org', Port: 993, SSL: 'on', Encryption: 'SSL', LoginName: 'ann@example.net' },
    { Type: 'POP3', Server: 'mail.example.org', Port: 995, SSL: 'on', SPA: 'off' },
    { Type: 'SMTP', Server: 'mail.example.org', Port: 465, SSL: 'on', AuthRequired: 'on' },
  ])
})

t.test('Outlook behind STARTTLS alone', async (t) => {
  const settings = await settingsOf(t, BASE.replace('  - { protocol: imap, port: 993, tls: implicit }\n', ''))
  const { url } = await serve(t, settings)
  const { text } = await post(url, question(OUTLOOK))
  t.match(parse(text).Autodiscover.Response.Account.Protocol[0], {
    Type: 'IMAP',
    Port: 143,
    SSL: 'off',
    Encryption: 'TLS',
  })
})

t.test('a phone is asked for credentials, then told where ActiveSync is', async (t) => {
  const { url } = await serve(t, await settingsOf(t))
  const without = await post(url, question(MOBILESYNC))
  t.equal(without.status, 401)
  t.match(without.headers.get('www-authenticate'), /^Basic realm=/)
  t.notMatch(without.text, 'ActiveSync', 'nothing yet')
  for (const authorization of [
    'Bearer abc',
    'Basic',
    'Basic !!!',
    `Basic ${Buffer.from('no colon').toString('base64')}`,
  ]) {
    t.equal((await post(url, question(MOBILESYNC), { authorization })).status, 401, authorization)
  }
  const { status, text } = await post(url, question(MOBILESYNC, 'Ann@example.org'), {
    authorization: basic('ann@example.org'),
  })
  t.equal(status, 200)
  const { Response } = parse(text).Autodiscover
  t.equal(Response['@xmlns'], MOBILESYNC)
  t.match(Response, {
    User: { EMailAddress: 'ann@example.org' },
    Action: {
      Settings: {
        Server: {
          Type: 'MobileSync',
          Url: 'https://mail.example.org/Microsoft-Server-ActiveSync',
          Name: 'https://mail.example.org/Microsoft-Server-ActiveSync',
        },
      },
    },
  })
})

t.test('Android posts nothing: ActiveSync is meant, and the name that it signs in with', async (t) => {
  const { url } = await serve(t, await settingsOf(t))
  t.equal((await post(url, '')).status, 401)
  const { status, text } = await post(url, '', { authorization: basic('ann@example.net') })
  t.equal(status, 200)
  t.match(text, '<EMailAddress>ann@example.net</EMailAddress>')
  const windows = await post(url, '', { authorization: basic('CONTOSO\\ann') })
  t.match(windows.text, '<EMailAddress>ann@example.org</EMailAddress>')
})

t.test('any capitalisation of the path, GET too, and nothing beside it', async (t) => {
  const { app, url } = await serve(t, await settingsOf(t))
  for (const path of [
    '/Autodiscover/Autodiscover.xml',
    '/AUTODISCOVER/AUTODISCOVER.XML',
    '/autodiscover/autoDiscover.xml',
  ]) {
    t.equal((await post(url, question(OUTLOOK), {}, path)).status, 200, path)
    const get = await fetch(`${url}${path}`)
    t.equal(get.status, 200, `GET ${path}`)
    t.equal(errorCode(await get.text()), 600, 'a question without a question')
  }
  for (const path of [
    '/autodiscover/autodiscoverxxml',
    '/autodiscover/autodiscover.xml/x',
    '/autodiscover',
    '/autodiscover/x.xml',
  ]) {
    t.equal((await app.inject({ method: 'POST', url: path, body: '' })).statusCode, 404, path)
  }
})

t.test('beside the documents there is nothing, and it is ours to say so: no page, no cookie', async (t) => {
  const { app } = await serve(t, await settingsOf(t))
  for (const url of [
    '/autodiscover/autodiscover.svc',
    '/AutoDiscover/',
    '/autodiscover/autodiscover.json/v1.0',
    '/autodiscover/autodiscover.json/v1.0/ann@example.org/x',
    '/autodiscover/autodiscover.xml/v1.0/ann@example.org',
    '/.well-known/autoconfig/mail/other.xml',
  ]) {
    for (const method of ['GET', 'HEAD', 'POST', 'OPTIONS'] as const) {
      const response = await app.inject({ method, url, headers: { accept: 'text/html' } })
      t.equal(response.statusCode, 404, `${method} ${url}`)
      t.match(response.headers['content-type'], /^text\/plain/)
      t.equal(response.headers['set-cookie'], undefined)
    }
  }
})

t.test(
  'error documents: a schema that is not answered, an address that can’t be, a question that is none',
  async (t) => {
    const { url } = await serve(t, await settingsOf(t))
    const codeFor = async (body: string, headers = {}) => errorCode((await post(url, body, headers)).text)
    t.equal(
      await codeFor(question('http://schemas.microsoft.com/exchange/autodiscover/other/2006')),
      601,
      'unknown schema',
    )
    t.equal(await codeFor(question('__proto__')), 601)
    t.equal(await codeFor(question(OUTLOOK, 'ann@evil.example')), 500, 'a domain that is not served')
    t.equal(await codeFor(question(OUTLOOK, 'an*n@example.org')), 500, 'a name that can’t be')
    t.equal(await codeFor(question(OUTLOOK, '')), 500)
    t.equal(await codeFor(question(MOBILESYNC, 'ann@evil.example'), { authorization: basic('x') }), 500)
    t.equal(await codeFor('<Autodiscover/>'), 600)
    t.equal(await codeFor('hello'), 600)
    const withoutEas = await settingsOf(t, BASE.replace('serves: [autoconfig, eas]', 'serves: [autoconfig]'))
    const other = await serve(t, withoutEas)
    t.equal(
      errorCode((await post(other.url, question(MOBILESYNC))).text),
      601,
      'no ActiveSync here, credentials or not',
    )
    const nothing = { ...withoutEas, ports: { imap: [], pop3: [], smtp: [] } }
    const bare = await serve(t, nothing)
    t.equal(errorCode((await post(bare.url, question(OUTLOOK))).text), 601, 'nor mail servers')
  },
)

t.test('the same answer for known and unknown addresses (G-7)', async (t) => {
  const { url } = await serve(t, await settingsOf(t))
  const answers = new Set<string>()
  for (const user of ['ann', 'nobody', 'root', 'x'.repeat(60)]) {
    for (const schema of [OUTLOOK, MOBILESYNC]) {
      const { status, text } = await post(url, question(schema, `${user}@example.org`), {
        authorization: basic(user, 'wrong'),
      })
      answers.add(`${schema} ${status} ${text.replaceAll(`${user}@example.org`, 'USER')}`)
    }
  }
  t.equal(answers.size, 2, 'one for each schema')
})

const ENTITIES = `<!DOCTYPE lolz [<!ENTITY lol "lol">${Array.from(
  { length: 9 },
  (_, i) => `<!ENTITY lol${i + 1} "${`&lol${i || ''};`.repeat(10)}">`,
).join('')}]>`

t.test('no DTD, no entities, no request to anybody (G-7)', async (t) => {
  const { app } = await serve(t, await settingsOf(t))
  const dialled: unknown[] = []
  const note = (message: unknown) => dialled.push(message)
  const hostile: readonly (readonly [string, string])[] = [
    [question(OUTLOOK, '&xxe;', '<!DOCTYPE a [<!ENTITY xxe SYSTEM "file:///etc/passwd">]>'), 'XXE'],
    [question(OUTLOOK, 'a', '<!DOCTYPE a SYSTEM "http://127.0.0.1:1/evil.dtd">'), 'an external DTD'],
    [question(OUTLOOK, '&lol9;', ENTITIES), 'billion laughs'],
    [question(OUTLOOK, 'a', '<!doctype a>'), 'in small letters'],
    [question(OUTLOOK, 'a', '<!-- --><!DOCTYPE\n a>'), 'behind a comment'],
    [`\ufeff${question(OUTLOOK, 'a', '<! DOCTYPE a>')}`, 'with a blank and a byte order mark'],
  ]
  // Without a client's socket, so that any socket is the server's own doing.
  const inject = async (body: string) => {
    const response = await app.inject({
      method: 'POST',
      url: '/autodiscover/autodiscover.xml',
      body,
      headers: { 'content-type': 'text/xml' },
    })
    return { status: response.statusCode, text: response.body }
  }
  subscribe('net.client.socket', note)
  for (const [body, why] of hostile) {
    const { status, text } = await inject(body)
    t.equal(status, 400, why)
    t.equal(errorCode(text), 600)
    t.notMatch(text, /root:|lol/)
  }
  const ssrf = await inject(question(OUTLOOK, 'ann@127.0.0.1'))
  t.equal(errorCode(ssrf.text), 500)
  unsubscribe('net.client.socket', note)
  t.strictSame(dialled, [], 'nothing was fetched because of what was posted')
})

t.test('a body of 64 KiB is read, one of more is not; deep and odd ones are refused quickly', async (t) => {
  const { url } = await serve(t, await settingsOf(t))
  const padded = (bytes: number) => {
    const body = question(OUTLOOK)
    return `${body}<!--${'x'.repeat(bytes - body.length - 7)}-->`
  }
  t.equal((await post(url, padded(64 * 1024))).status, 200)
  t.equal((await post(url, padded(64 * 1024 + 1))).status, 413)
  const hostile: readonly (readonly [string, string])[] = [
    ['<a>'.repeat(20_000), 'deep'],
    [`${'<a>'.repeat(9_000)}${'</a>'.repeat(9_000)}`, 'deep and closed'],
    [`<a ${'b="c" '.repeat(10_000)}/>`, 'ten thousand attributes'],
    ['<![CDATA['.repeat(7000), 'CDATA that never ends'],
    ['<!--'.repeat(16_000), 'comments that never end'],
    ['&'.repeat(65_000), 'ampersands'],
    [
      `<Autodiscover><Request>${'<EMailAddress>a</EMailAddress>'.repeat(2000)}</Request></Autodiscover>`,
      'many addresses',
    ],
    [Buffer.from(question(OUTLOOK), 'utf16le').toString('latin1'), 'UTF-16'],
    ['<__proto__><Request/></__proto__>', 'a dangerous name'],
  ]
  for (const [body, why] of hostile) {
    const begun = process.threadCpuUsage()
    const { status } = await post(url, body)
    t.ok(status === 400 || status === 200, `${why}: ${status}`)
    const { user, system } = process.threadCpuUsage(begun)
    t.ok(user + system < 2_000_000, `${why}: ${Math.round((user + system) / 1000)} ms of CPU`)
  }
})

t.test('what comes back is escaped: an address is canonical or an error', async (t) => {
  const { url } = await serve(t, { ...(await settingsOf(t)), name: '<script>&' })
  for (const address of [
    'a&lt;b&gt;@example.org',
    '"><x>@example.org',
    'a&amp;b@example.org',
    '<![CDATA[<x>]]>@example.org',
  ]) {
    const { text } = await post(url, question(OUTLOOK, address))
    t.notMatch(text, '<x>', address)
    t.equal(XMLValidator.validate(text), true)
  }
})

t.test('the service’s name is nobody’s own: Outlook and phones would write it into From', async (t) => {
  const { url } = await serve(t, { ...(await settingsOf(t)), name: 'Example mail' })
  for (const schema of [OUTLOOK, MOBILESYNC]) {
    const { status, text } = await post(url, question(schema), { authorization: basic('ann@example.org') })
    t.equal(status, 200)
    t.notMatch(text, /DisplayName|Example mail/)
  }
})

t.test('a question is read whatever type its client gives it, or none', async (t) => {
  const { url } = await serve(t, await settingsOf(t))
  for (const type of [
    'text/xml; charset="utf-8"',
    'xml',
    'text/xml charset=utf-8',
    'text/xml, text/xml',
    'application/json',
    '',
  ]) {
    t.equal((await post(url, question(OUTLOOK), { 'content-type': type })).status, 200, `'${type}'`)
  }
})

t.test('version 2 answers with one address, in any capitalisation', async (t) => {
  const { url } = await serve(t, await settingsOf(t))
  const ask = async (query: string, path = '/autodiscover/autodiscover.json') => {
    const response = await fetch(`${url}${path}${query}`)
    return [response.status, await response.json()]
  }
  const activeSync = { Protocol: 'ActiveSync', Url: 'https://mail.example.org/Microsoft-Server-ActiveSync' }
  t.strictSame(await ask('?Email=ann@example.org&Protocol=ActiveSync&RedirectCount=1'), [200, activeSync])
  t.strictSame(await ask('?protocol=activesync', '/Autodiscover/Autodiscover.json'), [200, activeSync])
  t.strictSame(
    await ask('?Email=nobody@evil.example&Protocol=ActiveSync'),
    [200, activeSync],
    'no address is looked at',
  )
  t.strictSame(await ask('?Protocol=AutodiscoverV1'), [
    200,
    { Protocol: 'AutodiscoverV1', Url: 'https://mail.example.org/autodiscover/autodiscover.xml' },
  ])
  for (const path of [
    '/autodiscover/autodiscover.json/v1.0/ann@example.org',
    '/Autodiscover/Autodiscover.json/V1.0/nobody%40evil.example',
    '/autodiscover/autodiscover.json/v1.0/%2e%2e%2f%2e%2e',
  ]) {
    t.strictSame(await ask('?Protocol=ActiveSync&RedirectCount=1', path), [200, activeSync], path)
  }
  t.match(await ask('', '/autodiscover/autodiscover.json/v1.0/ann@example.org'), [
    400,
    { ErrorCode: 'MandatoryParameterMissing' },
  ])
  for (const path of ['v1.0', 'v1.0/a/b', 'x/ann@example.org', 'v10/ann@example.org']) {
    t.equal((await fetch(`${url}/autodiscover/autodiscover.json/${path}?Protocol=ActiveSync`)).status, 404, path)
  }
  t.match(await ask(''), [400, { ErrorCode: 'MandatoryParameterMissing' }])
  t.match(await ask('?Protocol=a&Protocol=b'), [400, { ErrorCode: 'MandatoryParameterMissing' }])
  const [status, body] = await ask('?Protocol=EWS%22%3Cscript%3E')
  t.equal(status, 400)
  t.match(body, { ErrorCode: 'InvalidProtocol' })
  t.notMatch(JSON.stringify(body), 'script', 'not repeated')
  const without = await serve(t, await settingsOf(t, BASE.replace('serves: [autoconfig, eas]', 'serves: [autoconfig]')))
  const none = await fetch(`${without.url}/autodiscover/autodiscover.json?Protocol=ActiveSync`)
  t.equal(none.status, 404)
})

t.test('the parsers are the plugin’s alone', async (t) => {
  const { url } = await serve(t, await settingsOf(t))
  const json = await fetch(`${url}/elsewhere`, {
    method: 'POST',
    body: '{"a":1}',
    headers: { 'content-type': 'application/json' },
  })
  t.strictSame(await json.json(), { got: { a: 1 } })
  const xml = await fetch(`${url}/elsewhere`, { method: 'POST', body: '<a/>', headers: { 'content-type': 'text/xml' } })
  t.equal(xml.status, 415)
})

t.test('parsing: prefixes, blanks, both orders', (t) => {
  t.strictSame(
    parseAutodiscover(
      `<a:Autodiscover xmlns:a="x"><a:Request><a:AcceptableResponseSchema> ${OUTLOOK} </a:AcceptableResponseSchema><a:EMailAddress>
  ann@example.org </a:EMailAddress></a:Request></a:Autodiscover>`,
    ),
    { ok: true, address: 'ann@example.org', schema: 'outlook' },
  )
  t.strictSame(parseAutodiscover('<Autodiscover><Request><EMailAddress>1e3</EMailAddress></Request></Autodiscover>'), {
    ok: true,
    address: '1e3',
    schema: null,
  })
  t.end()
})
