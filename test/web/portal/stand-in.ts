/**
 * Pages without a server behind them: a keeper that answers what it is told, to look at how everything is shown in each
 * language and width. What people can and can't do is tested on the real one (test/e2e/portal-*.test.ts).
 */

import type { FastifyInstance } from 'fastify'
import Fastify from 'fastify'
import type { MethodList, PortalAppPassword } from '../../../src/contract/portal/methods.ts'
import type { PortalSessionView } from '../../../src/contract/portal/session.ts'
import type { PortalAnswer, PortalMethodName, PortalRequest, PortalServices } from '../../../src/contract/portal.ts'
import { ServiceError } from '../../../src/contract/services.ts'
import { createLog } from '../../../src/log.ts'
import type { PortalSettings } from '../../../src/web/portal/settings.ts'
import { registerPortal } from '../../../src/web/portal.ts'

const HOUR = 3600_000
export const ago = (hours: number): string => new Date(Date.now() - hours * HOUR).toISOString()

export type Answers = {
  readonly [N in PortalMethodName]?: PortalAnswer<N> | ServiceError | ((request: PortalRequest<N>) => PortalAnswer<N>)
}

export function sessionView(more: Partial<PortalSessionView> = {}): PortalSessionView {
  return {
    user: {
      id: 'u1',
      address: 'ann@example.org',
      name: 'Ann de Vries',
      admin: false,
      language: null,
      hasPassword: true,
    },
    stage: 'full',
    enrolment: [],
    factors: [{ factor: 'totp', at: ago(0) }],
    freshUntil: ago(-1),
    stepUp: ['totp', 'passkey', 'recovery-code'],
    beganAt: ago(0.2),
    expiresAt: ago(-11),
    csrf: 'the-token-of-this-session',
    appPasswords: { allowed: true, cap: 40, live: 3, protocols: ['imap', 'pop3', 'smtp', 'eas'], expiryMs: null },
    ip: '192.0.2.7',
    ...more,
  }
}

export function appPassword(id: string, name: string, more: Partial<PortalAppPassword> = {}): PortalAppPassword {
  return {
    id,
    user: 'ann@example.org',
    name,
    protocols: ['imap', 'pop3', 'smtp', 'eas'],
    networks: [],
    createdAt: ago(24 * 90),
    expiresAt: null,
    lastUsed: { at: ago(0.1), protocol: 'imap', ip: '192.0.2.7', agent: null },
    sessions: 0,
    ...more,
  }
}

export function methodList(more: Partial<MethodList> = {}): MethodList {
  return {
    totp: [{ id: 't1', name: 'Authenticator app', createdAt: ago(24 * 90), lastUsedAt: ago(3) }],
    passkeys: [{ id: 'p1', name: 'Work laptop', createdAt: ago(24 * 20), lastUsedAt: ago(26), synced: true }],
    recoveryCodes: { left: 9, madeAt: ago(24 * 90) },
    providers: [],
    appPasswords: [
      appPassword('a1', 'iPad', { sessions: 2 }),
      appPassword('a2', 'Outlook at home', {
        lastUsed: { at: ago(24 * 40), protocol: 'smtp', ip: '2001:db8::17', agent: 'Outlook 14.0' },
      }),
      appPassword('a3', 'Scanner, second floor', {
        protocols: ['smtp'],
        networks: ['192.0.2.0/24'],
        expiresAt: ago(-24 * 30),
        lastUsed: null,
      }),
    ],
    aliases: [],
    notices: [
      {
        kind: 'deleted-still-tries',
        id: 'n1',
        name: 'Old phone',
        deletedAt: ago(30),
        lastTriedAt: ago(0.3),
        ip: '192.0.2.7',
        protocol: 'imap',
        tries: 12,
      },
    ],
    ...more,
  }
}

export const SETTINGS: PortalSettings = {
  url: 'http://localhost',
  name: 'example.org',
  languages: ['en', 'nl'],
  entryPoints: ['/', '/security-info', '/app-passwords', '/profile'],
  mail: {
    host: 'mail.example.org',
    imap: [{ port: 993, tls: 'implicit' }],
    pop3: [],
    smtp: [{ port: 465, tls: 'implicit' }],
    activeSync: 'mail.example.org',
  },
  appPasswordsAllowed: true,
  warnings: [],
}

/** The cookie of somebody who is signed in. */
export const SIGNED_IN = '__Host-sallyport-session=aaaaaaaaaaaaaaaaaaaaaaaa'

export async function standIn(
  answers: () => Answers,
  settings: () => PortalSettings = () => SETTINGS,
): Promise<FastifyInstance> {
  const keeper: PortalServices = {
    async call(name, request) {
      const answer = (answers() as Record<string, unknown>)[name]
      if (answer === undefined) throw new ServiceError('not-configured', `the stand-in has no answer to ${name}`)
      if (answer instanceof ServiceError) throw answer
      return (typeof answer === 'function' ? answer(request) : answer) as never
    },
  }
  const log = createLog({ level: 'error', version: 'test', process: 'web' })
  // As the server has it (web/server.ts).
  const app = Fastify({ routerOptions: { ignoreTrailingSlash: true, maxParamLength: 512 } })
  await app.register((portal) =>
    registerPortal(portal, {
      keeper,
      settings,
      log,
      addressOf: () => '192.0.2.7',
      bug(error) {
        throw error
      },
    }),
  )
  return app
}
