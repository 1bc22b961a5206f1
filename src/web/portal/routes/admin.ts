/**
 * The section for administrators: the services of the command line, asked for with this session (`admin.call`). The keeper
 * checks the role for every call, and for whatever changes something that a factor is fresh; the pages only ask in time.
 */

import type { FastifyInstance } from 'fastify'
import type { Portal } from '../visit.ts'
import { auditRoutes } from './admin/audit.ts'
import { policiesRoutes } from './admin/policies.ts'
import { userRoutes } from './admin/user.ts'
import { usersRoutes } from './admin/users.ts'
import { waitingRoutes } from './admin/waiting.ts'

export function adminRoutes(app: FastifyInstance, portal: Portal): void {
  usersRoutes(app, portal)
  userRoutes(app, portal)
  waitingRoutes(app, portal)
  policiesRoutes(app, portal)
  auditRoutes(app, portal)
}
