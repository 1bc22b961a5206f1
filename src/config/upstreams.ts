/**
 * Settings of the second door: mail servers, how we log in to them, and who goes where.
 */

import { z } from 'zod'
import { address, count, domain, flag, hostPort, oneOf, path, text } from './units.ts'

export const PROTOCOLS = ['imap', 'pop3', 'smtp', 'eas'] as const
export type ProtocolKey = (typeof PROTOCOLS)[number]
export type MailProtocol = Exclude<ProtocolKey, 'eas'>

export const TLS_MODES = ['implicit', 'starttls', 'none'] as const

/** RFC 8314 §3, RFC 6409. Used where a setting names no port. */
export const DEFAULT_PORTS = {
  imap: { implicit: 993, starttls: 143, none: 143 },
  pop3: { implicit: 995, starttls: 110, none: 110 },
  smtp: { implicit: 465, starttls: 587, none: 587 },
} as const

const HOST = 'Host name or address of the server; a port may follow as host:port'

function section(protocol: MailProtocol) {
  return z
    .strictObject(
      {
        host: hostPort(HOST).optional(),
        hosts: z
          .array(hostPort(HOST), 'must be a list of hosts')
          .min(1, 'must name at least one host')
          .max(16)
          .optional()
          .meta({
            description:
              'Several hosts instead of one, in order of preference; the next is tried when one does not answer',
            example: ['mail-1.internal', 'mail-2.internal'],
          }),
        port: count(
          'Port of hosts that name none; by default the usual one of the protocol and tls',
          1,
          65_535,
        ).optional(),
        tls: oneOf(
          TLS_MODES,
          'implicit: TLS from the first byte; starttls: TLS must be offered and is taken; none: in clear',
        ).default('implicit'),
        caFile: path('Certificate authorities to trust instead of the public ones, PEM').nullable().default(null),
        serverName: text('Name that the certificate must carry; by default the host as written')
          .nullable()
          .default(null),
      },
      'must be a section with host, port and tls',
    )
    .check((context) => {
      const { host, hosts, port } = context.value
      if ((host === undefined) === (hosts === undefined)) {
        context.issues.push({
          code: 'custom',
          input: undefined,
          path: [host === undefined ? 'host' : 'hosts'],
          message:
            host === undefined
              ? 'is missing: name the server with host (or several with hosts)'
              : 'stands beside host: write one of the two',
        })
      } else if (port !== undefined && (host?.port ?? port) !== port) {
        context.issues.push({
          code: 'custom',
          input: undefined,
          path: ['port'],
          message: 'stands beside another port in host: keep one of them',
        })
      }
    })
    .transform(({ host, hosts, port, ...rest }) => ({
      ...rest,
      hosts: (hosts ?? (host ? [host] : [])).map((each) => ({
        host: each.host,
        port: each.port ?? port ?? DEFAULT_PORTS[protocol][rest.tls],
      })),
    }))
    .nullable()
    .default(null)
    .meta({
      description: `Where ${protocol.toUpperCase()} sessions go`,
      example: { host: 'mail.internal', port: DEFAULT_PORTS[protocol].implicit, tls: 'implicit' },
    })
}

const user = (what: string) => text(what, 254)

const identity = z
  .discriminatedUnion(
    'method',
    [
      z
        .strictObject({
          method: z.literal('master-user'),
          user: user('Name of the master user'),
          passwordFile: path('File with the master user’s password, mode 0600'),
          separator: z
            .string('must be text')
            .regex(/^[\u0021-\u007e]{1,8}$/, 'must be 1 to 8 printable ASCII characters without blanks')
            .default('*')
            .meta({
              description: 'Stands between the user’s name and the master user’s (Dovecot: auth_master_user_separator)',
            }),
        })
        .meta({ description: 'Log in as user*master with the master user’s password' }),
      z
        .strictObject({
          method: z.literal('authzid'),
          user: user('Name of the user that may act for others'),
          passwordFile: path('File with that user’s password, mode 0600'),
        })
        .meta({ description: 'SASL PLAIN with the mailbox as authorization identity (RFC 4616)' }),
      z.strictObject({ method: z.literal('stored-secret') }).meta({
        description: 'Each user’s own upstream password, set with `sallyport secret set` and sealed in the store',
      }),
      z
        .strictObject({ method: z.literal('pass-through') })
        .meta({ description: 'The primary password that the client typed; only with primaryPassword: until-enrolled' }),
      z
        .strictObject({
          method: z.literal('oauth2'),
          provider: z
            .union(
              [
                z.enum(['microsoft', 'google']),
                z.strictObject({
                  issuer: z
                    .url({ protocol: /^https$/, error: 'must be an https:// address' })
                    .meta({ description: 'Issuer of the OpenID provider' }),
                }),
              ],
              {
                error: 'must be microsoft, google or { issuer: https://… }',
              },
            )
            .meta({ description: 'Who issues the tokens: microsoft, google, or the issuer of an OpenID provider' }),
          grant: oneOf(['refresh-token', 'client-credentials', 'service-account'], 'How a token is obtained'),
          clientId: text('Client id as registered with the provider', 1024),
          clientSecretFile: path('File with the client secret, mode 0600').nullable().default(null),
          scopes: z
            .array(text('Scope', 1024), 'must be a list of scopes')
            .default([])
            .meta({ description: 'Scopes to ask for; by default what the provider needs for the protocols in use' }),
        })
        .meta({ description: 'An access token, spoken as XOAUTH2 or OAUTHBEARER' }),
    ],
    { error: 'must have a method: master-user, authzid, stored-secret, pass-through or oauth2' },
  )
  .meta({
    description: 'How sallyport logs in there on behalf of a user',
    example: { method: 'master-user', user: 'sallyport', passwordFile: '/etc/sallyport/master-password' },
  })

const upstream = z
  .strictObject(
    {
      imap: section('imap'),
      pop3: section('pop3'),
      smtp: section('smtp'),
      eas: z
        .strictObject({
          url: z
            .url({ protocol: /^https?$/, error: 'must be an address: https://mail.internal' })
            .meta({ description: 'Address of the server; the path of ActiveSync is added' }),
          caFile: path('Certificate authorities to trust instead of the public ones, PEM').nullable().default(null),
          serverName: text('Name that the certificate must carry; by default the host of url').nullable().default(null),
          identity: identity
            .nullable()
            .default(null)
            .meta({
              description:
                'How sallyport logs in to ActiveSync on behalf of a user; left out: as the upstream’s own identity says',
              example: { method: 'stored-secret' },
            }),
        })
        .nullable()
        .default(null)
        .meta({ description: 'Where ActiveSync goes' }),
      trusted: flag(
        'Tell the server the client’s address with IMAP ID or XCLIENT. Only for servers that take such words from nobody else',
      ).default(false),
      proxyProtocol: z
        .union([z.literal(false), z.enum(['v1', 'v2'])], { error: 'must be false, v1 or v2' })
        .default(false)
        .transform((value) => (value === false ? null : value))
        .meta({ description: 'Write a PROXY protocol header with the client’s address before anything else' }),
      identity,
    },
    'must be a section with imap, identity and so on',
  )
  .meta({ description: 'One mail system' })

export const upstreams = z
  .record(
    z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'must be a name of a-z, 0-9 and -'),
    upstream,
    'must be a section with one entry per mail system',
  )
  .refine((all) => Object.keys(all).length > 0, 'must hold at least one mail system')
  .meta({
    description: 'The mail systems behind, by a name of your choice; the name is used in routes, logs and metrics',
    example: {
      main: {
        imap: { host: 'mail.internal', port: 993, tls: 'implicit' },
        identity: { method: 'master-user', user: 'sallyport', passwordFile: '/etc/sallyport/master-password' },
      },
    },
  })

export const routes = z
  .array(
    z
      .strictObject(
        {
          domain: domain('All users of this domain').optional(),
          users: z
            .array(address('Address of a user'), 'must be a list of addresses')
            .min(1, 'must name at least one user')
            .optional()
            .meta({ description: 'These users only; goes before a route by domain' }),
          upstream: text('Name of the upstream', 63),
        },
        'must be a route: { domain: example.org, upstream: main }',
      )
      .check((context) => {
        const { domain, users } = context.value
        if ((domain === undefined) !== (users === undefined)) return
        context.issues.push({
          code: 'custom',
          input: undefined,
          path: [],
          message:
            domain === undefined
              ? 'must say whom it is for: domain or users'
              : 'has both domain and users: write two routes',
        })
      })
      .transform(({ domain = null, users = null, upstream }) => ({ domain, users, upstream })),
    'must be a list of routes',
  )
  .prefault([])
  .meta({
    description: 'Who goes to which upstream. May be left out when there is one upstream: then all domains go there',
    example: [{ domain: 'example.org', upstream: 'main' }],
  })
