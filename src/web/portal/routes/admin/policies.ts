/** The policy, of everybody and of groups. */

import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { administrator, go, page } from '../../answer.ts'
import { noteOfEnded } from '../../cookies.ts'
import { formOf, text } from '../../form.ts'
import { POLICY, policies } from '../../pages/admin/policies.ts'
import type { Portal } from '../../visit.ts'
import { ask } from './ask.ts'

const PAGE = 100

export function policiesRoutes(app: FastifyInstance, portal: Portal): void {
  app.get(
    '/admin/policy',
    administrator(portal, async (visit) => {
      const { after = null } = visit.query(z.object({ after: text(320).optional() }))
      return page(policies(visit, await ask(visit, 'policy.list', { after, limit: PAGE })))
    }),
  )

  app.post(
    '/admin/policy',
    administrator(portal, async (visit) => {
      const { group, policy } = visit.form(formOf({ group: text(64).optional(), policy: POLICY }))
      visit.returnTo = '/admin/policy'
      if (group === '') return go('/admin/policy')
      const done = await ask(
        visit,
        'policy.set',
        group === undefined ? { scope: 'all', appPasswords: policy } : { scope: 'group', group, appPasswords: policy },
      )
      visit.leave({ kind: 'policy-set', ...noteOfEnded(done) })
      return go('/admin/policy')
    }),
  )
}
