/** The entry points (R30, R31), each of which can be turned off; the profile; notices; and where one is signed in. */

import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import type { Answer } from '../answer.ts'
import { go, home, page, signedIn } from '../answer.ts'
import { noteOfEnded } from '../cookies.ts'
import { empty, id } from '../form.ts'
import * as errors from '../pages/errors.ts'
import { profile } from '../pages/profile.ts'
import { securityInfo } from '../pages/security-info.ts'
import { sessions } from '../pages/sessions.ts'
import type { EntryPoint } from '../settings.ts'
import { ENTRY_POINTS } from '../settings.ts'
import type { Portal, SignedIn, Visit } from '../visit.ts'

export function securityInfoRoutes(app: FastifyInstance, portal: Portal): void {
  for (const path of ENTRY_POINTS) {
    app.get(
      path,
      signedIn(portal, (visit, session) => entryPoint(visit, session, path)),
    )
  }

  app.post(
    '/notices/:id/dismiss',
    signedIn(portal, async (visit, { token: session }) => {
      visit.form(empty)
      await visit.call('notice.dismiss', { session, ...visit.params(z.strictObject({ id })) })
      return go(home(visit))
    }),
  )

  app.get(
    '/sessions',
    signedIn(portal, async (visit, { token: session }) => {
      const [mail, others, own] = await Promise.all([
        visit.call('mail-session.list', { session }),
        visit.call('session.others', { session }),
        visit.call('device.list', { session }),
      ])
      return page(sessions(visit, { mail, portal: others, own }))
    }),
  )

  app.post(
    '/sessions/:id/end',
    signedIn(portal, async (visit, { token: session }) => {
      visit.form(empty)
      visit.returnTo = '/sessions'
      const asked = visit.params(z.strictObject({ id }))
      const done = await visit.call('mail-session.end', { client: visit.client, session, ...asked })
      visit.leave({ kind: 'mail-sessions-ended', ...noteOfEnded(done) })
      return go('/sessions')
    }),
  )

  app.post(
    '/sessions/sign-out-others',
    signedIn(portal, async (visit, { token: session }) => {
      visit.form(empty)
      visit.returnTo = '/sessions'
      const { ended } = await visit.call('session.sign-out-others', { session })
      visit.leave({ kind: 'signed-out-others', count: ended })
      return go('/sessions')
    }),
  )
}

async function entryPoint(visit: Visit, { token: session, view }: SignedIn, path: EntryPoint): Promise<Answer> {
  if (!visit.settings.entryPoints.includes(path)) {
    // The bare address is what people type: it leads to whichever page is on.
    return path === '/' ? go(home(visit)) : page(errors.notFound(visit), 404)
  }
  const methods = await visit.call('methods.list', { session })
  // Where it is the only one that is on, it has to lead to everything.
  if (path === '/profile' && home(visit) !== '/profile') return page(profile(visit, view, methods))
  return page(securityInfo(visit, { session: view, methods, only: path === '/app-passwords' ? 'app-passwords' : null }))
}
