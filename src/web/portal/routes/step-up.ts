/**
 * Step-up: one more factor before something is changed, and back to where one was (threats H9). That it is needed is the
 * keeper's to say; these pages only make it possible.
 */

import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import type { Refusal, SecondStep } from '../../../contract/portal/client.ts'
import { SECOND_STEPS } from '../../../contract/portal/client.ts'
import type { PortalAnswer } from '../../../contract/portal.ts'
import type { Answer } from '../answer.ts'
import { go, home, json, page, signedIn } from '../answer.ts'
import { code, formOf, id, next, text, webauthnResponse } from '../form.ts'
import { stepUp } from '../pages/step-up.ts'
import { paths } from '../paths.ts'
import { refusalText } from '../refusal.ts'
import type { Portal, SignedIn, Visit } from '../visit.ts'
import { onwards } from './providers.ts'

export function stepUpRoutes(app: FastifyInstance, portal: Portal): void {
  async function stepUpPage(
    visit: Visit,
    { view }: SignedIn,
    to: string | null,
    asked: SecondStep | null,
    problem: string | null,
  ): Promise<Answer> {
    const methods = view.stepUp.filter((method): method is SecondStep => method !== 'provider')
    const by = asked !== null && methods.includes(asked) ? asked : (methods[0] ?? null)
    const providers = view.stepUp.includes('provider') ? (await visit.call('sign-in.options', {})).providers : []
    visit.returnTo = paths.stepUp(to, by)
    return page(
      stepUp(visit, { by, methods, providers, next: to ?? home(visit), problem }),
      problem === null ? 200 : 401,
    )
  }

  async function follow(
    visit: Visit,
    session: SignedIn,
    answer: PortalAnswer<'step-up.totp'>,
    to: string | null,
    by: SecondStep,
  ): Promise<Answer> {
    if (answer.next === 'refused') {
      const factor = by === 'passkey' ? 'passkey' : 'code'
      return await stepUpPage(visit, session, to, by, refusalText(visit.words, answer as Refusal, factor))
    }
    visit.signIn(answer.session)
    return go(to ?? home(visit))
  }

  app.get(
    '/step-up',
    signedIn(portal, (visit, session) => {
      const asked = visit.query(z.object({ next, by: z.enum(SECOND_STEPS).optional() }))
      return stepUpPage(visit, session, asked.next, asked.by ?? null, null)
    }),
  )

  for (const [path, method, by] of [
    ['/step-up/code', 'step-up.totp', 'totp'],
    ['/step-up/recovery-code', 'step-up.recovery-code', 'recovery-code'],
  ] as const) {
    app.post(
      path,
      signedIn(portal, async (visit, session) => {
        const typed = visit.form(formOf({ code: by === 'totp' ? code : text(64), next }))
        visit.returnTo = paths.stepUp(typed.next, by)
        if (typed.code === '') return await stepUpPage(visit, session, typed.next, by, visit.words.refused['bad-code'])
        const answer = await visit.call(method, { client: visit.client, session: session.token, code: typed.code })
        return await follow(visit, session, answer, typed.next, by)
      }),
    )
  }

  app.post(
    '/step-up/passkey/begin',
    signedIn(portal, async (visit, { token }) => {
      const begun = await visit.call('step-up.passkey-begin', { client: visit.client, session: token })
      return json('next' in begun ? { problem: refusalText(visit.words, begun, 'passkey') } : begun)
    }),
  )

  app.post(
    '/step-up/passkey',
    signedIn(portal, async (visit, session) => {
      const { response, next: to } = visit.form(formOf({ response: webauthnResponse, next }))
      const answer = await visit.call('step-up.passkey-finish', {
        client: visit.client,
        session: session.token,
        response,
      })
      return await follow(visit, session, answer, to, 'passkey')
    }),
  )

  app.post(
    '/step-up/provider/:id',
    signedIn(portal, async (visit, session) => {
      const { next: to } = visit.form(formOf({ next }))
      const { id: provider } = visit.params(z.strictObject({ id }))
      const begun = await visit.call('sign-in.provider-begin', {
        client: visit.client,
        provider,
        session: session.token,
      })
      if ('next' in begun)
        return await stepUpPage(visit, session, to, null, refusalText(visit.words, begun, 'password'))
      visit.flow = { token: begun.flow, methods: [], next: to }
      return await onwards(visit, provider, begun.url)
    }),
  )
}
