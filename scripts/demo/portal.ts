/**
 * The portal in the demo: an invitation for the demo's user, and whether its page is there.
 */

import { once } from 'node:events'
import { request } from 'node:https'
import type { Sallyport } from '../../test/support/sallyport.ts'
import { trust } from './clients.ts'
import { must, say, step } from './steps.ts'

/** Answers the invitation's link; null: a step failed, and has been said. */
export async function openPortal(gate: Sallyport, user: string): Promise<string | null> {
  say('\nThe portal, where people do all of this themselves:')
  const invitation = await step(`sallyport user invite ${user}`, () =>
    gate.json<{ readonly url: string }>(['user', 'invite', user]),
  )
  if (invitation === null) return null
  const shown = await step('the page behind the link says welcome', async (note) => {
    const page = await get(gate, invitation.url)
    const title = /<h1>([^<]+)<\/h1>/.exec(page)?.[1] ?? ''
    must(title.startsWith('Welcome'), 'it does not')
    note(`“${title}”, at ${new URL(invitation.url).origin}`)
  })
  return shown === null ? null : invitation.url
}

async function get(gate: Sallyport, url: string): Promise<string> {
  const asked = request(url, { ...trust(gate), headers: { 'accept-language': 'en' } })
  asked.end()
  const [response] = await once(asked, 'response')
  let text = ''
  for await (const part of response) text += part
  must(response.statusCode === 200, `it answers ${response.statusCode}`)
  return text
}
