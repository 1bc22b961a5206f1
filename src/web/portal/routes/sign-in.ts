/**
 * Signing in (R33): name and password, a passkey alone, an OpenID provider; then the second step; and signing out.
 *
 * Between the steps the browser holds the flow in a cookie, the keeper all that matters of it. Where to go afterwards travels
 * along, and is looked at again before it is used.
 */

import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { LANGUAGES } from '../../../contract/languages.ts'
import type { SecondStep, SignInAnswer } from '../../../contract/portal/client.ts'
import { SECOND_STEPS } from '../../../contract/portal/client.ts'
import type { Answer } from '../answer.ts'
import { anyone, go, home, json, page } from '../answer.ts'
import { code, empty, formOf, id, next, text, webauthnResponse } from '../form.ts'
import * as pages from '../pages/sign-in.ts'
import { localPath, paths } from '../paths.ts'
import { refusalText } from '../refusal.ts'
import type { Portal, Visit } from '../visit.ts'
import { onwards } from './providers.ts'

export function signInRoutes(app: FastifyInstance, portal: Portal): void {
  const options = (visit: Visit) => visit.call('sign-in.options', {})

  async function signInPage(visit: Visit, next: string | null, user: string, problem: string | null): Promise<Answer> {
    return page(
      pages.signIn(visit, { options: await options(visit), next, user, problem }),
      problem === null ? 200 : 401,
    )
  }

  /** What comes after a step: the next one, a page of the person's, or the words why not. */
  async function follow(
    visit: Visit,
    answer: SignInAnswer,
    next: string | null,
    refused: (text: string) => Promise<Answer>,
    factor: 'password' | 'code' | 'passkey',
  ): Promise<Answer> {
    switch (answer.next) {
      case 'signed-in':
        visit.flow = null
        visit.signIn(answer.session)
        return go(answer.stage === 'enrolling' ? '/enrol' : (localPath(next) ?? home(visit)))
      case 'second-step':
        visit.flow = { token: answer.flow, methods: [...answer.methods], next }
        return go(paths.secondStep())
      case 'refused':
        if (answer.why !== 'flow-over') return await refused(refusalText(visit.words, answer, factor))
        visit.flow = null
        return await signInPage(visit, next, '', refusalText(visit.words, answer, factor))
    }
  }

  app.get(
    '/sign-in',
    anyone(portal, async (visit) => {
      const asked = visit.query(z.object({ next }))
      visit.returnTo = paths.signIn(asked.next)
      if (visit.session !== null)
        return go(visit.session.view.stage === 'enrolling' ? '/enrol' : (asked.next ?? home(visit)))
      return await signInPage(visit, asked.next, '', null)
    }),
  )

  app.post(
    '/sign-in',
    anyone(portal, async (visit) => {
      const typed = visit.form(formOf({ user: text(1024), password: z.string().max(4096), next }))
      visit.returnTo = paths.signIn(typed.next)
      const refused = (problem: string) => signInPage(visit, typed.next, typed.user.slice(0, 254), problem)
      const { user, password } = typed
      // Nobody has such a name or password: no need to ask.
      if (user === '' || password === '' || user.length > 254 || password.length > 1024) {
        return await refused(visit.words.refused['bad-credentials'])
      }
      const answer = await visit.call('sign-in.password', { client: visit.client, user, password })
      return await follow(visit, answer, typed.next, refused, 'password')
    }),
  )

  app.get(
    '/sign-in/second-step',
    anyone(portal, (visit) => {
      const { by } = visit.query(z.object({ by: z.enum(SECOND_STEPS).optional() }))
      return secondStepPage(visit, by ?? null, null)
    }),
  )

  for (const [path, method, by] of [
    ['/sign-in/code', 'sign-in.totp', 'totp'],
    ['/sign-in/recovery-code', 'sign-in.recovery-code', 'recovery-code'],
  ] as const) {
    app.post(
      path,
      anyone(portal, async (visit) => {
        const typed = visit.form(formOf({ code: by === 'totp' ? code : text(64) }))
        const { flow } = visit
        visit.returnTo = paths.secondStep(by)
        if (flow === null) return go(paths.signIn())
        const refused = async (problem: string) => secondStepPage(visit, by, problem)
        if (typed.code === '') return await refused(visit.words.refused['bad-code'])
        const answer = await visit.call(method, { client: visit.client, flow: flow.token, code: typed.code })
        return await follow(visit, answer, flow.next, refused, 'code')
      }),
    )
  }

  app.post(
    '/sign-in/passkey/begin',
    anyone(portal, async (visit) => {
      const asked = visit.form(formOf({ next, response: z.string().max(0).optional() }))
      // On the second page there is a flow already; on the first one the passkey is all there is.
      const before = visit.flow
      const flow = before?.methods.includes('passkey') ? before.token : null
      const begun = await visit.call('sign-in.passkey-begin', { client: visit.client, flow })
      if ('next' in begun) return json({ problem: refusalText(visit.words, begun, 'passkey') })
      visit.flow =
        flow === null
          ? { token: begun.flow, methods: [], next: asked.next }
          : { ...before, token: begun.flow, methods: before?.methods ?? [], next: before?.next ?? null }
      return json({ options: begun.options })
    }),
  )

  app.post(
    '/sign-in/passkey',
    anyone(portal, async (visit) => {
      const { response } = visit.form(formOf({ response: webauthnResponse, next }))
      const { flow } = visit
      if (flow === null) return go(paths.signIn())
      const isAlone = flow.methods.length === 0
      const refused = (problem: string): Promise<Answer> =>
        isAlone ? signInPage(visit, flow.next, '', problem) : Promise.resolve(secondStepPage(visit, 'passkey', problem))
      const answer = await visit.call('sign-in.passkey-finish', { client: visit.client, flow: flow.token, response })
      return await follow(visit, answer, flow.next, refused, 'passkey')
    }),
  )

  app.post(
    '/sign-in/provider/:id',
    anyone(portal, async (visit) => {
      const asked = visit.form(formOf({ next }))
      const { id: provider } = visit.params(z.strictObject({ id }))
      const begun = await visit.call('sign-in.provider-begin', { client: visit.client, provider, session: null })
      if ('next' in begun) return await signInPage(visit, asked.next, '', refusalText(visit.words, begun, 'password'))
      visit.flow = { token: begun.flow, methods: [], next: asked.next }
      return await onwards(visit, provider, begun.url)
    }),
  )

  /** The provider sends the browser here, with its answer in the query. Not a form: `state` in the flow guards it (threats H5). */
  app.get(
    '/sign-in/return',
    anyone(portal, async (visit) => {
      const { flow } = visit
      visit.returnTo = paths.signIn()
      if (flow === null) return await signInPage(visit, null, '', visit.words.refused['flow-over'])
      const answer = await visit.call('sign-in.provider-finish', {
        client: visit.client,
        flow: flow.token,
        query: visit.queryString.slice(0, 8192),
      })
      visit.flow = null
      const refused = async (problem: string): Promise<Answer> =>
        visit.session === null
          ? await signInPage(visit, flow.next, '', problem)
          : page(pages.refusedByProvider(visit, problem), 401)
      return await follow(visit, answer, flow.next, refused, 'password')
    }),
  )

  app.post(
    '/sign-out',
    anyone(portal, async (visit) => {
      visit.form(empty)
      if (visit.session !== null) await visit.call('session.sign-out', { session: visit.session.token })
      visit.forgetSession()
      visit.leave({ kind: 'signed-out' })
      return go(paths.signIn())
    }),
  )

  app.post(
    '/language',
    anyone(portal, async (visit) => {
      const { language, next: to } = visit.form(formOf({ language: z.enum(LANGUAGES), next }))
      visit.setLanguage(language)
      if (visit.session !== null) await visit.call('session.language', { session: visit.session.token, language })
      return go(to ?? home(visit))
    }),
  )
}

function secondStepPage(visit: Visit, by: SecondStep | null, problem: string | null): Answer {
  const { flow } = visit
  visit.returnTo = paths.secondStep(by)
  const first = flow?.methods[0]
  if (flow === null || first === undefined) return go(paths.signIn())
  const chosen = by !== null && flow.methods.includes(by) ? by : first
  return page(pages.secondStep(visit, { by: chosen, methods: flow.methods, problem }), problem === null ? 200 : 401)
}
