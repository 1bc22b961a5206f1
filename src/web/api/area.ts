/**
 * The admin API's place in the web server: behind the operators' door, and behind no other (threats H8).
 */

import type { FastifyRequest } from 'fastify'
import type { PortalClient } from '../../contract/portal/client.ts'
import type { Area } from '../areas.ts'
import { adminApi } from './plugin.ts'

const MAX_AGENT = 256

export const api: Area = {
  door: 'operator',
  register: (app, { keeper, settings, log, metrics }) =>
    adminApi(app, {
      keeper,
      clientOf,
      version: settings().version,
      bug(error, request) {
        metrics.bugs.inc()
        log.bug(error, `a fault in this program answered request ${request.client.requestId}`)
      },
    }),
}

function clientOf({ client, headers }: FastifyRequest): PortalClient {
  const agent = headers['user-agent']?.replace(/[^\x20-\x7e]/g, '').slice(0, MAX_AGENT)
  return { ip: client.ip, agent: agent || null, language: 'en' }
}
