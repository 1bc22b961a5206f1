/** Profiles for Apple devices (M10): Apple's documented keys and types, escaping, and what a signature is worth. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { PublishedSettings } from '../../../src/contract/published.ts'
import type { ProfileAccount } from '../../../src/keeper/set-up/profile.ts'
import { profileOf } from '../../../src/keeper/set-up/profile.ts'
import { signProfile } from '../../../src/keeper/set-up/signing.ts'
import { Secret } from '../../../src/secret.ts'
import { createCa } from '../../support/certificates.ts'
import { run } from '../../support/program.ts'
import { program } from '../../support/services.ts'
import { at, objections, parsePlist } from './apple.ts'

const SETTINGS: PublishedSettings = {
  host: 'mail.example.org',
  name: null,
  domains: ['example.org'],
  ports: {
    imap: [
      { port: 993, tls: 'implicit' },
      { port: 143, tls: 'starttls' },
    ],
    pop3: [],
    smtp: [{ port: 465, tls: 'implicit' }],
  },
  activeSync: 'https://eas.example.org:8443/Microsoft-Server-ActiveSync',
  web: 'https://mail.example.org',
  helpUrl: null,
}
const ACCOUNT: ProfileAccount = {
  kind: 'imap',
  user: 'ann@example.org',
  displayName: 'Ann Example',
  device: 'iPhone',
  appPasswordId: '0123abcd',
  password: new Secret('abcd efgh ijkl mnop'),
}

let made = 0
const uuid = () => `0000000${made++ % 10}-1111-2222-3333-444444444444`
const make = (
  account: Partial<ProfileAccount> = {},
  settings: Partial<PublishedSettings> = {},
  language: 'en' | 'nl' = 'en',
) => profileOf({ ...SETTINGS, ...settings }, { ...ACCOUNT, ...account }, language, uuid) ?? ''

t.test('IMAP and SMTP: what Apple documents, and what the device needs to log in', (t) => {
  const profile = parsePlist(make())
  t.strictSame(objections(profile), [])
  t.match(profile, {
    PayloadIdentifier: 'org.example.mail.sallyport.0123abcd',
    PayloadDisplayName: 'example.org (iPhone)',
    PayloadOrganization: 'example.org',
    PayloadDescription: /app password of its own that is called “iPhone”/,
    PayloadRemovalDisallowed: false,
    PayloadContent: [
      {
        PayloadType: 'com.apple.mail.managed',
        EmailAccountName: 'Ann Example',
        EmailAccountType: 'EmailTypeIMAP',
        EmailAddress: 'ann@example.org',
        IncomingMailServerHostName: 'mail.example.org',
        IncomingMailServerPortNumber: 993,
        IncomingMailServerUseSSL: true,
        IncomingMailServerUsername: 'ann@example.org',
        IncomingPassword: 'abcd efgh ijkl mnop',
        OutgoingMailServerPortNumber: 465,
        OutgoingMailServerUseSSL: true,
        OutgoingPassword: 'abcd efgh ijkl mnop',
      },
    ],
  })
  t.match(at(parsePlist(make({}, {}, 'nl')), 'PayloadDescription'), /eigen app-wachtwoord/, 'R39')
  t.notOk('EmailAccountName' in Object((at(parsePlist(make({ displayName: null })), 'PayloadContent') as object[])[0]))
  t.end()
})

t.test('ActiveSync', (t) => {
  const profile = parsePlist(make({ kind: 'eas' }, { name: 'Example mail' }))
  t.strictSame(objections(profile), [])
  t.match(profile, {
    PayloadOrganization: 'Example mail',
    PayloadContent: [
      {
        PayloadType: 'com.apple.eas.account',
        EmailAddress: 'ann@example.org',
        Host: 'eas.example.org:8443',
        SSL: true,
        UserName: 'ann@example.org',
        Password: 'abcd efgh ijkl mnop',
      },
    ],
  })
  t.end()
})

t.test('two profiles are two accounts; one has no identifier twice', (t) => {
  const [one, two] = [parsePlist(make()), parsePlist(make({ appPasswordId: 'other' }))]
  t.not(at(one, 'PayloadIdentifier'), at(two, 'PayloadIdentifier'))
  t.not(at(one, 'PayloadUUID'), at(two, 'PayloadUUID'))
  t.end()
})

t.test('no profile where the servers that it needs are not offered', (t) => {
  t.equal(make({}, { ports: { ...SETTINGS.ports, smtp: [] } }), '')
  t.equal(make({}, { ports: { ...SETTINGS.ports, imap: [] } }), '')
  t.equal(make({ kind: 'eas' }, { activeSync: null }), '')
  t.end()
})

t.test('what people and administrators typed stays text', (t) => {
  const device = `</string><key>PayloadRemovalDisallowed</key><true/> & "Ann's" \u0000 \ud800 😀`
  const profile = parsePlist(make({ device, displayName: '<b>' }, { name: ']]>&amp;' }))
  t.strictSame(objections(profile), [])
  t.equal(at(profile, 'PayloadRemovalDisallowed'), false)
  t.match(
    at(profile, 'PayloadDescription'),
    `</string><key>PayloadRemovalDisallowed</key><true/> & "Ann's" \ufffd \ufffd 😀`,
  )
  t.equal(at(profile, 'PayloadOrganization'), ']]>&amp;')
  t.end()
})

t.test('the check of these tests sees mistakes', (t) => {
  const text = make()
  for (const [from, to, want] of [
    ['<integer>993</integer>', '<string>993</string>', /IncomingMailServerPortNumber is string/],
    ['EmailTypeIMAP', 'EmailTypeImap', /EmailAccountType may not be/],
    ['IncomingMailServerHostName', 'IncomingMailserverHostName', /IncomingMailServerHostName is missing/],
    ['<string>Configuration</string>', '<string>Other</string>', /PayloadType may not be/],
  ] as const) {
    t.match(objections(parsePlist(text.replace(from, to))).join('\n'), want)
  }
  const same = text.replaceAll(/0000000\d-1111/g, '00000000-1111')
  t.strictSame(objections(parsePlist(same)), ['a UUID stands twice'])
  t.end()
})

t.test('openssl accepts a signed profile, with its chain; not one that was changed, nor another’s', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'sp-sign-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const file = (name: string, content: string | Buffer): string => {
    writeFileSync(join(directory, name), content)
    return join(directory, name)
  }
  const openssl = (...args: readonly string[]) => run(program('openssl'), args, { input: '' })
  const verify = (message: Buffer, trusted: string) => {
    const names = ['-in', file('signed', message), '-CAfile', file('ca.pem', trusted), '-out', join(directory, 'out')]
    // The leaf is for servers, as is the certificate that most people will sign with.
    return openssl('cms', '-verify', '-inform', 'DER', '-purpose', 'any', ...names)
  }
  const content = make()
  const ca = await createCa()
  const ec = await ca.issue()

  const rsaFiles = { key: join(directory, 'rsa.key'), cert: join(directory, 'rsa.pem') }
  const made = await openssl(
    ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=signer', '-days', '2'],
    ...['-keyout', rsaFiles.key, '-out', rsaFiles.cert],
  )
  t.equal(made.status, 0)
  const rsa = { cert: readFileSync(rsaFiles.cert, 'utf8'), key: readFileSync(rsaFiles.key, 'utf8') }

  for (const [name, pair, chain, trusted] of [
    ['EC', ec, `${ec.cert}${ca.cert}`, ca.cert],
    ['RSA', rsa, rsa.cert, rsa.cert],
  ] as const) {
    const signed = signProfile(content, { chain, privateKey: new Secret(pair.key) }, new Date())
    const good = await verify(signed, trusted)
    t.equal(good.status, 0, `${name}: ${good.output}`)
    t.equal(readFileSync(join(directory, 'out'), 'utf8'), content, 'byte for byte')
    const printed = await openssl('cms', '-cmsout', '-print', '-inform', 'DER', '-in', join(directory, 'signed'))
    t.match(printed.output, /signingTime/)
    t.equal(printed.output.match(/d\.certificate:/g)?.length, name === 'EC' ? 2 : 1, 'the whole chain is inside')

    const at = signed.indexOf('mail.example.org')
    t.ok(at > 0)
    const changed = Buffer.from(signed)
    changed.write('evil', at)
    t.not((await verify(changed, trusted)).status, 0, `${name}: changed`)
    t.not((await verify(signed, (await createCa('another')).cert)).status, 0, `${name}: of a stranger`)
  }
})
