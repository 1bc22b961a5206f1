/**
 * Somebody at the portal with a browser that runs no scripts: keeps cookies, follows what it is sent to, fills in forms.
 *
 * For our own pages alone, whose markup is known; it is no HTML parser.
 */

import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { must } from './steps.ts'

export interface Page {
  readonly path: string
  readonly status: number
  readonly type: string
  readonly text: string
}

export interface Visitor {
  open(path: string): Promise<Page>
  /** Sends the form of this page that goes to `action`, with what is hidden or ticked in it. */
  submit(page: Page, action: string, fields?: Readonly<Record<string, string>>): Promise<Page>
}

const MAX_REDIRECTS = 5

/** @param origin 'https://localhost:8443' */
export function createVisitor(origin: string, tls: { readonly ca: Buffer; readonly servername: string }): Visitor {
  const cookies = new Map<string, string>()

  function keep(response: IncomingMessage): void {
    for (const line of response.headers['set-cookie'] ?? []) {
      const [, name = '', value = ''] = /^([^=;]+)=([^;]*)/.exec(line) ?? []
      if (value === '' || /;\s*max-age=0\b/i.test(line)) cookies.delete(name)
      else cookies.set(name, value)
    }
  }

  async function ask(method: 'GET' | 'POST', path: string, body: string | null, hops = 0): Promise<Page> {
    const asked = request(new URL(path, origin), {
      ...tls,
      method,
      headers: {
        'accept-language': 'en',
        cookie: [...cookies].map((pair) => pair.join('=')).join('; '),
        ...(body !== null && { origin, 'content-type': 'application/x-www-form-urlencoded' }),
      },
    })
    asked.end(body ?? '')
    const [response] = (await once(asked, 'response')) as [IncomingMessage]
    keep(response)
    let text = ''
    for await (const part of response.setEncoding('utf8')) text += part
    const { statusCode: status = 0, headers } = response
    if (headers.location !== undefined && status >= 300 && status < 400) {
      must(hops < MAX_REDIRECTS, `${path} sends in circles`)
      const next = new URL(headers.location, new URL(path, origin))
      must(next.origin === origin, `${path} sends to ${next.origin}`)
      return ask('GET', next.pathname + next.search, null, hops + 1)
    }
    must(status === 200, `${path} answers ${status}`)
    return { path, status, type: headers['content-type'] ?? '', text }
  }

  return {
    open: (path) => ask('GET', path, null),
    submit(page, action, fields = {}) {
      const form = [...page.text.matchAll(/<form\b[^>]*\baction="([^"]*)"[^>]*>([\s\S]*?)<\/form>/g)].find(
        ([, to]) => to === action,
      )
      must(form !== undefined, `${page.path} has no form for ${action}`)
      const body = new URLSearchParams()
      for (const [input] of form?.[2]?.matchAll(/<input\b[^>]*>/g) ?? []) {
        if (/\btype="hidden"|\bchecked\b/.test(input)) body.append(attribute(input, 'name'), attribute(input, 'value'))
      }
      for (const [name, value] of Object.entries(fields)) body.set(name, value)
      return ask('POST', action, body.toString())
    },
  }
}

function attribute(tag: string, name: string): string {
  return new RegExp(`\\b${name}="([^"]*)"`).exec(tag)?.[1] ?? ''
}

/** The text of the element with this id. */
export function textOf({ text, path }: Page, id: string): string {
  const found = new RegExp(`\\bid="${id}"[^>]*>([^<]*)<`).exec(text)?.[1]?.trim() ?? ''
  must(found !== '', `${path} has no #${id}`)
  return found
}

/** The page's heading. */
export const headingOf = ({ text }: Page): string => /<h1>([^<]*)<\/h1>/.exec(text)?.[1] ?? ''
