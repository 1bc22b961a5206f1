/**
 * Set-up of mail clients over HTTP, as a Fastify plugin: autoconfig, autodiscover in both versions.
 *
 * Nobody signs in here and nothing is asked of the keeper: every answer follows from the configuration and the domain of the
 * address, so it is the same for addresses that exist and those that don't. A phone that looks for ActiveSync expects to be
 * asked for a name and password; they are not checked here, only at ActiveSync itself, so that this is no second place to guess at.
 */

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { NameRules } from '../../contract/names.ts'
import { canonicalDomain, canonicalName } from '../../contract/names.ts'
import type { PublishedSettings } from '../../contract/published.ts'
import { autoconfigDocument } from './autoconfig.ts'
import type { AutodiscoverError } from './autodiscover.ts'
import { errorDocument, mobileSyncDocument, outlookDocument, parseAutodiscover } from './autodiscover.ts'
import { autodiscoverJson } from './autodiscover-json.ts'

export interface SetUpOptions {
  /** Asked for at each request, so that a reload takes effect. null: we have no name that clients could be told. */
  readonly settings: () => PublishedSettings | null
  readonly names: () => NameRules
  readonly clock: () => Date
}

/** threats G-7. A question has less than 1 KiB. */
const MAX_BODY_BYTES = 64 * 1024
const XML = 'text/xml; charset=utf-8'
const TEXT = 'text/plain; charset=utf-8'
/** Clients ask when somebody sets them up; a wrong port must not stick for long. */
const CACHE = 'public, max-age=600'

const FOLDER = `/:folder(^${anyCase('autodiscover')}$)`
/**
 * /autodiscover/autodiscover.xml and .json in any capitalisation (phones write /Autodiscover/Autodiscover.xml), whatever the
 * rest of the server makes of capitals.
 */
const AUTODISCOVER = `${FOLDER}/:document(^${anyCase('autodiscover')}\\.(?:${anyCase('xml')}|${anyCase('json')})$)`

/**
 * quirk: some versions of Outlook and of its phone apps put the address into the path of version 2. It is looked at there no more
 * than in the query.
 */
const WITH_ADDRESS = `${FOLDER}/:document(^${anyCase('autodiscover')}\\.${anyCase('json')}$)/:version(^[vV]\\d\\.\\d$)/:address`

/** A pattern for a word in small letters. */
function anyCase(word: string): string {
  return [...word].map((letter) => `[${letter}${letter.toUpperCase()}]`).join('')
}

/** Register it on its own: it brings body parsers that nothing else should use. */
export async function clientSetUp(app: FastifyInstance, options: SetUpOptions): Promise<void> {
  const { names, clock } = options
  app.removeAllContentTypeParsers()
  // Some clients name no type, some a wrong one. Text is all that it can be.
  app.addContentTypeParser('*', { parseAs: 'string', bodyLimit: MAX_BODY_BYTES }, (_request, body, done) =>
    done(null, body),
  )
  app.addHook('onRequest', async (request, reply) => {
    if (options.settings() === null) return reply.callNotFound()
    // What can't be read as a type would be refused before a parser is asked.
    delete request.raw.headers['content-type']
  })
  app.addHook('onSend', async (_request, reply) => {
    reply.header('x-content-type-options', 'nosniff')
  })

  for (const path of ['/mail/config-v1.1.xml', '/.well-known/autoconfig/mail/config-v1.1.xml']) {
    app.get(path, async (request, reply) => {
      const domain = askedDomain(request, names())
      if (domain === null) return reply.code(404).type(TEXT).send('This domain is not served.\n')
      return reply.type(XML).header('cache-control', CACHE).send(autoconfigDocument(settings(), domain))
    })
  }

  app.get(AUTODISCOVER, async (request, reply) =>
    isForJson(request) ? answerJson(request, reply) : refuse(reply, 200, 600),
  )
  app.get(WITH_ADDRESS, answerJson)

  app.post(AUTODISCOVER, async (request, reply) => {
    if (isForJson(request)) return reply.callNotFound()
    const body = typeof request.body === 'string' ? request.body : ''
    const question =
      // quirk: Android sometimes posts nothing, and means ActiveSync and the name that it signs in with.
      body.trim() === ''
        ? ({ ok: true, schema: 'mobilesync', address: basicUser(request.headers.authorization) ?? '' } as const)
        : parseAutodiscover(body)
    if (!question.ok) return refuse(reply, 400, 600)
    const { activeSync, ports } = settings()
    if (question.schema === 'mobilesync' && activeSync !== null) {
      // Phones send a name and password when they are asked for them, and some go no further when they are not.
      if (basicUser(request.headers.authorization) === null) return demandCredentials(reply)
      const address = servedAddress(question.address, names())
      return address === null ? refuse(reply, 200, 500) : answer(reply, mobileSyncDocument(activeSync, address))
    }
    if (question.schema !== 'outlook' || Object.values(ports).every((each) => each.length === 0)) {
      return refuse(reply, 200, 601)
    }
    const address = servedAddress(question.address, names())
    return address === null ? refuse(reply, 200, 500) : answer(reply, outlookDocument(settings(), address))
  })

  // Beside them (autodiscover.svc, say) is nothing, said without a page and without its cookie: a phone would send that along
  // to ActiveSync under the same name, where whoever has a cookie is a browser.
  for (const path of [`${FOLDER}/*`, '/.well-known/autoconfig/*']) {
    app.all(path, (_request, reply) => reply.code(404).type(TEXT).send('There is nothing here.\n'))
  }

  function settings(): PublishedSettings {
    const found = options.settings()
    if (found === null) throw new Error('the settings went away while a request was answered')
    return found
  }

  async function answerJson(request: FastifyRequest, reply: FastifyReply) {
    const { status, body } = autodiscoverJson(settings(), queryValue(request, 'protocol'))
    return reply.code(status).header('cache-control', 'no-store').send(body)
  }

  function answer(reply: FastifyReply, document: string) {
    return reply.type(XML).header('cache-control', 'no-store').send(document)
  }

  function refuse(reply: FastifyReply, status: 200 | 400, code: AutodiscoverError) {
    return answer(reply.code(status), errorDocument(code, clock()))
  }
}

function isForJson({ params }: FastifyRequest): boolean {
  return (params as { document: string }).document.toLowerCase().endsWith('.json')
}

/**
 * Whose settings are asked for: the domain of the address in the query, else the one that the host name is about.
 *
 * @returns null when that is no domain of ours
 */
function askedDomain(request: FastifyRequest, { domains }: NameRules): string | null {
  const address = queryValue(request, 'emailaddress')
  if (address !== null && address !== '') {
    const domain = canonicalDomain(address.slice(address.lastIndexOf('@') + 1))
    return domain !== null && domains.includes(domain) ? domain : null
  }
  const host = request.headers.host?.replace(/:\d+$/, '').toLowerCase() ?? ''
  const named = domains.find((domain) => host === domain || host === `autoconfig.${domain}`)
  return named ?? domains[0] ?? null
}

/** The canonical form of an address of a served domain; whether anybody has it is not asked. */
function servedAddress(raw: string, rules: NameRules): string | null {
  const name = canonicalName(raw, rules)
  return name.ok && rules.domains.includes(name.domain) ? name.name : null
}

/** One value of the query, its name in any capitalisation; null: it is not there, or there twice. */
function queryValue({ query }: FastifyRequest, name: string): string | null {
  const values = Object.entries(query as Record<string, unknown>).filter(([key]) => key.toLowerCase() === name)
  const [, value] = values[0] ?? []
  return values.length === 1 && typeof value === 'string' ? value : null
}

/** The name in an Authorization header (RFC 7617 §2); null: no such header. The password behind it is not looked at. */
function basicUser(header: string | undefined): string | null {
  const [, encoded] = /^Basic +([A-Za-z0-9+/=]{1,4096})$/i.exec(header ?? '') ?? []
  if (encoded === undefined) return null
  const decoded = Buffer.from(encoded, 'base64').toString('utf8')
  const colon = decoded.indexOf(':')
  return colon < 0 ? null : decoded.slice(0, colon)
}

function demandCredentials(reply: FastifyReply) {
  return reply
    .code(401)
    .header('www-authenticate', 'Basic realm="mail", charset="UTF-8"')
    .type(TEXT)
    .send('Sign in with your address and an app password.\n')
}
