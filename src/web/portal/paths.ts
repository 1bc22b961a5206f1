/**
 * The portal's addresses, and which of them a browser may be sent on to.
 *
 * Parts that come from elsewhere are encoded here and nowhere else. `localPath` is the guard against open redirects (threats
 * H4): `next` comes from a query string or a form, so from anybody.
 */

/** With the quote, which names may hold: `localPath` takes none. */
const part = (text: string): string => encodeURIComponent(text).replaceAll("'", '%27')
const query = (path: string, values: Readonly<Record<string, string | null>>): string => {
  const given = Object.entries(values).filter(
    (entry): entry is [string, string] => entry[1] !== null && entry[1] !== '',
  )
  return given.length === 0 ? path : `${path}?${new URLSearchParams(given)}`
}

export const paths = {
  signIn: (next: string | null = null) => query('/sign-in', { next }),
  secondStep: (by: string | null = null) => query('/sign-in/second-step', { by }),
  signInProvider: (id: string) => `/sign-in/provider/${part(id)}`,
  linkProvider: (id: string) => `/add/provider/${part(id)}`,
  invitation: (token: string) => `/invitation/${part(token)}`,
  stepUp: (next: string | null = null, by: string | null = null) => query('/step-up', { next, by }),
  stepUpProvider: (id: string) => `/step-up/provider/${part(id)}`,
  deleteMethod: (kind: string, id: string) => `/methods/${part(kind)}/${part(id)}/delete`,
  newAppPassword: (name: string | null = null) => query('/app-passwords/new', { name }),
  renameAppPassword: (id: string) => `/app-passwords/${part(id)}/rename`,
  deleteAppPassword: (id: string) => `/app-passwords/${part(id)}/delete`,
  setUp: () => '/set-up',
  cancelSetUp: (id: string) => `/set-up/${part(id)}/cancel`,
  useSetUp: (token: string) => `/set-up/${part(token)}`,
  profile: (setUp: string) => `/profile/${part(setUp)}.mobileconfig`,
  endMailSession: (id: string) => `/sessions/${part(id)}/end`,
  device: (id: string, what: string) => `/sessions/devices/${part(id)}/${part(what)}`,
  dismissNotice: (id: string) => `/notices/${part(id)}/dismiss`,
  help: (program: string | null = null) => (program === null ? '/help' : `/help/${part(program)}`),
  adminUsers: (find: string | null = null, after: string | null = null) => query('/admin', { find, after }),
  adminUser: (address: string, what: string | null = null) =>
    `/admin/users/${part(address)}${what === null ? '' : `/${what}`}`,
  adminAppPassword: (address: string, id: string) => `/admin/users/${part(address)}/app-passwords/${part(id)}/delete`,
  adminPolicy: (after: string) => query('/admin/policy', { after }),
  adminDevice: (address: string, id: string, what: string, back: 'waiting' | null = null) =>
    query(`/admin/users/${part(address)}/devices/${part(id)}/${part(what)}`, { back }),
  adminWaiting: (after: string | null = null) => query('/admin/devices', { after }),
  adminAudit: (user: string | null = null) => query('/admin/audit', { user }),
} as const

/** Longer than any address of ours with a name of 64 characters, each of them encoded. */
const MAX_PATH = 1024
/** Printable ASCII without quotes, blanks and backslashes: what `paths` makes, and what a browser takes as it is. */
const LOCAL = /^\/(?![/\\])[\x21\x23-\x26\x28-\x5b\x5d-\x7e]*$/

/** The path, if it is one of this site, else null. */
export function localPath(text: string | null | undefined): string | null {
  if (text === null || text === undefined || text.length > MAX_PATH || !LOCAL.test(text)) return null
  // What a browser makes of it must be what we took it for.
  const url = new URL(text, 'https://here.invalid')
  return url.origin === 'https://here.invalid' && url.pathname + url.search + url.hash === text ? text : null
}
