/**
 * Settings of who may do what: names, app passwords, primary passwords, limits, the throttle.
 */

import { z } from 'zod'
import { address, count, domain, duration, flag, httpsUrl, network, oneOf, path, text } from './units.ts'
import { PROTOCOLS } from './upstreams.ts'

export const names = z
  .strictObject(
    {
      allow: z
        .string('must be text')
        .regex(/^[\u0021-\u007e]{0,32}$/, 'must be printable ASCII characters, at most 32')
        .regex(/^[^@\\"A-Z:]*$/, 'must not hold @, \\, ", : or capital letters')
        .default('')
        .meta({ description: 'Characters that user names may hold besides a-z 0-9 . _ + -' }),
      windowsDomains: z
        .record(
          z.string().regex(/^[A-Z0-9][A-Z0-9._-]{0,62}$/, 'must be a Windows domain in upper case'),
          domain('Mail domain'),
          'must be a section: { CONTOSO: example.org }',
        )
        .default({})
        .meta({
          description: 'What DOMAIN\\user means: Windows domain → mail domain. Others are refused',
          example: { CONTOSO: 'example.org' },
        }),
    },
    'must be a section with allow and windowsDomains',
  )
  .prefault({})
  .meta({ description: 'How user names may look' })

const expiry = () =>
  z.union([z.literal('never').transform(() => null), duration('Life time', { min: '1m' })], {
    error: 'must be never or a number with a unit: 90d',
  })

const appPasswordProtocols = () =>
  z
    .array(oneOf(PROTOCOLS, 'Protocol'), 'must be a list: [imap, pop3, smtp, eas]')
    .min(1, 'must name at least one protocol')

const ALLOWED = 'Whether users may have app passwords. false: none can be made and existing ones stop working at once'
const PER_USER = 'How many app passwords a user can have'
const EXPIRY = 'How long a new app password lives: never, or a duration'
const PROTOCOLS_HELP = 'What a new app password works on'

export const appPasswords = z
  .strictObject(
    {
      allowed: flag(ALLOWED).default(true),
      perUser: count(PER_USER, 1, 1000).default(40),
      length: count('Letters in a new app password, without the blanks between groups', 16, 32).default(16),
      expiry: expiry().prefault('never').meta({ description: EXPIRY, example: '365d' }),
      protocols: appPasswordProtocols()
        .default([...PROTOCOLS])
        .meta({ description: PROTOCOLS_HELP }),
    },
    'must be a section',
  )
  .prefault({})
  .meta({ description: 'App passwords' })

export const primaryPassword = oneOf(
  ['refuse', 'until-enrolled'],
  'What becomes of a primary password typed into a mail client. refuse: never taken; until-enrolled: known users who never set up two-step may go on with it, the upstream judging it, until the day they enrol',
).default('refuse')

export const audit = oneOf(
  ['best-effort', 'required'],
  'Whether people may log in while it could not be recorded: nobody takes the log, or the store takes no write (a full disk). best-effort: they may, and lost lines are counted; required: logins fail as temporary until both work again',
).default('best-effort')

export const enrolment = oneOf(
  ['invitation', 'password'],
  'How a user sets up two-step the first time: by an invitation link, or with the primary password alone',
).default('invitation')

export const onPasswordReset = oneOf(
  ['keep', 'ask', 'revoke'],
  'What becomes of app passwords when the primary password is reset: kept, the user is asked, or all deleted',
).default('keep')

export const groups = z
  .record(
    z.string().regex(/^[\u0021-\u007e]{1,64}$/, 'must be a name without blanks'),
    z.strictObject(
      {
        appPasswords: z
          .strictObject(
            {
              allowed: flag(ALLOWED).optional(),
              perUser: count(PER_USER, 1, 1000).optional(),
              expiry: expiry().optional().meta({ description: EXPIRY }),
              protocols: appPasswordProtocols().optional().meta({ description: PROTOCOLS_HELP }),
            },
            'must be a section',
          )
          .prefault({})
          .meta({ description: 'What differs from appPasswords for members of this group' }),
      },
      'must be a section: { appPasswords: { allowed: false } }',
    ),
    'must be a section with one entry per group',
  )
  .prefault({})
  .meta({
    description: 'Exceptions for the members of a group. Of several groups the strictest counts',
    example: { contractors: { appPasswords: { allowed: false } } },
  })

export const limits = z
  .strictObject(
    {
      connections: count('Client connections in total', 1, 1_000_000).default(20_000),
      perAddress: count(
        'Client connections from one address (IPv6: one /64; an office behind NAT is one) to each edge process, on all ports together',
        1,
        1_000_000,
      ).default(200),
      perUser: count('Open sessions of one user', 1, 100_000).default(50),
      login: duration('From accept to the end of a login', { min: '1s', max: '10m' }).prefault('60s'),
      idle: duration(
        'A session with no byte either way for this long is closed. RFC 9051 §5.4 asks for 30 minutes at least',
        {
          min: '1s',
          max: '1d',
        },
      ).prefault('31m'),
      drain: duration('How long open sessions may go on after SIGTERM', { min: '1ms', max: '1h' }).prefault('30s'),
    },
    'must be a section',
  )
  .prefault({})
  .meta({ description: 'Limits of one node' })

export const throttle = z
  .strictObject(
    {
      delays: z
        .array(duration('Delay', { min: '1ms', max: '60s' }), 'must be a list of durations: [2s, 4s, 8s, 15s]')
        .min(1, 'must hold at least one delay')
        .max(16, 'must not hold more than 16 delays')
        .prefault(['2s', '4s', '8s', '15s'])
        .meta({ description: 'How long the first, second … refused login waits for its answer; the last one repeats' }),
      trustedNetworks: z
        .array(network('Address block'), 'must be a list of address blocks')
        .default([])
        .meta({ description: 'Networks whose addresses are not counted; users still are', example: ['10.0.0.0/8'] }),
    },
    'must be a section',
  )
  .prefault({})
  .meta({ description: 'What slows guessing down' })

export const signIn = z
  .strictObject(
    {
      local: flag('Users with a password of their own in sallyport').default(true),
      oidc: z
        .array(
          z.strictObject({
            name: text('What the button says', 64),
            issuer: httpsUrl().meta({ description: 'Issuer of the OpenID provider' }),
            clientId: text('Client id as registered with the provider', 1024),
            clientSecretFile: path('File with the client secret, mode 0600'),
            caFile: path('Certificate authorities to trust instead of the public ones, PEM').nullable().default(null),
            scopes: z
              .array(text('Scope', 256), 'must be a list of scopes')
              .default(['openid', 'email', 'profile'])
              .meta({ description: 'Scopes to ask for; openid is always among them' }),
            requireTwoStep: flag('Refuse a sign-in that the provider made without a second step').default(true),
            twoStepAmr: z
              .array(text('Method', 64), 'must be a list')
              .default(['mfa'])
              .meta({ description: 'Methods (amr, RFC 8176) each of which says that there was a second step' }),
            twoStepAcr: z
              .array(text('Class', 1024), 'must be a list')
              .default([])
              .meta({ description: 'Authentication classes (acr) that say so, too; they are asked for' }),
            linkClaim: text(
              'Claim that holds the mail address: with it users who have no second step yet are linked at their first sign-in. Only for a provider that lets nobody choose it. Left out: linked by invitation only',
              64,
            )
              .nullable()
              .default(null),
            allowedDomains: z
              .array(domain('Mail domain'), 'must be a list of mail domains')
              .default([])
              .meta({ description: 'Domains whose users linkClaim may link', example: ['example.org'] }),
          }),
          'must be a list of providers',
        )
        .default([])
        .meta({ description: 'OpenID providers' }),
      ldap: z
        .strictObject({
          url: z
            .url({ protocol: /^ldaps?$/, error: 'must be an ldaps:// address' })
            .meta({ description: 'Address of the directory' }),
          startTls: flag('Begin TLS with StartTLS, for an ldap:// address').default(false),
          baseDn: text('Where users are searched', 1024),
          userFilter: text('Filter that finds one user; {user} stands for the name', 1024),
          bindDn: text('Who searches; left out: nobody in particular', 1024).nullable().default(null),
          passwordFile: path('File with the password of bindDn, mode 0600').nullable().default(null),
          caFile: path('Certificate authorities to trust instead of the public ones, PEM').nullable().default(null),
        })
        .nullable()
        .default(null)
        .meta({ description: 'Users of an LDAP directory' }),
    },
    'must be a section with local, oidc and ldap',
  )
  .nullable()
  .default(null)
  .meta({ description: 'Who may sign in to the portal', example: { local: true } })

export const portal = z
  .strictObject(
    {
      url: httpsUrl().meta({ description: 'Address of the portal as users see it' }),
      languages: z
        .array(oneOf(['en', 'nl'], 'Language'), 'must be a list: [en, nl]')
        .min(1, 'must name at least one language')
        .default(['en', 'nl'])
        .meta({ description: 'Languages; the first one is used when the browser asks for none of them' }),
      entryPoints: z
        .array(oneOf(['/', '/security-info', '/profile', '/app-passwords'], 'Path'), 'must be a list of paths')
        .min(1, 'must name at least one path')
        .default(['/', '/security-info', '/profile', '/app-passwords'])
        .meta({ description: 'Pages from which users reach their security info' }),
    },
    'must be a section with url',
  )
  .nullable()
  .default(null)
  .meta({ description: 'The self-service portal', example: { url: 'https://mail.example.org' } })

export const eas = z
  .strictObject(
    {
      host: domain('Host name').nullable().default(null).meta({
        description:
          'Host name under which ActiveSync, and nothing else, is served; by default it is served under every name, beside the portal',
        example: 'eas.example.org',
      }),
      devicesPerUser: count(
        'How many devices a user can have; those not seen for 90 days are forgotten',
        1,
        100,
      ).default(20),
      quarantine: flag('A device that is new waits until it is allowed: sallyport device allow').default(false),
      bindAppPassword: flag('An app password works from the first device that it came from, and from no other').default(
        false,
      ),
    },
    'must be a section: { host: eas.example.org }',
  )
  .prefault({})
  .meta({ description: 'ActiveSync' })

export const mail = z
  .strictObject(
    {
      from: address('Sender: a mailbox of a served domain. Mails go through the upstream of that mailbox'),
      name: text('Name beside the sender', 64).default('Mail service'),
    },
    'must be a section with from',
  )
  .nullable()
  .default(null)
  .meta({
    description: 'Mails to users: invitations, and what others did to their account. Left out: none are sent',
    example: { from: 'noreply@example.org' },
  })

export const workers = z
  .union([z.literal('auto'), count('Mail edges', 0, 256)], {
    error: 'must be auto or a whole number between 0 and 256',
  })
  .default('auto')
  .meta({ description: 'Mail edge processes: auto is one per core; 0 runs everything in one process' })

export const log = z
  .strictObject(
    { level: oneOf(['debug', 'info', 'warn', 'error'], 'Least serious lines to write').default('info') },
    'must be a section: { level: info }',
  )
  .prefault({})
  .meta({ description: 'Log lines on standard output' })
