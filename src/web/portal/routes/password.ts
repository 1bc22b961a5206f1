/**
 * The person's own password for the portal: the first one, while setting up two-step, and a new one later. Mail programs never
 * use it. Setting it ends the person's other sessions here.
 */

import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { ServiceError } from '../../../contract/services.ts'
import type { Answer } from '../answer.ts'
import { go, page, signedIn } from '../answer.ts'
import { formOf } from '../form.ts'
import * as errors from '../pages/errors.ts'
import { choosePassword } from '../pages/password.ts'
import { paths } from '../paths.ts'
import type { Portal, SignedIn, Visit } from '../visit.ts'
import { needsStepUp } from './methods.ts'

const passwordForm = formOf({ password: z.string().max(1024), again: z.string().max(1024) })

export function passwordRoutes(app: FastifyInstance, portal: Portal): void {
  app.post(
    '/enrol/password',
    signedIn(portal, (visit, session) => set(visit, session, '/enrol'), 'any'),
  )

  app.get(
    '/profile/password',
    signedIn(portal, (visit, session) => {
      if (!session.view.user.hasPassword) return page(errors.notFound(visit), 404)
      return needsStepUp(session) ? go(paths.stepUp('/profile/password')) : page(choosePassword(visit, null))
    }),
  )

  app.post(
    '/profile/password',
    signedIn(portal, (visit, session) => set(visit, session, '/profile/password')),
  )
}

async function set(visit: Visit, { token: session }: SignedIn, from: '/enrol' | '/profile/password'): Promise<Answer> {
  const { password, again } = visit.form(passwordForm)
  visit.returnTo = from
  const refused = (problem: string) => page(choosePassword(visit, problem), 422)
  const t = visit.words.password
  if (password !== again) return refused(t.differ)
  if (password === '') return refused(t.unfit)
  try {
    visit.signIn(await visit.call('password.set', { client: visit.client, session, password }))
  } catch (error) {
    if (!(error instanceof ServiceError && error.code === 'invalid')) throw error
    return refused(t.unfit)
  }
  if (from === '/enrol') return go('/enrol')
  visit.leave({ kind: 'password-set' })
  return go('/profile')
}
