/**
 * The pages of the https edge itself, for when web can't speak: small, in both languages, and without anything to load.
 */

import type { IncomingMessage, ServerResponse } from 'node:http'
import { discardBody, OWN_ANSWER_HEADERS } from '../http/answers.ts'

interface Words {
  readonly en: readonly [title: string, text: string]
  readonly nl: readonly [title: string, text: string]
}

const AWAY: Words = {
  en: ['Not available just now', 'Please try again in a minute. Your mail is not affected.'],
  nl: ['Even niet beschikbaar', 'Probeer het over een minuut opnieuw. Uw mail heeft hier geen last van.'],
}

const PAGES = {
  404: {
    en: ['Not found', 'There is nothing at this address.'],
    nl: ['Niet gevonden', 'Op dit adres is niets te vinden.'],
  },
  405: {
    en: ['Not possible', 'This address does not take such a request.'],
    nl: ['Niet mogelijk', 'Dit adres kan niets met dit soort verzoek.'],
  },
  413: { en: ['Too large', 'What you sent is too large.'], nl: ['Te groot', 'Wat u hebt gestuurd is te groot.'] },
  502: AWAY,
  503: AWAY,
  504: AWAY,
} as const satisfies Record<number, Words>

/** Statuses that there is a page for. */
export type PageStatus = keyof typeof PAGES

const RETRY_AFTER_SECONDS = '10'

/** Answers with one of our own pages. Nothing must have been answered yet. */
export function sendPage(request: IncomingMessage, response: ServerResponse, status: PageStatus): void {
  const language = /^\s*nl\b/i.test(request.headers['accept-language'] ?? '') ? 'nl' : 'en'
  const [title, text] = PAGES[status][language]
  const page = `<!doctype html>
<html lang="${language}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title}</title></head>
<body><h1>${title}</h1><p>${text}</p></body></html>
`
  response.writeHead(status, {
    ...OWN_ANSWER_HEADERS,
    'content-type': 'text/html; charset=utf-8',
    'content-length': Buffer.byteLength(page),
    ...(status >= 502 && { 'retry-after': RETRY_AFTER_SECONDS }),
  })
  response.end(request.method === 'HEAD' ? undefined : page)
  discardBody(request)
}
