/**
 * Settings of the first door: ports, what is spoken on them, and the certificates shown there.
 */

import { isIP } from 'node:net'
import { z } from 'zod'
import { address, count, flag, network, oneOf, path } from './units.ts'
import type { MailProtocol } from './upstreams.ts'
import { TLS_MODES } from './upstreams.ts'

const port = count('Port; 0 takes a free one', 0, 65_535)

const bind = z
  .string('must be an IP address')
  .refine((value) => isIP(value) !== 0, 'must be an IP address of this machine; leave it out for all of them')
  .meta({ description: 'Address to listen on; by default all, IPv6 and IPv4' })

const proxyProtocol = z
  .strictObject(
    {
      from: z
        .array(network('Address block'), 'must be a list of address blocks')
        .min(1, 'must name at least one address block')
        .meta({
          description:
            'Connections from here must begin with a PROXY protocol header (v1 or v2); from elsewhere none is taken',
        }),
    },
    'must be a section: { from: [10.0.0.0/8] }',
  )
  .nullable()
  .default(null)
  .meta({ description: 'Take the client’s address from a load balancer in front' })

const ALIAS = /^[a-z0-9](?:[a-z0-9._-]{0,30}[a-z0-9])?$/

const scanner = z
  .strictObject(
    {
      allowedNetworks: z
        .array(network('Address block'), 'must be a list of address blocks')
        .min(1, 'must name at least one address block')
        .max(64, 'must not hold more than 64 address blocks')
        .meta({
          description:
            'Who may connect; all others are turned away at once. Behind a load balancer: as its header says',
        }),
      allowInsecureTls: oneOf(
        ['TLSv1', 'TLSv1.1'],
        'Oldest version of TLS to speak here. Both are broken: whoever listens on that network may read the passwords',
      )
        .nullable()
        .default(null),
      aliases: z
        .record(
          z.string().regex(ALIAS, 'must be a short name in lower case: a-z 0-9 . _ -, at most 32'),
          z.strictObject(
            {
              user: address('Account that logs in'),
              sender: address('From address to set on the device, for its instructions; nothing is enforced')
                .nullable()
                .default(null),
            },
            'must be a section: { user: scanner@example.org }',
          ),
          'must be a section: { scan1: { user: scanner@example.org } }',
        )
        .default({})
        .meta({
          description: 'Short user names that devices may log in with, on this port only: name → account',
          example: { scan1: { user: 'scanner@example.org', sender: 'scan@example.org' } },
        }),
    },
    'must be a section: { allowedNetworks: [192.0.2.0/24] }',
  )
  .nullable()
  .default(null)
  .meta({
    description:
      'A port for scanners and other old devices of an office. With proxyProtocol it takes connections from the load balancer alone; clients are never told of it',
    example: { allowedNetworks: ['192.0.2.0/24'] },
  })

function mailListener<const P extends MailProtocol>(protocol: P) {
  return z.strictObject({
    protocol: z.literal(protocol),
    bind: bind.nullable().default(null),
    port,
    tls: oneOf(
      TLS_MODES,
      'implicit: TLS from the first byte; starttls: login only after STARTTLS; none: no TLS, loopback only',
    ),
    tlsMinVersion: oneOf(['TLSv1.2', 'TLSv1.3'], 'Oldest version of TLS to speak here; left out: tls.minVersion')
      .nullable()
      .default(null),
    proxyProtocol,
    scanner,
    allowCleartextLogin: flag(
      'With tls: none, take passwords in clear on an address that others can reach. Whoever can listen to that network can read them',
    ).default(false),
  })
}

export const listeners = z
  .array(
    z.discriminatedUnion(
      'protocol',
      [
        mailListener('imap').meta({ description: 'IMAP for mail clients' }),
        mailListener('pop3').meta({ description: 'POP3 for mail clients' }),
        mailListener('smtp').meta({ description: 'Message submission for mail clients' }),
        z
          .strictObject({
            protocol: z.literal('https'),
            bind: bind.nullable().default(null),
            port,
            serves: z
              .array(
                oneOf(['portal', 'eas', 'autoconfig'], 'What is served'),
                'must be a list: [portal, eas, autoconfig]',
              )
              .min(1, 'must name at least one of portal, eas, autoconfig')
              .default(['portal', 'eas', 'autoconfig'])
              .meta({ description: 'portal: self-service; eas: ActiveSync; autoconfig: set-up of mail clients' }),
            proxyProtocol,
          })
          .meta({ description: 'Web for users' }),
        z
          .strictObject({
            protocol: z.literal('http'),
            bind: bind.default('127.0.0.1').meta({ description: 'Address to listen on' }),
            port,
            serves: z
              .array(oneOf(['health', 'metrics', 'api'], 'What is served'), 'must be a list: [health, metrics, api]')
              .min(1, 'must name at least one of health, metrics, api')
              .default(['health', 'metrics'])
              .meta({
                description: 'health: /healthz and /readyz; metrics: Prometheus; api: the admin API, loopback only',
              }),
          })
          .meta({ description: 'Plain HTTP for operators' }),
      ],
      { error: 'must have a protocol: imap, pop3, smtp, https or http; imaps is imap with tls: implicit' },
    ),
    'must be a list of listeners',
  )
  .min(1, 'must hold at least one listener')
  .max(64, 'must not hold more than 64 listeners')
  .meta({
    description: 'Ports to listen on',
    example: [
      { protocol: 'imap', port: 143, tls: 'starttls' },
      { protocol: 'imap', port: 993, tls: 'implicit' },
      { protocol: 'http', bind: '127.0.0.1', port: 9464, serves: ['health', 'metrics'] },
    ],
  })

export const tls = z
  .strictObject(
    {
      certificates: z
        .array(
          z.strictObject(
            {
              certFile: path('Certificate with its chain, PEM'),
              keyFile: path('Its private key, PEM'),
            },
            'must be a section: { certFile: …, keyFile: … }',
          ),
          'must be a list: [{ certFile: …, keyFile: … }]',
        )
        .max(64, 'must not hold more than 64 certificates')
        .default([])
        .meta({
          description:
            'Certificates; with several the one whose name the client asks for is shown. None: a self-made one, for trying out',
          example: [{ certFile: '/etc/sallyport/tls/fullchain.pem', keyFile: '/etc/sallyport/tls/privkey.pem' }],
        }),
      minVersion: oneOf(['TLSv1.2', 'TLSv1.3'], 'Oldest version of TLS to speak').default('TLSv1.2'),
    },
    'must be a section with certificates',
  )
  .prefault({})
  .meta({ description: 'TLS towards clients' })
