/**
 * Settings of what mail clients are told when they set themselves up: under which name and on which ports they find us.
 *
 * All of it follows from the listeners and the portal's address, unless something in front (a load balancer, a port forward)
 * shows other ports or another name to the world.
 */

import { z } from 'zod'
import { count, host, httpsUrl, oneOf, path, text } from './units.ts'

const port = z.strictObject(
  {
    port: count('Port as clients see it', 1, 65_535),
    tls: oneOf(['implicit', 'starttls'], 'implicit: TLS from the first byte; starttls: login only after STARTTLS'),
  },
  'must be a section: { port: 993, tls: implicit }',
)

function ports(protocol: string, example: number) {
  return z
    .array(port, `must be a list: [{ port: ${example}, tls: implicit }]`)
    .max(4, 'must not hold more than 4 ports')
    .nullable()
    .default(null)
    .meta({
      description: `Ports on which clients find ${protocol}, the best first; left out: those of the listeners; []: clients are not told of it`,
      example: [{ port: example, tls: 'implicit' }],
    })
}

export const clientSetup = z
  .strictObject(
    {
      host: host('').nullable().default(null).meta({
        description: 'Name under which mail clients reach this server; left out: the host of portal.url',
        example: 'mail.example.org',
      }),
      name: text('', 64)
        .nullable()
        .default(null)
        .meta({ description: 'What clients call the service; left out: the mail domain', example: 'Example mail' }),
      imap: ports('IMAP', 993),
      pop3: ports('POP3', 995),
      smtp: ports('message submission', 465),
      activeSync: httpsUrl().nullable().default(null).meta({
        description: 'Address of ActiveSync as phones see it; left out: at host, where a listener serves eas',
        example: 'https://mail.example.org/Microsoft-Server-ActiveSync',
      }),
      signing: z
        .strictObject(
          {
            chainFile: path('Certificate that signs, with its chain, PEM'),
            privateKeyFile: path('Its private key, PEM without a pass phrase, mode 0600'),
          },
          'must be a section: { chainFile: …, privateKeyFile: … }',
        )
        .nullable()
        .default(null)
        .meta({
          description: 'Signs the profiles for Apple devices, which then show who made them; left out: not signed',
        }),
    },
    'must be a section: { host: mail.example.org }',
  )
  .prefault({})
  .meta({
    description: 'What mail clients are told that set themselves up (autoconfig, autodiscover, profiles, DNS records)',
    example: { host: 'mail.example.org' },
  })
