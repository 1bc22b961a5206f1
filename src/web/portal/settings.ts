/**
 * What the portal's pages know of the configuration.
 */

import type { Language } from '../../contract/languages.ts'
import type { PublishedPort } from '../../contract/published.ts'
import type { WebSettings } from '../../contract/web-settings.ts'

/** Pages from which people reach their security info, each of which can be turned off (R30). */
export const ENTRY_POINTS = ['/security-info', '/', '/app-passwords', '/profile'] as const
export type EntryPoint = (typeof ENTRY_POINTS)[number]

export type MailPort = PublishedPort

/** Where mail programs find us. The best port first; an empty list: not offered. */
export interface MailServers {
  readonly host: string
  readonly imap: readonly MailPort[]
  readonly pop3: readonly MailPort[]
  readonly smtp: readonly MailPort[]
  /** Host name for ActiveSync; null: not offered. */
  readonly activeSync: string | null
}

export interface PortalSettings {
  /** Address as people see it; its origin is the only one whose forms are taken (threats H1). */
  readonly url: string
  /** Whose portal it is, in the head of each page. */
  readonly name: string
  readonly languages: readonly Language[]
  readonly entryPoints: readonly EntryPoint[]
  readonly mail: MailServers
  /** What the policy for everybody says; a user's own comes with the session. */
  readonly appPasswordsAllowed: boolean
  /** For administrators: what of the configuration is dangerous. */
  readonly warnings: readonly string[]
}

/** Where "home" is: the first entry point that is on. */
export function homeOf({ entryPoints }: PortalSettings): EntryPoint {
  return ENTRY_POINTS.find((path) => entryPoints.includes(path)) ?? '/security-info'
}

/** null: there is no portal. */
export function portalSettings(settings: WebSettings): PortalSettings | null {
  const { portal, domains, published, appPasswordsAllowed, warnings } = settings
  if (portal === null) return null
  const { hostname } = new URL(portal.url)
  const { ports, activeSync } = published ?? { ports: { imap: [], pop3: [], smtp: [] }, activeSync: null }
  return {
    url: portal.url,
    name: published?.name ?? domains[0] ?? hostname,
    languages: portal.languages,
    entryPoints: portal.entryPoints,
    mail: {
      host: published?.host ?? hostname,
      ...ports,
      activeSync: activeSync === null ? null : new URL(activeSync).host,
    },
    appPasswordsAllowed,
    warnings,
  }
}
