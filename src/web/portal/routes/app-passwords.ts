/**
 * App passwords: making one (name, then shown once, then in the list: R13–R18), the guided way at the limit (R9), renaming,
 * and taking away, which is never made hard: no step-up, one confirmation (R23–R27).
 */

import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { PROTOCOL_NAMES } from '../../../contract/admission.ts'
import type { PortalAppPassword } from '../../../contract/portal/methods.ts'
import { ServiceError } from '../../../contract/services.ts'
import type { Answer } from '../answer.ts'
import { go, home, page, signedIn } from '../answer.ts'
import { noteOfEnded } from '../cookies.ts'
import { empty, formOf, id, several, text } from '../form.ts'
import type { Once } from '../once.ts'
import { createOnce } from '../once.ts'
import * as pages from '../pages/app-password.ts'
import * as errors from '../pages/errors.ts'
import { paths } from '../paths.ts'
import type { Portal, SignedIn, Visit } from '../visit.ts'
import { needsStepUp } from './methods.ts'

const MAX_NAME = 64
const DAY_MS = 24 * 3600_000
const one = z.strictObject({ id })

const newForm = formOf({
  name: text(256),
  protocols: several.pipe(z.array(z.enum(PROTOCOL_NAMES))),
  expiry: z.enum(['', 'never', ...pages.EXPIRY_DAYS.map(String)]).default(''),
  networks: text(2048).default(''),
  once: z.string().max(64).default(''),
})

export function appPasswordRoutes(app: FastifyInstance, portal: Portal): void {
  const once = createOnce()

  app.get(
    '/app-passwords/new',
    signedIn(
      portal,
      (visit, session) => {
        const { appPasswords } = session.view
        if (!appPasswords.allowed) return page(errors.notFound(visit), 404)
        const { name } = visit.query(z.object({ name: text(256).default('') }))
        if (needsStepUp(session)) return go(paths.stepUp(paths.newAppPassword(name)))
        const typed = { name, protocols: appPasswords.protocols, expiry: '', networks: '', once: once.mark() }
        return page(pages.newAppPassword(visit, session.view, typed, null))
      },
      'any',
    ),
  )

  app.post(
    '/app-passwords/new',
    signedIn(
      portal,
      async (visit, session) => {
        if (!session.view.appPasswords.allowed) return page(errors.notFound(visit), 404)
        const typed = visit.form(newForm)
        // The page with the password, loaded again: it has been shown (R16), and there is no second one.
        if (once.isDone(typed.once)) return go(home(visit))
        return await issue(visit, session, typed, once)
      },
      'any',
    ),
  )

  app.post(
    '/app-passwords/done',
    signedIn(portal, (visit) => {
      visit.form(empty)
      visit.leave({ kind: 'app-password-ready' })
      return go(home(visit))
    }),
  )

  app.get(
    '/app-passwords/:id/delete',
    signedIn(portal, async (visit, session) => {
      const { for: resume } = visit.query(z.object({ for: text(64).optional() }))
      return page(pages.confirmDelete(visit, await find(visit, session), resume ?? null))
    }),
  )

  app.post(
    '/app-passwords/:id/delete',
    signedIn(portal, async (visit, session) => {
      const { for: resume } = visit.form(formOf({ for: text(64).optional() }))
      const revoked = await visit.call('app-password.revoke', {
        client: visit.client,
        session: session.token,
        ...visit.params(one),
      })
      const [deleted] = revoked.deleted
      if (deleted !== undefined) {
        visit.leave({ kind: 'app-password-deleted', name: deleted.name, ...noteOfEnded(revoked) })
      }
      return go(resume === undefined ? home(visit) : paths.newAppPassword(resume))
    }),
  )

  app.get(
    '/app-passwords/:id/rename',
    signedIn(portal, async (visit, session) => {
      const found = await find(visit, session)
      return page(pages.rename(visit, found, found.name, null))
    }),
  )

  app.post(
    '/app-passwords/:id/rename',
    signedIn(portal, async (visit, session) => {
      const { name } = visit.form(formOf({ name: text(256) }))
      const found = await find(visit, session)
      visit.returnTo = paths.renameAppPassword(found.id)
      const again = (problem: string) => page(pages.rename(visit, found, name, problem), 422)
      if (name === '') return again(visit.words.appPassword.nameMissing)
      try {
        await visit.call('app-password.rename', { session: session.token, id: found.id, name })
      } catch (error) {
        if (error instanceof ServiceError && error.code === 'invalid') return again(visit.words.appPassword.invalid)
        throw error
      }
      visit.leave({ kind: 'renamed', name })
      return go(home(visit))
    }),
  )

  app.get(
    '/app-passwords/delete-all',
    signedIn(portal, async (visit, { token: session }) => {
      const { appPasswords } = await visit.call('methods.list', { session })
      return appPasswords.length === 0 ? go(home(visit)) : page(pages.confirmDeleteAll(visit, appPasswords.length))
    }),
  )

  app.post(
    '/app-passwords/delete-all',
    signedIn(portal, async (visit, { token: session }) => {
      visit.form(empty)
      const done = await visit.call('app-password.revoke-all', { client: visit.client, session })
      visit.leave({ kind: 'app-passwords-deleted', count: done.deleted.length, ...noteOfEnded(done) })
      return go(home(visit))
    }),
  )
}

async function issue(visit: Visit, session: SignedIn, typed: z.output<typeof newForm>, once: Once): Promise<Answer> {
  const { view, token } = session
  visit.returnTo = paths.newAppPassword(typed.name.slice(0, MAX_NAME))
  const again = (problem: string) => page(pages.newAppPassword(visit, view, typed, problem), 422)
  if (typed.name === '') return again(visit.words.appPassword.nameMissing)
  const isNarrowed = typed.protocols.length > 0 && typed.protocols.length < view.appPasswords.protocols.length
  try {
    const issued = await visit.call('app-password.issue', {
      client: visit.client,
      session: token,
      name: typed.name,
      ...(isNarrowed && { protocols: typed.protocols }),
      networks: typed.networks.split(/[\s,;]+/).filter((network) => network !== ''),
      ...(typed.expiry !== '' && { expiresInMs: typed.expiry === 'never' ? null : Number(typed.expiry) * DAY_MS }),
    })
    if (typed.once !== '') once.done(typed.once)
    return page(pages.issued(visit, issued, view.stage === 'enrolling'))
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error
    if (error.code === 'invalid') return again(visit.words.appPassword.invalid)
    if (error.code !== 'cap-reached') throw error
    const { appPasswords } = await visit.call('methods.list', { session: token })
    return page(pages.atTheCap(visit, view, appPasswords, typed.name), 409)
  }
}

/** One of the person's own; anybody else's is not there (threats H7). */
async function find(visit: Visit, { token: session }: SignedIn): Promise<PortalAppPassword> {
  const { id: wanted } = visit.params(one)
  const { appPasswords } = await visit.call('methods.list', { session })
  const found = appPasswords.find((each) => each.id === wanted)
  if (found === undefined) throw new ServiceError('not-found', 'no such app password')
  return found
}
