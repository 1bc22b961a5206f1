/** What clients are told follows from the listeners, and from clientSetup where something in front shows other ports. */

import t from 'tap'
import { publishedSettings } from '../../src/contract/published.ts'
import { BASE, configOf, settingsOf } from '../web/set-up/house.ts'

t.test('follows from the listeners: implicit TLS before STARTTLS, one of each', async (t) => {
  t.strictSame(await settingsOf(t), {
    host: 'mail.example.org',
    name: null,
    domains: ['example.org', 'example.net'],
    ports: {
      imap: [
        { port: 993, tls: 'implicit' },
        { port: 143, tls: 'starttls' },
      ],
      pop3: [{ port: 995, tls: 'implicit' }],
      smtp: [
        { port: 465, tls: 'implicit' },
        { port: 587, tls: 'starttls' },
      ],
    },
    activeSync: 'https://mail.example.org/Microsoft-Server-ActiveSync',
    web: 'https://mail.example.org',
    helpUrl: null,
  })
})

t.test('never a port without TLS, a scanner’s, or one that nobody knows', async (t) => {
  const text = BASE.replace(
    '- { protocol: pop3, port: 995, tls: implicit }',
    '- { protocol: pop3, bind: 127.0.0.1, port: 110, tls: none }',
  )
    .replace(
      '- { protocol: smtp, port: 465, tls: implicit }',
      '- { protocol: smtp, port: 2525, tls: implicit, scanner: { allowedNetworks: [10.0.0.0/8] } }',
    )
    .replace('port: 993, tls: implicit }\n  - { protocol: pop3', 'port: 0, tls: implicit }\n  - { protocol: pop3')
  const { ports } = await settingsOf(t, text)
  t.strictSame(ports.pop3, [], 'no TLS')
  t.strictSame(ports.smtp, [{ port: 587, tls: 'starttls' }], 'the scanner’s own port is not for others')
  t.strictSame(ports.imap, [{ port: 143, tls: 'starttls' }])
})

t.test('clientSetup says what the world sees behind a load balancer', async (t) => {
  const text = BASE.replace(
    'clientSetup: { host: mail.example.org }',
    `clientSetup:
  host: imap.example.net
  name: Example mail
  imap: [{ port: 1993, tls: implicit }]
  pop3: []
  activeSync: https://eas.example.org/Microsoft-Server-ActiveSync`,
  ).replace('port: 443', 'port: 8443')
  const settings = await settingsOf(t, text)
  t.match(settings, {
    host: 'imap.example.net',
    name: 'Example mail',
    activeSync: 'https://eas.example.org/Microsoft-Server-ActiveSync',
    web: 'https://imap.example.net:8443',
  })
  t.strictSame(settings.ports.imap, [{ port: 1993, tls: 'implicit' }])
  t.strictSame(settings.ports.pop3, [], 'an empty list: not told')
  t.equal(settings.ports.smtp.length, 2, 'the rest follows from the listeners')
})

t.test('the portal’s address is the default name, with the port that users see', async (t) => {
  const config = await configOf(
    t,
    BASE.replace('clientSetup: { host: mail.example.org }', 'portal: { url: https://post.example.org }')
      .replace('port: 443', 'port: 8443')
      .replace('[autoconfig, eas]', '[portal, autoconfig, eas]'),
  )
  t.match(publishedSettings(config), {
    host: 'post.example.org',
    web: 'https://post.example.org',
    activeSync: 'https://post.example.org/Microsoft-Server-ActiveSync',
    helpUrl: 'https://post.example.org/help',
  })
  const apart = publishedSettings({ ...config, eas: { ...config.eas, host: 'eas.example.org' } })
  t.equal(apart?.activeSync, 'https://eas.example.org/Microsoft-Server-ActiveSync', 'a host name of its own')
  t.equal(publishedSettings({ ...config, portal: null }), null, 'no name, nothing to tell')
})
