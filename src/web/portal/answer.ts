/**
 * What a route answers, and the way it takes: who may come in, whether the form is ours, and what each failure looks like.
 *
 * Every route is made by `anyone`, `signedIn` or `administrator`, so none can forget a check. A form goes through `isFromHere`
 * and the token before its handler runs. Failures are said in one place, `answerFailure`; whatever is not expected there is a
 * bug, which the server logs and counts.
 */

import type { FastifyReply, FastifyRequest } from 'fastify'
import { ServiceError } from '../../contract/services.ts'
import { isFromHere, isSameToken } from './csrf.ts'
import type { Html } from './html.ts'
import * as errors from './pages/errors.ts'
import { localPath, paths } from './paths.ts'
import { homeOf } from './settings.ts'
import type { Portal, SignedIn } from './visit.ts'
import { BadRequest, Visit } from './visit.ts'

export type Answer =
  | { readonly page: Html; readonly status?: number }
  /** 303: a form is followed by a page, so that going back and reloading repeat nothing. */
  | { readonly go: string }
  | { readonly json: unknown }
  /** To be saved, or handed to whatever knows its type. `name` is ours. */
  | { readonly file: Buffer; readonly type: string; readonly name: string }

export type Handler = (visit: Visit) => Promise<Answer> | Answer
export type SignedInHandler = (visit: Visit, session: SignedIn) => Promise<Answer> | Answer
type Route = (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply>

export const page = (content: Html, status = 200): Answer => ({ page: content, status })
export const go = (path: string): Answer => ({ go: path })
export const json = (value: unknown): Answer => ({ json: value })

/** Where somebody ends up who has nothing else to do. */
export const home = (visit: Visit): string => homeOf(visit.settings)

/** A page for everybody; `visit.session` is there when they are signed in. */
export const anyone = (portal: Portal, handler: Handler): Route => route(portal, 'nothing', handler)

/** `stage` 'any': also somebody who has just accepted an invitation and is setting up two-step. */
export function signedIn(portal: Portal, handler: SignedInHandler, stage: 'full' | 'any' = 'full'): Route {
  return route(portal, stage === 'any' ? 'session' : 'full session', (visit) => handler(visit, sessionOf(visit)))
}

/** For others there is no such page (threats H7). */
export function administrator(portal: Portal, handler: SignedInHandler): Route {
  return route(portal, 'administrator', (visit) => handler(visit, sessionOf(visit)))
}

type Needs = 'nothing' | 'session' | 'full session' | 'administrator'

function route(portal: Portal, needs: Needs, handler: Handler): Route {
  return async (request, reply) => {
    let visit: Visit
    try {
      visit = await Visit.begin(portal, request, reply)
    } catch (error) {
      return send(reply, answerFailure(error, Visit.stranger(portal, request, reply)))
    }
    try {
      return send(reply, await answerTo(visit, request, needs, handler))
    } catch (error) {
      return send(reply, answerFailure(error, visit))
    }
  }
}

async function answerTo(visit: Visit, request: FastifyRequest, needs: Needs, handler: Handler): Promise<Answer> {
  const { session } = visit
  // Before the form is looked at: its token was the session's, and what has to be said is that the session is over.
  if (needs !== 'nothing' && session === null) return notSignedIn(visit)
  if (request.method === 'POST' && !isOurs(visit, request))
    return page(errors.stale(visit, whyNotOurs(visit, request)), 403)
  const isWhole = session?.view.stage === 'full'
  if (needs === 'administrator' && !(isWhole && session.view.user.admin)) return page(errors.notFound(visit), 404)
  if (needs === 'full session' && !isWhole) return go('/enrol')
  return await handler(visit)
}

function sessionOf(visit: Visit): SignedIn {
  if (visit.session === null) throw new BadRequest('no session')
  return visit.session
}

function whyNotOurs({ words, settings }: Visit, request: FastifyRequest): string {
  return isFromHere(request.headers, settings.url) ? words.errors.staleText : words.errors.wrongPlace(settings.url)
}

function isOurs(visit: Visit, request: FastifyRequest): boolean {
  const given = (request.body as Record<string, unknown> | null | undefined)?.csrf
  return isFromHere(request.headers, visit.settings.url) && typeof given === 'string' && isSameToken(given, visit.csrf)
}

function notSignedIn(visit: Visit): Answer {
  if (visit.wasSignedIn) visit.leave({ kind: 'session-over' })
  const next = localPath(visit.returnTo)
  return go(paths.signIn(next === home(visit) || next === '/' ? null : next))
}

/** What a failure means for whoever asked. @throws the error itself when nobody foresaw it: a bug */
function answerFailure(error: unknown, visit: Visit): Answer {
  if (error instanceof BadRequest) return page(errors.invalid(visit), 400)
  if (!(error instanceof ServiceError)) throw error
  switch (error.code) {
    case 'signed-out':
    case 'unauthorised':
      visit.forgetSession()
      visit.leave({ kind: 'session-over' })
      return go(paths.signIn(localPath(visit.returnTo)))
    case 'step-up-needed':
      return go(paths.stepUp(localPath(visit.returnTo)))
    case 'not-found':
      return page(errors.notFound(visit), 404)
    case 'forbidden':
      visit.leave({ kind: 'not-allowed' })
      return go(home(visit))
    case 'unavailable':
    case 'throttled':
      return page(errors.unavailable(visit), 503)
    case 'not-configured':
      return page(errors.notFound(visit), 404)
    case 'invalid':
      return page(errors.invalid(visit), 400)
    case 'exists':
    case 'cap-reached':
    case 'outcome-unknown':
      // Routes that can meet these word them; the last is for callers with idempotency keys, and the portal sends none.
      throw error
  }
}

function send(reply: FastifyReply, answer: Answer): FastifyReply {
  if ('go' in answer) return reply.redirect(answer.go, 303)
  if ('json' in answer) return reply.send(answer.json)
  if ('file' in answer) {
    return reply
      .type(answer.type)
      .header('content-disposition', `attachment; filename="${answer.name}"`)
      .header('cache-control', 'no-store')
      .send(answer.file)
  }
  if (answer.status === 503) reply.header('retry-after', '5')
  return reply
    .code(answer.status ?? 200)
    .type('text/html; charset=utf-8')
    .send(answer.page.toString())
}
