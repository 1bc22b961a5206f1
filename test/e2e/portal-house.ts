/**
 * The whole product with a portal, a mailbox behind it and a browser in front: what the portal's tests have in common.
 */

import { ImapFlow } from 'imapflow'
import type { Browser, Person, PersonOptions } from '../support/browser.ts'
import { AuthenticatorApp, person, startBrowser } from '../support/browser.ts'
import type { Dovecot } from '../support/dovecot.ts'
import { startDovecot } from '../support/dovecot.ts'
import type { Sallyport } from '../support/sallyport.ts'
import { masterPasswordFile, startSallyport, upstreamOf } from '../support/sallyport.ts'
import { noteSecret, plainPassword } from '../support/secrets.ts'

export interface PortalHouse extends AsyncDisposable {
  readonly gate: Sallyport
  readonly dovecot: Dovecot
  readonly browser: Browser
  /** 'https://localhost:…' */
  readonly url: string
  person(options?: Omit<PersonOptions, 'url'>): Promise<Person>
  /** Makes a user and answers the path of its invitation. */
  invite(address: string, more?: readonly string[]): Promise<string>
  /** A real IMAP login. */
  imap(user: string, password: string): Promise<ImapFlow>
  isRefused(user: string, password: string): Promise<boolean>
}

export interface PortalHouseOptions {
  readonly users: readonly string[]
  readonly settings?: Readonly<Record<string, unknown>>
  readonly portal?: Readonly<Record<string, unknown>>
  /** The https port, when something has to know it beforehand. */
  readonly port?: number
  /** ActiveSync: where it leads, and the port on which phones come. */
  readonly activeSync?: { readonly url: string; readonly port: number }
}

export async function openPortal(options: PortalHouseOptions): Promise<PortalHouse> {
  const { users, settings, portal = {}, port, activeSync } = options
  const [browser, dovecot] = await Promise.all([
    startBrowser(),
    startDovecot({ users: Object.fromEntries(users.map((user) => [user, plainPassword()])) }),
  ])
  const gate = await startSallyport({
    workers: 1,
    upstreams: {
      main: {
        ...upstreamOf(dovecot, masterPasswordFile(dovecot)),
        ...(activeSync !== undefined && { eas: { url: activeSync.url } }),
      },
    },
    ...(activeSync !== undefined && {
      listeners: [{ protocol: 'https', bind: '127.0.0.1', port: activeSync.port, serves: ['eas'] }],
    }),
    portal,
    ...(port !== undefined && { ports: { https: port } }),
    ...(settings !== undefined && { settings }),
  })
  const url = `https://localhost:${gate.ports.https}`

  function client(user: string, password: string): ImapFlow {
    const imap = new ImapFlow({
      host: '127.0.0.1',
      port: gate.ports.imaps,
      secure: true,
      auth: { user, pass: password },
      tls: gate.tls,
      logger: false,
    })
    imap.on('error', () => {})
    return imap
  }

  return {
    gate,
    dovecot,
    browser,
    url,
    person: (options = {}) => person(browser, { url, ...options }),
    async invite(address, more = []) {
      const { invitation } = await gate.json<{ invitation: { url: string } }>([
        'user',
        'add',
        address,
        '--invite',
        ...more,
      ])
      noteSecret(invitation.url.slice(invitation.url.lastIndexOf('/') + 1))
      return invitation.url.slice(url.length)
    },
    async imap(user, password) {
      const imap = client(user, password)
      await imap.connect()
      return imap
    },
    async isRefused(user, password) {
      const imap = client(user, password)
      try {
        await imap.connect()
        return false
      } catch (error) {
        if ((error as { authenticationFailed?: boolean }).authenticationFailed !== true) throw error
        return true
      } finally {
        imap.close()
      }
    },
    async [Symbol.asyncDispose]() {
      await browser.close()
      await gate[Symbol.asyncDispose]()
      await dovecot[Symbol.asyncDispose]()
    },
  }
}

export const PASSWORD = 'four words nobody guesses'

/** What somebody has after setting up two-step with an authenticator app. */
export interface Enrolled {
  readonly app: AuthenticatorApp
  readonly codes: readonly string[]
  readonly appPassword: string
}

const WORDS = {
  en: { start: 'Start', confirm: 'Confirm', next: 'Next', done: 'Done', code: 'Code', saved: 'I have saved them' },
  nl: {
    start: 'Beginnen',
    confirm: 'Bevestigen',
    next: 'Volgende',
    done: 'Klaar',
    code: 'Code',
    saved: 'Ik heb ze bewaard',
  },
} as const

/** From the invitation to the list, as a person in no hurry would do it (R20, R21). `name` is that of the first app password. */
export async function enrol(
  who: Person,
  invitation: string,
  name: string,
  language: 'en' | 'nl' = 'en',
): Promise<Enrolled> {
  const { page } = who
  const words = WORDS[language]
  await who.go(invitation)
  await who.press(words.start)
  await page.locator('a[href="/add/authenticator"]').click()
  const app = new AuthenticatorApp(noteSecret((await page.locator('#key').innerText()).replace(/\s/g, '')))
  await page.getByLabel(words.code, { exact: true }).fill(await app.code())
  await who.press(words.confirm)
  const codes = (await page.locator('#codes code').allInnerTexts()).map((code) => noteSecret(code))
  await page.getByLabel(words.saved).check()
  await who.press(words.next)
  await choosePassword(who, words.next)
  await page.locator('#name').fill(name)
  await who.press(words.next)
  const appPassword = noteSecret((await page.locator('#password').innerText()).trim())
  await who.press(words.done)
  return { app, codes, appPassword }
}

/** The page on which a person who was invited chooses the password of the portal. */
export async function choosePassword({ page }: Person, next = 'Next'): Promise<void> {
  await page.locator('input[name="password"]').fill(noteSecret(PASSWORD))
  await page.locator('input[name="again"]').fill(PASSWORD)
  await page.getByRole('button', { name: next }).click()
  await page.waitForLoadState()
}
