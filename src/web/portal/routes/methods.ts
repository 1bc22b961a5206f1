/** Second steps and recovery codes: adding, making anew, deleting. */

import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import type { MethodAdded, MethodList } from '../../../contract/portal/methods.ts'
import { ServiceError } from '../../../contract/services.ts'
import type { Answer } from '../answer.ts'
import { go, home, json, page, signedIn } from '../answer.ts'
import { code, empty, formOf, id, text, webauthnResponse } from '../form.ts'
import * as add from '../pages/add.ts'
import { recoveryCodes, stepsOf } from '../pages/enrol.ts'
import { layout } from '../pages/layout.ts'
import { confirmation } from '../pages/parts.ts'
import { paths } from '../paths.ts'
import type { Portal, SignedIn, Visit } from '../visit.ts'

const KINDS = ['totp', 'passkey', 'provider'] as const
const MAX_NAME = 64

export function methodRoutes(app: FastifyInstance, portal: Portal): void {
  app.get(
    '/add',
    signedIn(portal, (visit, { view }) => page(add.addMethod(visit, view.appPasswords.allowed))),
  )

  app.get(
    '/add/authenticator',
    signedIn(portal, async (visit, session) => await totpPage(visit, session, null), 'any'),
  )

  app.post(
    '/add/authenticator',
    signedIn(
      portal,
      async (visit, session) => {
        const typed = visit.form(
          formOf({
            id,
            code,
            name: text(MAX_NAME),
            // What the page was made from, to be shown again. It is the person's own, and goes nowhere but back to them.
            secret: z.string().regex(/^[A-Z2-7]{16,128}$/),
            uri: z.string().max(1024).startsWith('otpauth://totp/'),
          }),
        )
        visit.returnTo = '/add/authenticator'
        const name = typed.name || visit.words.totp.defaultName
        const again = (problem: string) =>
          page(add.totp(visit, { ...typed, name, problem, enrolling: enrollingOf(session) }), 422)
        if (typed.code === '') return again(visit.words.totp.wrong)
        try {
          const added = await visit.call('totp.confirm', {
            client: visit.client,
            session: session.token,
            id: typed.id,
            code: typed.code,
            name,
          })
          return added === null ? again(visit.words.totp.wrong) : await methodAdded(visit, session, added, name)
        } catch (error) {
          // It was good for ten minutes.
          if (error instanceof ServiceError && error.code === 'not-found') {
            return await totpPage(visit, session, visit.words.totp.again)
          }
          throw error
        }
      },
      'any',
    ),
  )

  app.get(
    '/add/passkey',
    signedIn(
      portal,
      (visit, session) =>
        needsStepUp(session)
          ? go(paths.stepUp('/add/passkey'))
          : page(add.passkey(visit, { problem: null, enrolling: enrollingOf(session) })),
      'any',
    ),
  )

  app.post(
    '/add/passkey/begin',
    signedIn(
      portal,
      async (visit, { token }) => {
        try {
          return json(await visit.call('passkey.begin', { session: token }))
        } catch (error) {
          if (!(error instanceof ServiceError && error.code === 'step-up-needed')) throw error
          return json({ go: paths.stepUp('/add/passkey') })
        }
      },
      'any',
    ),
  )

  app.post(
    '/add/passkey',
    signedIn(
      portal,
      async (visit, session) => {
        const typed = visit.form(formOf({ response: webauthnResponse, name: text(MAX_NAME) }))
        visit.returnTo = '/add/passkey'
        const name = typed.name || visit.words.passkey.defaultName
        const added = await visit.call('passkey.confirm', {
          client: visit.client,
          session: session.token,
          response: typed.response,
          name,
        })
        if (added !== null) return await methodAdded(visit, session, added, name)
        return page(add.passkey(visit, { problem: visit.words.passkeys.failed, enrolling: enrollingOf(session) }), 422)
      },
      'any',
    ),
  )

  app.get(
    '/recovery-codes',
    signedIn(portal, (visit, session) =>
      needsStepUp(session) ? go(paths.stepUp('/recovery-codes')) : page(add.renewCodes(visit)),
    ),
  )

  app.post(
    '/recovery-codes',
    signedIn(
      portal,
      async (visit, session) => {
        visit.form(empty)
        visit.returnTo = '/recovery-codes'
        const { codes } = await visit.call('recovery-codes.renew', { client: visit.client, session: session.token })
        return codesPage(visit, session, codes)
      },
      'any',
    ),
  )

  const one = z.strictObject({ kind: z.enum(KINDS), id })

  app.get(
    '/methods/:kind/:id/delete',
    signedIn(portal, async (visit, session) => {
      const asked = visit.params(one)
      const path = paths.deleteMethod(asked.kind, asked.id)
      if (needsStepUp(session)) return go(paths.stepUp(path))
      const name = nameOf(await visit.call('methods.list', { session: session.token }), asked)
      if (name === null) throw new ServiceError('not-found', 'no such method')
      const { deleteMethod: t, common } = visit.words
      const title = t.title(name)
      return page(
        layout(
          visit,
          { title, here: 'home' },
          confirmation(visit, { action: path, title, text: t.text, submit: common.delete, back: '/' }),
        ),
      )
    }),
  )

  app.post(
    '/methods/:kind/:id/delete',
    signedIn(portal, async (visit, { token: session }) => {
      visit.form(empty)
      const asked = visit.params(one)
      visit.returnTo = paths.deleteMethod(asked.kind, asked.id)
      const name = nameOf(await visit.call('methods.list', { session }), asked)
      if (name === null) throw new ServiceError('not-found', 'no such method')
      try {
        await visit.call('method.delete', { client: visit.client, session, ...asked })
        visit.leave({ kind: 'method-deleted', name })
      } catch (error) {
        if (!(error instanceof ServiceError && error.code === 'forbidden')) throw error
        visit.leave({ kind: 'last-method' })
      }
      return go(home(visit))
    }),
  )
}

/** Better before a form is filled in than after. While enrolling the invitation or password is proof enough for the first one. */
export function needsStepUp({ view }: SignedIn): boolean {
  return view.stage === 'full' && (view.freshUntil === null || new Date(view.freshUntil) <= new Date())
}

const enrollingOf = ({ view }: SignedIn): { readonly allowed: boolean } | null =>
  view.stage === 'enrolling' ? { allowed: view.appPasswords.allowed } : null

async function totpPage(visit: Visit, session: SignedIn, problem: string | null): Promise<Answer> {
  if (needsStepUp(session)) return go(paths.stepUp('/add/authenticator'))
  const begun = await visit.call('totp.begin', { session: session.token })
  const name = visit.words.totp.defaultName
  return page(
    add.totp(visit, { ...begun, name, problem, enrolling: enrollingOf(session) }),
    problem === null ? 200 : 422,
  )
}

async function methodAdded(
  visit: Visit,
  session: SignedIn,
  { session: fresh, recoveryCodes: codes }: MethodAdded,
  name: string,
): Promise<Answer> {
  await visit.renew(fresh)
  if (codes !== null) return codesPage(visit, session, codes)
  visit.leave({ kind: 'method-added', name })
  return go(session.view.stage === 'enrolling' ? '/enrol' : home(visit))
}

function codesPage(visit: Visit, { view }: SignedIn, codes: readonly string[]): Answer {
  const step = view.stage === 'enrolling' ? { at: 2, of: stepsOf(view.appPasswords.allowed) } : null
  return page(recoveryCodes(visit, { codes, step }))
}

function nameOf(
  { totp, passkeys, providers }: MethodList,
  { kind, id: wanted }: { readonly kind: (typeof KINDS)[number]; readonly id: string },
): string | null {
  const list = { totp, passkey: passkeys, provider: providers }[kind]
  return list.find((each) => each.id === wanted)?.name ?? null
}
