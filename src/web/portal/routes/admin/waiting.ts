/** The devices that wait. */

import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { administrator, page } from '../../answer.ts'
import { text } from '../../form.ts'
import { waiting } from '../../pages/admin/waiting.ts'
import type { Portal } from '../../visit.ts'
import { ask } from './ask.ts'

const PAGE = 25

export function waitingRoutes(app: FastifyInstance, portal: Portal): void {
  app.get(
    '/admin/devices',
    administrator(portal, async (visit) => {
      const { after = null } = visit.query(z.object({ after: text(320).optional() }))
      return page(waiting(visit, await ask(visit, 'device.list', { state: 'waiting', after, limit: PAGE })))
    }),
  )
}
