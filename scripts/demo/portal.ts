/**
 * The portal in the demo: what a person does there who was invited, from the link to a phone that reads mail, and an
 * invitation for whoever watches.
 */

import { TOTP } from 'otpauth'
import type { Sallyport } from '../../test/support/sallyport.ts'
import { plainPassword } from '../../test/support/secrets.ts'
import { imapClient, subjectsIn, trust } from './clients.ts'
import { must, say, step } from './steps.ts'
import type { Page, Visitor } from './visitor.ts'
import { createVisitor, headingOf, textOf } from './visitor.ts'

/** Answers the link of a fresh invitation; null: a step failed, and has been said. */
export async function openPortal(gate: Sallyport, user: string): Promise<string | null> {
  say('\nThe portal, where people do all of this themselves:')
  const invited = await step(`sallyport user invite ${user}`, () => invite(gate, ['user', 'invite', user]))
  if (invited === null) return null
  const visitor = createVisitor(new URL(invited).origin, trust(gate))
  await step('the page behind the link says welcome', async (note) => {
    const title = headingOf(await visitor.open(new URL(invited).pathname))
    must(title.startsWith('Welcome'), `it says “${title}”`)
    note(`“${title}”, at ${new URL(invited).origin}`)
  })
  const home = await step('two-step sign-in is set up, and the first app password made', (note) =>
    enrol(visitor, new URL(invited).pathname, note),
  )
  if (home === null) return null
  const profile = await step('“Set up this iPhone or Mac”: a link that works once, and the profile behind it', (note) =>
    setUpDevice(visitor, note),
  )
  if (profile !== null) {
    await step('what the profile holds reads the inbox', async (note) => {
      const imap = imapClient(gate, user, profile.password)
      imap.on('error', () => {})
      await imap.connect()
      note(`${(await subjectsIn(imap)).length} messages, as ${profile.user}`)
      await imap.logout()
    })
  }
  return await step(`sallyport user reset-two-step ${user}, for you to do it yourself`, () =>
    invite(gate, ['user', 'reset-two-step', user, '--yes']),
  )
}

async function invite(gate: Sallyport, command: readonly string[]): Promise<string> {
  return (await gate.json<{ readonly url: string }>(command)).url
}

/** R20, R21: from the invitation to the first app password. */
async function enrol(visitor: Visitor, path: string, note: (line: string) => void): Promise<Page> {
  await visitor.submit(await visitor.open(path), path)
  const begun = await visitor.open('/add/authenticator')
  const app = new TOTP({ secret: textOf(begun, 'key').replace(/\s/g, '') })
  const codes = await visitor.submit(begun, '/add/authenticator', { code: app.generate() })
  const shown = codes.text.match(/<code>/g)?.length ?? 0
  note(`an authenticator app, and ${shown} recovery codes`)
  must(shown === 10, `${shown} recovery codes`)
  const password = plainPassword()
  const asked = await visitor.submit(codes, '/enrol', { saved: 'yes' })
  const naming = await visitor.submit(asked, '/enrol/password', { password, again: password })
  const made = await visitor.submit(naming, '/app-passwords/new', { name: 'Outlook 2010' })
  note(`app password “Outlook 2010”: ${textOf(made, 'password').replace(/\S/g, '•')}`)
  const home = await visitor.submit(made, '/enrol/finish')
  must(home.text.includes('Outlook 2010'), 'it is not in the list')
  return home
}

/** M10. The profile is read as a device would: its user and its password. */
async function setUpDevice(visitor: Visitor, note: (line: string) => void) {
  const asked = await visitor.open('/set-up')
  const link = new URL(textOf(await visitor.submit(asked, '/set-up', { name: 'iPhone', kind: 'imap' }), 'link'))
    .pathname
  const page = await visitor.open(link)
  const profile = await visitor.submit(page, link.replace('/set-up/', '/profile/').concat('.mobileconfig'))
  must(profile.type.startsWith('application/x-apple-aspen-config'), `it is ${profile.type}`)
  const value = (key: string) =>
    new RegExp(`<key>${key}</key>\\s*<(?:string|integer)>([^<]*)<`).exec(profile.text)?.[1] ?? ''
  note(
    `${value('IncomingMailServerHostName')}:${value('IncomingMailServerPortNumber')}, and a new app password “iPhone”`,
  )
  return { user: value('IncomingMailServerUsername'), password: value('IncomingPassword') }
}
