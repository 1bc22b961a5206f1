/** The list of users, and adding one. */

import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { ServiceError } from '../../../../contract/services.ts'
import { administrator, go, page } from '../../answer.ts'
import { formOf, text } from '../../form.ts'
import * as pages from '../../pages/admin/users.ts'
import { paths } from '../../paths.ts'
import type { Portal } from '../../visit.ts'
import { needsStepUp } from '../methods.ts'
import { ask } from './ask.ts'

const PAGE = 25

export function usersRoutes(app: FastifyInstance, portal: Portal): void {
  app.get(
    '/admin',
    administrator(portal, async (visit) => {
      const { find, after } = visit.query(z.object({ find: text(254).default(''), after: text(254).optional() }))
      const { users, next } = await ask(visit, 'user.list', {
        ...(find !== '' && { search: find }),
        after: after ?? null,
        limit: PAGE,
      })
      return page(pages.users(visit, { users, next, find }))
    }),
  )

  app.get(
    '/admin/users/new',
    administrator(portal, (visit, session) => {
      if (needsStepUp(session)) return go(paths.stepUp('/admin/users/new'))
      return page(pages.newUser(visit, { address: '', name: '', groups: '', admin: false }, null))
    }),
  )

  app.post(
    '/admin/users/new',
    administrator(portal, async (visit) => {
      const typed = visit.form(
        formOf({ address: text(254), name: text(128), groups: text(1024), admin: z.literal('yes').optional() }),
      )
      visit.returnTo = '/admin/users/new'
      try {
        const user = await ask(visit, 'user.add', {
          address: typed.address,
          name: typed.name || null,
          groups: typed.groups.split(/[\s,]+/).filter((group) => group !== ''),
          admin: typed.admin === 'yes',
        })
        return page(pages.invited(visit, await ask(visit, 'user.invite', { address: user.address })))
      } catch (error) {
        if (!(error instanceof ServiceError) || !['exists', 'invalid'].includes(error.code)) throw error
        return page(pages.newUser(visit, { ...typed, admin: typed.admin === 'yes' }, error.message), 422)
      }
    }),
  )
}
