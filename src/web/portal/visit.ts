/**
 * One request to the portal: who asks, in which language, with which form, and what is to be remembered by the browser.
 *
 * A route's handler gets a `Visit` and answers with an `Answer` (answer.ts); cookies that it sets go out with that. What a form
 * or an address holds is checked here, and what does not fit is a `BadRequest`, which changes nothing.
 */

import type { FastifyReply, FastifyRequest } from 'fastify'
import type { z } from 'zod'
import type { Language } from '../../contract/languages.ts'
import type { FreshSession, PortalClient } from '../../contract/portal/client.ts'
import type { PortalSessionView } from '../../contract/portal/session.ts'
import type { PortalAnswer, PortalMethodName, PortalRequest, PortalServices } from '../../contract/portal.ts'
import type { Log } from '../../log.ts'
import type { Assets } from './assets.ts'
import type { FlowCookie, Note } from './cookies.ts'
import { COOKIE_OPTIONS, COOKIES, pack, readFlow, readNote } from './cookies.ts'
import { formToken, newFormCookie } from './csrf.ts'
import type { Format } from './format.ts'
import { formatOf } from './format.ts'
import { chooseLanguage } from './language.ts'
import type { Messages } from './messages.ts'
import { messagesOf } from './messages.ts'
import type { PortalSettings } from './settings.ts'

/** What all routes share. */
export interface Portal {
  readonly keeper: PortalServices
  /** Asked for at each request, so that a reload takes effect. */
  readonly settings: () => PortalSettings
  readonly log: Log
  readonly assets: Assets
  /** Where a request comes from: the socket's far end is a process of ours. */
  readonly addressOf: (request: FastifyRequest) => string
}

export interface SignedIn {
  readonly token: string
  readonly view: PortalSessionView
}

/** A form, an address or a query that no page of ours makes. */
export class BadRequest extends Error {}

const MAX_AGENT = 256

export class Visit {
  readonly portal: Portal
  readonly settings: PortalSettings
  session: SignedIn | null
  readonly language: Language
  readonly words: Messages
  readonly format: Format
  /** What forms of the page must carry. */
  csrf: string
  /** What was done before this page, to be said on it. */
  readonly note: Note | null
  /** Where to come back to when something has to be done first; for a form, the page that it stands on. */
  returnTo: string
  readonly #request: FastifyRequest
  readonly #reply: FastifyReply

  private constructor(portal: Portal, session: SignedIn | null, request: FastifyRequest, reply: FastifyReply) {
    this.portal = portal
    this.settings = portal.settings()
    this.session = session
    this.#request = request
    this.#reply = reply
    this.language = languageOf(this.settings, request, session?.view.user.language ?? null)
    this.words = messagesOf(this.language)
    this.format = formatOf(this.language)
    this.csrf = session?.view.csrf ?? formToken(this.#formCookie())
    this.note = request.method === 'GET' ? readNote(request.cookies[COOKIES.note]) : null
    if (this.note !== null) reply.clearCookie(COOKIES.note, COOKIE_OPTIONS.note)
    this.returnTo = request.method === 'GET' ? request.url : '/'
  }

  /** @throws ServiceError when the keeper can't be asked who this is */
  static async begin(portal: Portal, request: FastifyRequest, reply: FastifyReply): Promise<Visit> {
    const token = request.cookies[COOKIES.session]
    if (token === undefined || token.length < 16 || token.length > 128) return new Visit(portal, null, request, reply)
    const language = languageOf(portal.settings(), request, null)
    const client = clientOf(portal, request, language)
    const view = await portal.keeper.call('session.show', { client, session: token })
    if (view === null) reply.clearCookie(COOKIES.session, COOKIE_OPTIONS.session)
    return new Visit(portal, view && { token, view }, request, reply)
  }

  /** A visit by nobody in particular: for what can be said without asking the keeper. */
  static stranger(portal: Portal, request: FastifyRequest, reply: FastifyReply): Visit {
    return new Visit(portal, null, request, reply)
  }

  get client(): PortalClient {
    return clientOf(this.portal, this.#request, this.language)
  }

  /** Whether the browser holds a session that is over. */
  get wasSignedIn(): boolean {
    return this.session === null && this.#request.cookies[COOKIES.session] !== undefined
  }

  get token(): string {
    if (this.session === null) throw new BadRequest('no session')
    return this.session.token
  }

  call<N extends PortalMethodName>(name: N, request: PortalRequest<N>): Promise<PortalAnswer<N>> {
    return this.portal.keeper.call(name, request)
  }

  form<T>(shape: z.ZodType<T>): T {
    return checked(shape, this.#request.body ?? {})
  }

  query<T>(shape: z.ZodType<T>): T {
    return checked(shape, this.#request.query ?? {})
  }

  params<T>(shape: z.ZodType<T>): T {
    return checked(shape, this.#request.params ?? {})
  }

  /** Everything behind the question mark, for an OpenID provider's answer. */
  get queryString(): string {
    const at = this.#request.url.indexOf('?')
    return at < 0 ? '' : this.#request.url.slice(at + 1)
  }

  get flow(): FlowCookie | null {
    return readFlow(this.#request.cookies[COOKIES.flow])
  }

  set flow(flow: FlowCookie | null) {
    if (flow === null) this.#reply.clearCookie(COOKIES.flow, COOKIE_OPTIONS.flow)
    else this.#reply.setCookie(COOKIES.flow, pack(flow), COOKIE_OPTIONS.flow)
  }

  /** A session began, or has a new token (threats H2). */
  signIn({ token }: FreshSession): void {
    this.#reply.setCookie(COOKIES.session, token, COOKIE_OPTIONS.session)
    this.#reply.clearCookie(COOKIES.form, COOKIE_OPTIONS.form)
  }

  /** The session has a new token, and the page that follows in this very answer is already one of it. */
  async renew(fresh: FreshSession): Promise<void> {
    this.signIn(fresh)
    const view = await this.call('session.show', { client: this.client, session: fresh.token })
    this.session = view && { token: fresh.token, view }
    this.csrf = view?.csrf ?? ''
  }

  forgetSession(): void {
    for (const name of ['session', 'flow', 'form'] as const)
      this.#reply.clearCookie(COOKIES[name], COOKIE_OPTIONS[name])
  }

  /** Has the next page say something. */
  leave(note: Note): void {
    this.#reply.setCookie(COOKIES.note, pack(note), COOKIE_OPTIONS.note)
  }

  setLanguage(language: Language): void {
    this.#reply.setCookie(COOKIES.language, language, COOKIE_OPTIONS.language)
  }

  #formCookie(): string {
    const had = this.#request.cookies[COOKIES.form]
    if (had !== undefined && had.length >= 22 && had.length <= 64) return had
    const made = newFormCookie()
    this.#reply.setCookie(COOKIES.form, made, COOKIE_OPTIONS.form)
    return made
  }
}

function languageOf(settings: PortalSettings, request: FastifyRequest, user: Language | null): Language {
  const cookie = request.cookies[COOKIES.language] ?? null
  return chooseLanguage(settings.languages, { user, cookie, header: request.headers['accept-language'] })
}

function clientOf(portal: Portal, request: FastifyRequest, language: Language): PortalClient {
  const agent = request.headers['user-agent']?.replace(/[^\x20-\x7e]/g, '').slice(0, MAX_AGENT)
  return { ip: portal.addressOf(request), agent: agent || null, language }
}

function checked<T>(shape: z.ZodType<T>, value: unknown): T {
  const parsed = shape.safeParse(value)
  if (!parsed.success)
    throw new BadRequest(parsed.error.issues.map(({ path, code }) => `${path.join('.')}: ${code}`).join(', '))
  return parsed.data
}
