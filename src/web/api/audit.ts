/**
 * /audit: who changed what, when.
 */

import { z } from 'zod'
import { AUDIT_ORDERS } from '../../contract/services.ts'
import { PAGE, page, pageOf } from './paging.ts'
import { route } from './route.ts'
import { AuditEntry } from './views.ts'

/** The cursor of this listing is a number. */
const afterSeq = PAGE.shape.cursor.refine(
  (text) => text === undefined || /^\d{1,15}$/.test(text),
  'not a cursor of this listing',
)

export const AUDIT_ROUTES = [
  route({
    verb: 'GET',
    path: '/audit',
    id: 'listAudit',
    tag: 'Audit',
    summary: 'Read the audit trail',
    description:
      'An empty page is the end. To follow what happens, ask oldest first, and again with the last cursor that you were given.',
    service: 'audit.list',
    query: PAGE.extend({
      cursor: afterSeq,
      user: z
        .string()
        .min(1)
        .max(254)
        .optional()
        .describe('Only what concerns this user, also one who was deleted: id or mail address.'),
      order: z.enum(AUDIT_ORDERS).default('oldest').describe('Which entry comes first.'),
      since: z.iso.datetime({ offset: true }).optional().describe('Nothing from before this time.'),
    }),
    answer: pageOf(AuditEntry),
    problems: ['not-found'],
    ask: ({ query: { user, since, order, cursor, limit } }) => ({
      ...(user === undefined ? {} : { user }),
      ...(since === undefined ? {} : { sinceMs: Date.parse(since) }),
      order,
      afterSeq: cursor === undefined ? 0 : Number(cursor),
      limit,
    }),
    tell: ({ entries, lastSeq }) => page(entries, entries.length === 0 ? null : lastSeq),
  }),
]
