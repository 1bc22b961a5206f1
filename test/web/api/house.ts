/**
 * The admin API in this process, in front of a keeper that the test gives, asked by `inject`: no port, no socket.
 */

import type { FastifyInstance, InjectOptions } from 'fastify'
import Fastify from 'fastify'
import type { Test } from 'tap'
import type { PortalServices } from '../../../src/contract/portal.ts'
import { adminApi } from '../../../src/web/api/plugin.ts'

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
