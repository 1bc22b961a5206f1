/**
 * People at the portal's side of a keeper: signed in, enrolled, with codes of their authenticator apps.
 */

import * as OTPAuth from 'otpauth'
import type { Test } from 'tap'
import type { PortalClient } from '../../src/contract/portal/client.ts'
import type { House, HouseOptions } from './house.ts'
import { house } from './house.ts'

const PORTAL = 'portal: { url: "https://mail.a.test" }'
export const PASSWORD = 'correct horse 1'
export const CLIENT: PortalClient = { ip: '192.0.2.7', agent: 'Firefox', language: 'en' }

/** A code of an authenticator app at that time. */
export function codeOf(seed: string, at: Date): string {
  return new OTPAuth.TOTP({ secret: OTPAuth.Secret.fromBase32(seed) }).generate({ timestamp: at.getTime() })
}

/** A keeper with a portal and a clock that stands until it is moved. */
export async function peopleHouse(t: Test, options: HouseOptions & { readonly signIn?: string } = {}) {
  const time = { at: new Date('2026-03-01T12:00:00Z') }
  const h = await house(t, {
    clock: () => time.at,
    now: () => time.at.getTime(),
    ...options,
    yaml: [PORTAL, options.signIn ?? 'signIn: { local: true }', options.yaml ?? ''].join('\n'),
  })
  return {
    ...h,
    time,
    pass(ms: number) {
      time.at = new Date(time.at.getTime() + ms)
    },
  }
}
export type PeopleHouse = Awaited<ReturnType<typeof peopleHouse>>

/** The token of an invitation. */
export async function invitationFor(h: House, address: string): Promise<string> {
  const { url } = await h.call('user.invite', { address })
  return url?.split('/').at(-1) ?? ''
}

export interface Person {
  readonly address: string
  readonly seed: string
  readonly recoveryCodes: readonly string[]
  /** Of the newest session. */
  session: string
}

/** Adds a local user and enrols it by invitation with an authenticator app; its session is full and fresh. */
export async function enrol(h: PeopleHouse, address: string, more: { readonly admin?: boolean } = {}): Promise<Person> {
  await h.call('user.add', { address, password: PASSWORD, ...more })
  const invitation = await invitationFor(h, address)
  const accepted = await h.ask('invitation.accept', { client: CLIENT, invitation })
  if (accepted.next !== 'signed-in') throw new Error(`the invitation was refused: ${accepted.why}`)
  const { seed, recoveryCodes, session } = await addApp(h, accepted.session.token)
  await h.ask('enrolment.finish', { session })
  return { address, seed, recoveryCodes: recoveryCodes ?? [], session }
}

export async function addApp(h: PeopleHouse, session: string) {
  const begun = await h.ask('totp.begin', { session })
  const code = codeOf(begun.secret, h.time.at)
  const added = await h.ask('totp.confirm', { client: CLIENT, session, id: begun.id, code, name: 'phone' })
  if (added === null) throw new Error('the code did not fit')
  return { seed: begun.secret, recoveryCodes: added.recoveryCodes, session: added.session.token }
}

/** Signs in with password and code, a time step later than the last code. */
export async function signIn(h: PeopleHouse, person: Person): Promise<string> {
  h.pass(30_000)
  const first = await h.ask('sign-in.password', { client: CLIENT, user: person.address, password: PASSWORD })
  if (first.next !== 'second-step') throw new Error(`no second step but ${JSON.stringify(first)}`)
  const code = codeOf(person.seed, h.time.at)
  const second = await h.ask('sign-in.totp', { client: CLIENT, flow: first.flow, code })
  if (second.next !== 'signed-in') throw new Error(`refused: ${JSON.stringify(second)}`)
  person.session = second.session.token
  return person.session
}
