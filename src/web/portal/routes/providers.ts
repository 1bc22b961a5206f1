/**
 * OpenID providers: signing in there, linking an account while setting up, and being told by one that somebody has signed out.
 *
 * The browser goes there and comes back with an answer in its address; what guards that is the flow in its cookie and the
 * keeper's `state` (threats H5).
 */

import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { ServiceError } from '../../../contract/services.ts'
import type { Answer } from '../answer.ts'
import { page, signedIn } from '../answer.ts'
import { empty, id } from '../form.ts'
import { forwarding, refusedByProvider } from '../pages/sign-in.ts'
import { refusalText } from '../refusal.ts'
import type { Portal, Visit } from '../visit.ts'

/** A token is a few hundred bytes. */
const logoutForm = z.object({ logout_token: z.string().min(1).max(16_384) })
const one = z.strictObject({ id })

export function providerRoutes(app: FastifyInstance, portal: Portal): void {
  app.post(
    '/add/provider/:id',
    signedIn(
      portal,
      async (visit, { token: session }) => {
        visit.form(empty)
        visit.returnTo = '/enrol'
        const { id: provider } = visit.params(one)
        const begun = await visit.call('sign-in.provider-begin', {
          client: visit.client,
          provider,
          session,
          link: true,
        })
        if ('next' in begun) return page(refusedByProvider(visit, refusalText(visit.words, begun, 'password')), 503)
        visit.flow = { token: begun.flow, methods: [], next: '/enrol' }
        return await onwards(visit, provider, begun.url)
      },
      'any',
    ),
  )

  /** OpenID Connect Back-Channel Logout §2.5–2.8. From a server, so without cookie or Origin: the token's signature is the proof. */
  app.post('/sign-in/provider/:id/logout', async (request, reply) => {
    reply.header('cache-control', 'no-store')
    const params = one.safeParse(request.params)
    const body = logoutForm.safeParse(request.body)
    if (!params.success || !body.success) return reply.code(400).send({ error: 'invalid_request' })
    try {
      await portal.keeper.call('sign-in.provider-logout', {
        provider: params.data.id,
        logoutToken: body.data.logout_token,
      })
      return reply.code(200).send()
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error
      if (error.code === 'unavailable') return reply.code(503).header('retry-after', '5').send()
      return reply.code(400).send({ error: 'invalid_request' })
    }
  })
}

/** The page on the way to a provider. */
export async function onwards(visit: Visit, provider: string, url: string): Promise<Answer> {
  const { providers } = await visit.call('sign-in.options', {})
  return page(forwarding(visit, providers.find((each) => each.id === provider)?.name ?? provider, url))
}
