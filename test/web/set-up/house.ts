/** A Fastify instance of its own with the set-up routes, on a real port, for a small configuration. */

import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import fastify from 'fastify'
import type { Config } from '../../../src/config.ts'
import type { NameRules } from '../../../src/contract/names.ts'
import type { PublishedSettings } from '../../../src/contract/published.ts'
import { publishedSettings } from '../../../src/contract/published.ts'
import { clientSetUp } from '../../../src/web/set-up/routes.ts'
import { directoryFor, load } from '../../config/fixture.ts'

export const BASE = `dataDirectory: data
domains: [example.org, example.net]
listeners:
  - { protocol: imap, port: 143, tls: starttls }
  - { protocol: imap, port: 993, tls: implicit }
  - { protocol: pop3, port: 995, tls: implicit }
  - { protocol: smtp, port: 465, tls: implicit }
  - { protocol: smtp, port: 587, tls: starttls }
  - { protocol: https, port: 443, serves: [autoconfig, eas] }
clientSetup: { host: mail.example.org }
upstreams:
  main:
    imap: { host: mail.internal, port: 993, tls: implicit }
    pop3: { host: mail.internal, port: 995, tls: implicit }
    smtp: { host: mail.internal, port: 465, tls: implicit }
    eas: { url: https://mail.internal }
    identity: { method: master-user, user: sallyport, passwordFile: master }
`

type Test = { teardown(undo: () => unknown): void }

export async function configOf(t: Test, text: string = BASE): Promise<Config> {
  return (await load(directoryFor(t), text)).config
}

export async function settingsOf(t: Test, text: string = BASE): Promise<PublishedSettings> {
  const settings = publishedSettings(await configOf(t, text))
  if (settings === null) throw new Error('this configuration publishes nothing')
  return settings
}

export const NAMES: NameRules = {
  domains: ['example.org', 'example.net'],
  allow: '',
  separators: ['*'],
  windowsDomains: { CONTOSO: 'example.org' },
}

/** Resolves with 'http://127.0.0.1:port'. */
export async function serve(t: Test, settings: PublishedSettings): Promise<{ url: string; app: FastifyInstance }> {
  const app = fastify({ forceCloseConnections: true })
  await app.register(clientSetUp, {
    settings: () => settings,
    names: () => NAMES,
    clock: () => new Date('2026-11-27T12:34:56.789Z'),
  })
  // What a server of its own has beside it: its parsers must be as they were.
  app.post('/elsewhere', async (request) => ({ got: request.body }))
  await app.listen({ host: '127.0.0.1', port: 0 })
  t.teardown(() => app.close())
  return { url: `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`, app }
}
