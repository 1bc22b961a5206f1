/** The audit trail. */

import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { administrator, page } from '../../answer.ts'
import { text } from '../../form.ts'
import { audit } from '../../pages/admin/audit.ts'
import type { Portal } from '../../visit.ts'
import { ask } from './ask.ts'

const PAGE = 100
const HOUR_MS = 3600_000
const HOURS = [1, 24, 24 * 7, 24 * 90] as const

export function auditRoutes(app: FastifyInstance, portal: Portal): void {
  app.get(
    '/admin/audit',
    administrator(portal, async (visit) => {
      const asked = visit.query(
        z.object({
          user: text(254).optional(),
          hours: z.coerce
            .number()
            .pipe(z.literal([...HOURS]))
            .catch(24),
          before: z.coerce.number().int().min(0).catch(0),
        }),
      )
      const { hours, before } = asked
      const filter = {
        ...(asked.user && { user: asked.user }),
        sinceMs: Date.now() - hours * HOUR_MS,
        order: 'newest' as const,
      }
      const { entries, lastSeq } = await ask(visit, 'audit.list', { ...filter, afterSeq: before, limit: PAGE })
      // A page may be shorter than asked for: whether there are older ones only asking tells.
      const older =
        entries.length > 0 ? await ask(visit, 'audit.list', { ...filter, afterSeq: lastSeq, limit: 1 }) : null
      const next = older !== null && older.entries.length > 0 ? lastSeq : null
      const isFirst = before === 0
      return page(audit(visit, { entries, next, isFirst, hours, user: asked.user || null, choices: HOURS }))
    }),
  )
}
