/**
 * The admin API in this process, in front of a keeper that the test gives, asked by `inject`: no port, no socket.
 */

import type { FastifyInstance, InjectOptions } from 'fastify'
import Fastify from 'fastify'
import type { Test } from 'tap'
import type { ApiScope } from '../../../src/contract/portal/admin.ts'
import { API_SCOPES } from '../../../src/contract/portal/admin.ts'
import type { PortalServices } from '../../../src/contract/portal.ts'
import { PORTAL_METHODS } from '../../../src/contract/portal.ts'
import { adminApi } from '../../../src/web/api/plugin.ts'
import type { ApiVerb } from '../../../src/web/api/route.ts'
import { API_ROOT, API_ROUTES } from '../../../src/web/api/routes.ts'
import type { HouseOptions } from '../../keeper/house.ts'
import { house } from '../../keeper/house.ts'
import { noteSecret } from '../../support/secrets.ts'

/** Long enough to be one, and known to nobody. */
export const SOME_TOKEN = 'sallyport_00000000000000000000000000000000'

export async function apiApp(t: Test, keeper: PortalServices): Promise<FastifyInstance> {
  const app = Fastify({ routerOptions: { maxParamLength: 512 } })
  await adminApi(app, {
    keeper,
    clientOf: () => ({ ip: '192.0.2.1', agent: null, language: 'en' }),
    version: '1.2.3',
    bug: (error) => t.fail(`a bug: ${String(error)}`),
  })
  t.teardown(() => app.close())
  return app
}

/** A real keeper behind the API, and tokens that it has made. */
export async function keeperHouse(t: Test, options: HouseOptions = {}) {
  const h = await house(t, options)
  const keeper: PortalServices = {
    call: (name, request) => h.keeper.portal[name](PORTAL_METHODS[name].request.parse(request) as never) as never,
  }
  const app = await apiApp(t, keeper)

  async function tokenWith(scopes: readonly ApiScope[], more: { readonly expiresInMs?: number } = {}): Promise<string> {
    const { token } = await h.call('token.create', { name: 'test', scopes: [...scopes], ...more })
    return noteSecret(token)
  }

  /** Asks with a token, and checks that the answer is what the document says. */
  function caller(token: string) {
    return async (verb: ApiVerb, path: string, body?: unknown, headers: Readonly<Record<string, string>> = {}) => {
      const answer = await ask(app, {
        method: verb,
        url: `${API_ROOT}${path}`,
        headers: {
          authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      if (answer.status < 300) documented(t, verb, path, answer)
      return answer
    }
  }

  const token = await tokenWith(API_SCOPES)
  return { ...h, app, token, tokenWith, caller, api: caller(token) }
}

/** An answer has exactly the shape that its route declares. */
function documented(t: Test, verb: ApiVerb, path: string, answer: Answer): void {
  const parts = (path.split('?', 1)[0] ?? '').split('/')
  const fits = (template: string) =>
    template.split('/').length === parts.length &&
    template.split('/').every((part, i) => part.startsWith('{') || part === parts[i])
  const route = API_ROUTES.find((each) => each.verb === verb && fits(each.path))
  const parsed = route?.answer.safeParse(answer.json)
  if (parsed?.success !== true) t.fail(`${verb} ${path}: ${JSON.stringify(parsed?.error?.issues)} ${answer.text}`)
}

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly text: string
  readonly json: Readonly<Record<string, unknown>>
}

export async function ask(app: FastifyInstance, options: InjectOptions): Promise<Answer> {
  const response = await app.inject(options)
  const type = String(response.headers['content-type'] ?? '')
  return {
    status: response.statusCode,
    headers: response.headers as Readonly<Record<string, string | undefined>>,
    text: response.body,
    json: type.includes('json') ? (response.json() as Readonly<Record<string, unknown>>) : {},
  }
}
