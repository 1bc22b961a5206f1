/**
 * Passwords of an LDAP directory: find the entry of a name, then bind as it (RFC 4513 §5.1.3).
 *
 * TLS always, by `ldaps:` or StartTLS, unless the directory is on this machine. An empty password never gets there: to a
 * directory that is an anonymous bind, and succeeds (RFC 4513 §5.1.2). A name without an entry costs a bind, too, so that it
 * takes as long as one with an entry.
 */

import { randomBytes } from 'node:crypto'
import { connect, isIP } from 'node:net'
import { Client, Filter, ResultCodeError } from 'ldapts'
import type { Config } from '../../config.ts'
import type { Secret } from '../../secret.ts'

export type LdapConfig = NonNullable<NonNullable<Config['signIn']>['ldap']>

/** The directory did not judge the password: temporary, and nothing about the person. The message holds no secret. */
export class DirectoryError extends Error {
  constructor(message: string, options?: { readonly cause: unknown }) {
    super(message, options)
    this.name = 'DirectoryError'
  }
}

export interface Directory {
  /** Whether this is the password of the one entry that the name finds. @throws DirectoryError */
  verify(name: string, typed: Secret): Promise<boolean>
}

const CONNECT_MS = 5000
const ANSWER_MS = 5000
/** Sign-ins that talk to the directory at once; the rest are told to come back. */
const MAX_AT_ONCE = 32
/**
 * Results that say no to this person (RFC 4511 §A.2): constraintViolation and unwillingToPerform are how directories say
 * "locked" or "must change it", inappropriateAuthentication that the entry has no password.
 */
const REFUSALS: ReadonlySet<number> = new Set([19, 48, 49, 50, 53])

export function createDirectory(config: LdapConfig): Directory {
  let atOnce = 0

  /** A connection with TLS on it, or none. */
  async function open(): Promise<Client> {
    const tls = config.ca === null ? {} : { ca: config.ca }
    let connections = 0
    const client = new Client({
      url: config.url,
      timeout: ANSWER_MS,
      connectTimeout: CONNECT_MS,
      ...(config.url.startsWith('ldaps:')
        ? { tlsOptions: { ...tls, minVersion: 'TLSv1.2' } }
        : {
            // quirk: ldapts connects again by itself when the server has hung up. After StartTLS that would be in clear.
            createConnection: ((port: number, host: string) => {
              connections += 1
              if (connections > 1) throw new DirectoryError('the directory hung up')
              return connect(port, host)
            }) as typeof connect,
          }),
    })
    if (!config.startTls) return client
    // quirk: ldapts changes the object it is given here, and speaks TLS at once when it gets one before.
    const { hostname } = new URL(config.url)
    await client.startTLS({ ...tls, minVersion: 'TLSv1.2', ...(isIP(hostname) === 0 && { servername: hostname }) })
    return client
  }

  async function withClient<T>(work: (client: Client) => Promise<T>): Promise<T> {
    const client = await open()
    try {
      return await work(client)
    } finally {
      // Gone already, perhaps: nothing is lost with it.
      await client.unbind().catch(() => undefined)
    }
  }

  /** The one entry of a name; null: none, or several. */
  async function find(name: string): Promise<string | null> {
    return await withClient(async (client) => {
      if (config.bindDn !== null) await client.bind(config.bindDn, config.password?.reveal() ?? '')
      const { searchEntries } = await client.search(config.baseDn, {
        scope: 'sub',
        filter: config.userFilter.replaceAll('{user}', () => Filter.escape(name)),
        sizeLimit: 2,
        timeLimit: ANSWER_MS / 1000,
        attributes: ['1.1'],
      })
      return searchEntries.length === 1 ? (searchEntries[0]?.dn ?? null) : null
    }).catch((error: unknown) => {
      // sizeLimitExceeded: more than one, so nobody's.
      if (error instanceof ResultCodeError && error.code === 4) return null
      throw error
    })
  }

  async function bindsAs(dn: string, typed: Secret): Promise<boolean> {
    try {
      await withClient((client) => client.bind(dn, typed.reveal()))
      return true
    } catch (error) {
      if (error instanceof ResultCodeError && REFUSALS.has(error.code)) return false
      throw error
    }
  }

  return {
    async verify(name, typed) {
      if (typed.length === 0 || name === '') return false
      if (atOnce >= MAX_AT_ONCE) throw new DirectoryError('too many sign-ins wait for the directory')
      atOnce += 1
      try {
        const dn = await find(name)
        if (dn !== null && dn !== '') return await bindsAs(dn, typed)
        await bindsAs(`cn=nobody-${randomBytes(8).toString('hex')},${config.baseDn}`, typed).catch(() => false)
        return false
      } catch (error) {
        if (error instanceof DirectoryError) throw error
        const why = error instanceof Error ? error.message : String(error)
        throw new DirectoryError(`${new URL(config.url).host} does not answer as it should: ${why}`, { cause: error })
      } finally {
        atOnce -= 1
      }
    },
  }
}
