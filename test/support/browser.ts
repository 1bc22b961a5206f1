/**
 * A person with a browser: Debian's Chromium, with or without scripts, at any width and in any language, a device that makes
 * passkeys, and an authenticator app. And axe, which says what of a page somebody could not use.
 */

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { TOTP } from 'otpauth'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { chromium } from 'playwright-core'
import { findProgram, SERVICES } from './services.ts'

export type { Browser } from 'playwright-core'

export async function startBrowser(): Promise<Browser & AsyncDisposable> {
  const executablePath = findProgram(SERVICES.chromium.program)
  if (executablePath === null) throw new Error('no chromium')
  return await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu', '--disable-extensions'] })
}

export interface PersonOptions {
  readonly url: string
  readonly language?: 'en' | 'nl'
  readonly width?: number
  /** Default true. */
  readonly scripts?: boolean
  readonly dark?: boolean
}

export interface Person extends AsyncDisposable {
  readonly context: BrowserContext
  readonly page: Page
  /** Goes to a path of the portal. */
  go(path: string): Promise<void>
  /** The page's only heading. */
  heading(): Promise<string>
  /** Presses a button or link by its words, and waits for the page that follows. */
  press(name: string | RegExp): Promise<void>
  text(): Promise<string>
}

/** A browser of its own, without anything of anybody else's. */
export async function person(browser: Browser, options: PersonOptions): Promise<Person> {
  const { url, language = 'en', width = 1000, scripts = true, dark = false } = options
  const context = await browser.newContext({
    ignoreHTTPSErrors: true,
    locale: language === 'nl' ? 'nl-NL' : 'en-GB',
    viewport: { width, height: 800 },
    javaScriptEnabled: scripts,
    colorScheme: dark ? 'dark' : 'light',
    baseURL: url,
    permissions: ['clipboard-read', 'clipboard-write'],
  })
  const page = await context.newPage()
  // Who waits in vain has found something: a machine that is busy has not.
  page.setDefaultTimeout(60_000)
  return {
    context,
    page,
    async go(path) {
      await page.goto(path)
    },
    async heading() {
      return (await page.locator('h1').first().innerText()).trim()
    },
    async press(name) {
      const target = page
        .getByRole('button', { name, exact: typeof name === 'string' })
        .or(page.getByRole('link', { name, exact: typeof name === 'string' }))
      await target.first().click()
      await page.waitForLoadState()
    },
    text: () => page.locator('main').innerText(),
    [Symbol.asyncDispose]: () => context.close(),
  }
}

/** A fingerprint reader that always finds its finger (WebAuthn §11). */
export async function givePasskeyDevice({ context, page }: Person): Promise<void> {
  const devtools = await context.newCDPSession(page)
  await devtools.send('WebAuthn.enable')
  await devtools.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  })
}

const STEP_MS = 30_000
const LATEST_FOR_EARLIER_MS = 15_000

/** An authenticator app. A server takes each step of 30 seconds once, and one step too early or too late. */
export class AuthenticatorApp {
  readonly #totp: TOTP
  #last = 0

  /** @param key as the page shows it, or an otpauth:// address */
  constructor(key: string) {
    const secret = key.startsWith('otpauth:') ? (new URL(key).searchParams.get('secret') ?? '') : key
    this.#totp = new TOTP({ secret: secret.replace(/\s/g, '') })
  }

  /** A code that has not been used yet; waits for the next step when three were used within one. */
  async code(): Promise<string> {
    const now = () => Math.floor(Date.now() / STEP_MS)
    // The step before is taken only while this one has long to go: typed and sent, it must not have become two steps ago.
    const earliest = Date.now() % STEP_MS < LATEST_FOR_EARLIER_MS ? now() - 1 : now()
    const step = Math.max(this.#last + 1, earliest)
    while (step > now() + 1) await new Promise((resolve) => setTimeout(resolve, 250))
    this.#last = step
    return this.#totp.generate({ timestamp: step * STEP_MS })
  }
}

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const AXE_TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']

/** What axe finds wrong with the page that is shown (WCAG 2.2 AA), and whether it is wider than its window. */
export async function flaws(page: Page): Promise<readonly string[]> {
  await page.evaluate(AXE)
  const found = (await page.evaluate(
    `axe.run(document, { runOnly: ${JSON.stringify(AXE_TAGS)} }).then(({ violations, passes }) => ({
      passes: passes.length,
      violations: violations.map(({ id, nodes }) => id + ': ' + nodes.map(({ html }) => html.slice(0, 120)).join(' | ')),
      overflows: document.documentElement.scrollWidth > innerWidth,
    }))`,
  )) as { passes: number; violations: string[]; overflows: boolean }
  if (found.passes < 10) throw new Error(`axe has looked at next to nothing: ${found.passes} rules passed`)
  return [...found.violations, ...(found.overflows ? ['wider than its window'] : [])]
}
