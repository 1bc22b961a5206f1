/**
 * Setting up an Apple device in one step (M10).
 *
 * Whoever is signed in makes a link; the device opens it without signing in. Its page is looked at as often as anybody likes
 * (mail programs and scanners look at links); only the form on it uses the link up, and its answer is the profile with the
 * new app password. The link is in addresses and therefore never logged.
 */

import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import type { SetUpKind } from '../../contract/portal/set-up.ts'
import { SET_UP_KINDS } from '../../contract/portal/set-up.ts'
import { setUpKinds } from '../../contract/published.ts'
import { ServiceError } from '../../contract/services.ts'
import type { Answer } from '../portal/answer.ts'
import { anyone, go, page, signedIn } from '../portal/answer.ts'
import { empty, formOf, id, text, token } from '../portal/form.ts'
import * as errors from '../portal/pages/errors.ts'
import { paths } from '../portal/paths.ts'
import { needsStepUp } from '../portal/routes/methods.ts'
import type { Portal, SignedIn, Visit } from '../portal/visit.ts'
import * as pages from './pages.ts'

const PROFILE_TYPE = 'application/x-apple-aspen-config'
const NEEDS = { imap: ['imap', 'smtp'], eas: ['eas'] } as const satisfies Record<SetUpKind, readonly string[]>

const link = z.strictObject({ token })
const newForm = formOf({ name: text(256), kind: z.enum(SET_UP_KINDS) })

export function deviceRoutes(app: FastifyInstance, portal: Portal): void {
  app.get(
    '/set-up',
    signedIn(portal, async (visit, session) => {
      const kinds = kindsFor(visit, session)
      if (kinds[0] === undefined) return page(errors.notFound(visit), 404)
      if (needsStepUp(session)) return go(paths.stepUp(paths.setUp()))
      return page(await choose(visit, session, kinds, { name: '', kind: kinds[0] }, null))
    }),
  )

  app.post(
    '/set-up',
    signedIn(portal, async (visit, session) => {
      const typed = visit.form(newForm)
      visit.returnTo = paths.setUp()
      const kinds = kindsFor(visit, session)
      if (!kinds.includes(typed.kind)) return page(errors.notFound(visit), 404)
      return await make(visit, session, kinds, typed)
    }),
  )

  app.post(
    '/set-up/:id/cancel',
    signedIn(portal, async (visit, { token: session }) => {
      visit.form(empty)
      await visit.call('set-up.cancel', { session, ...visit.params(z.strictObject({ id })) })
      return go(paths.setUp())
    }),
  )

  app.get(
    '/set-up/:token',
    anyone(portal, async (visit) => {
      const { token: setUp } = visit.params(link)
      const view = await visit.call('set-up.show', { client: visit.client, setUp })
      return view === null ? page(pages.gone(visit), 404) : page(pages.install(visit, setUp, view))
    }),
  )

  // Somebody who reloads, or follows what the browser remembers of the download.
  app.get(
    PROFILE,
    anyone(portal, (visit) => go(paths.useSetUp(visit.params(link).token))),
  )

  app.post(
    PROFILE,
    anyone(portal, async (visit) => {
      visit.form(empty)
      const { token: setUp } = visit.params(link)
      visit.returnTo = paths.useSetUp(setUp)
      return await use(visit, setUp)
    }),
  )
}

/** The extension is for browsers that go by it. */
const PROFILE = '/profile/:token(^[A-Za-z0-9_-]{16,128}).mobileconfig'

/** What this person's policy and the servers allow; empty: there is no such page. */
function kindsFor({ settings }: Visit, { view }: SignedIn): readonly SetUpKind[] {
  const { allowed, protocols } = view.appPasswords
  if (!allowed) return []
  const { mail } = settings
  return setUpKinds({ ports: mail, activeSync: mail.activeSync }).filter((kind) =>
    NEEDS[kind].every((protocol) => protocols.includes(protocol)),
  )
}

async function choose(
  visit: Visit,
  { token: session }: SignedIn,
  kinds: readonly SetUpKind[],
  typed: { readonly name: string; readonly kind: SetUpKind },
  problem: string | null,
) {
  const made = await visit.call('set-up.list', { session })
  return pages.newSetUp(visit, { kinds, typed, problem, made })
}

async function make(
  visit: Visit,
  session: SignedIn,
  kinds: readonly SetUpKind[],
  typed: { readonly name: string; readonly kind: SetUpKind },
): Promise<Answer> {
  const { appPassword, deviceSetUp: t } = visit.words
  const again = async (problem: string, status = 422) =>
    page(await choose(visit, session, kinds, typed, problem), status)
  if (typed.name === '') return await again(appPassword.nameMissing)
  try {
    const { token, expiresAt } = await visit.call('set-up.create', {
      client: visit.client,
      session: session.token,
      name: typed.name,
      kind: typed.kind,
    })
    const path = paths.useSetUp(token)
    const url = new URL(path, visit.settings.url).href
    return page(pages.link(visit, { url, path, name: typed.name, expiresAt }))
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error
    if (error.code === 'invalid') return await again(t.invalid)
    if (error.code === 'cap-reached') return await again(t.noRoom(session.view.appPasswords.cap), 409)
    // The page does not offer what is not allowed: too many links are waiting.
    if (error.code === 'forbidden') return await again(t.tooMany, 409)
    throw error
  }
}

async function use(visit: Visit, setUp: string): Promise<Answer> {
  try {
    const made = await visit.call('set-up.consume', { client: visit.client, setUp })
    if (made === null) return page(pages.gone(visit), 404)
    return { file: Buffer.from(made.profile, 'base64'), type: PROFILE_TYPE, name: 'mail.mobileconfig' }
  } catch (error) {
    const isOver = error instanceof ServiceError && (error.code === 'cap-reached' || error.code === 'forbidden')
    if (isOver) return page(pages.failed(visit), 409)
    throw error
  }
}
