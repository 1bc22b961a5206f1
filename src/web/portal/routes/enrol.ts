/**
 * The first sign-in (R20, R21): an invitation, a second step, recovery codes, the first app password.
 *
 * `/enrol` is the one place that knows the order, and it takes it from the keeper: whoever goes astray, reloads or comes back
 * tomorrow goes on where they were.
 */

import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import type { Answer } from '../answer.ts'
import { anyone, go, home, page, signedIn } from '../answer.ts'
import { empty, formOf, token } from '../form.ts'
import * as pages from '../pages/enrol.ts'
import { choosePassword } from '../pages/password.ts'
import { paths } from '../paths.ts'
import { refusalText } from '../refusal.ts'
import type { Portal, SignedIn, Visit } from '../visit.ts'

export function enrolRoutes(app: FastifyInstance, portal: Portal): void {
  const link = z.strictObject({ token })

  app.get(
    '/invitation/:token',
    anyone(portal, async (visit) => {
      const { token: invitation } = visit.params(link)
      const view = await visit.call('invitation.show', { client: visit.client, invitation })
      return view === null
        ? page(pages.invitationGone(visit), 404)
        : page(pages.invitation(visit, invitation, view, null))
    }),
  )

  app.post(
    '/invitation/:token',
    anyone(portal, async (visit) => {
      visit.form(empty)
      const { token: invitation } = visit.params(link)
      const view = await visit.call('invitation.show', { client: visit.client, invitation })
      if (view === null) return page(pages.invitationGone(visit), 404)
      const accepted = await visit.call('invitation.accept', { client: visit.client, invitation })
      if (accepted.next === 'refused') {
        if (accepted.why === 'flow-over') return page(pages.invitationGone(visit), 404)
        return page(pages.invitation(visit, invitation, view, refusalText(visit.words, accepted, 'password')), 403)
      }
      visit.signIn(accepted.session)
      return go('/enrol')
    }),
  )

  app.get(
    '/enrol',
    signedIn(portal, (visit, session) => proceed(visit, session), 'any'),
  )

  app.post(
    '/enrol',
    signedIn(
      portal,
      async (visit, session) => {
        visit.form(formOf({ saved: z.literal('yes').optional() }))
        return await proceed(visit, session)
      },
      'any',
    ),
  )

  app.post(
    '/enrol/finish',
    signedIn(
      portal,
      async (visit, session) => {
        visit.form(empty)
        visit.returnTo = '/enrol'
        return await finish(visit, session)
      },
      'any',
    ),
  )
}

async function proceed(visit: Visit, session: SignedIn): Promise<Answer> {
  const { view } = session
  const { allowed } = view.appPasswords
  if (view.stage === 'full') return go(home(visit))
  switch (view.enrolment[0]) {
    case 'second-step': {
      const { providers } = await visit.call('sign-in.options', {})
      return page(pages.chooseSecondStep(visit, allowed, providers))
    }
    case 'recovery-codes':
      return page(pages.recoveryCodesMissing(visit, allowed))
    case 'password':
      return page(choosePassword(visit, null))
    case 'app-password':
      return go(paths.newAppPassword())
    default:
      return await finish(visit, session)
  }
}

async function finish(visit: Visit, { token: session, view }: SignedIn): Promise<Answer> {
  if (view.stage === 'enrolling') await visit.call('enrolment.finish', { session })
  visit.leave({ kind: 'enrolled' })
  return go(home(visit))
}
