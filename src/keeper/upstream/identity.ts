/**
 * The identity we log in upstream with, built from the account record and the configuration, never from client text.
 */

import type { UpstreamIdentity } from '../../contract/admission.ts'
import type { StoredSecrets } from '../../records/secrets.ts'
import type { UserRow } from '../../records/store/store.ts'
import type { Secret } from '../../secret.ts'
import type { Route } from './routes.ts'

export type UpstreamIdentityErrorCode =
  /** The method can't serve app passwords (pass-through), or not this kind of login. */
  | 'ERR_IDENTITY_METHOD'
  /** The account's name would mean somebody else there. */
  | 'ERR_IDENTITY_NAME'
  /** No secret is stored for this user and upstream, or it can't be opened. */
  | 'ERR_IDENTITY_SECRET'
  /** No access token can be had. */
  | 'ERR_IDENTITY_TOKEN'

/** We have no way in for a user whose own secret was right: our fault, never a wrong password (invariant 11). */
export class UpstreamIdentityError extends Error {
  readonly code: UpstreamIdentityErrorCode
  constructor(code: UpstreamIdentityErrorCode, message: string) {
    super(message)
    this.name = 'UpstreamIdentityError'
    this.code = code
  }
}

/**
 * How we log in for a user who came with an app password. Resolves at once, without a promise, where nothing has to be read.
 *
 * @throws UpstreamIdentityError, also as a rejection; StoreError as a rejection
 */
export function identityFor(
  route: Route,
  user: Pick<UserRow, 'id' | 'address'>,
  secrets: StoredSecrets,
): UpstreamIdentity | Promise<UpstreamIdentity> {
  const { identity, name } = route
  assertName(user.address)
  switch (identity.method) {
    case 'master-user': {
      // Dovecot: auth_master_user_separator. A name that holds the separator would be read as somebody else's.
      if (user.address.includes(identity.separator)) {
        throw new UpstreamIdentityError(
          'ERR_IDENTITY_NAME',
          `${user.address} holds "${identity.separator}", which separates the master user's name at upstream "${name}"`,
        )
      }
      assertName(identity.user)
      const authcid = `${user.address}${identity.separator}${identity.user}`
      return { kind: 'password', authcid, authzid: '', secret: identity.password }
    }
    case 'authzid':
      // RFC 4616 §2: authcid proves, authzid is whom to act as.
      assertName(identity.user)
      return { kind: 'password', authcid: identity.user, authzid: user.address, secret: identity.password }
    case 'stored-secret':
      return storedIdentity(name, user, secrets)
    case 'pass-through':
      throw new UpstreamIdentityError(
        'ERR_IDENTITY_METHOD',
        `upstream "${name}" is set to pass-through, which has no way in for an app password: configure another identity`,
      )
    case 'oauth2':
      throw new UpstreamIdentityError(
        'ERR_IDENTITY_TOKEN',
        `no access token for upstream "${name}": oauth2 is not set up`,
      )
  }
}

/**
 * How a user's own primary password goes upstream.
 *
 * @throws UpstreamIdentityError 'ERR_IDENTITY_METHOD' where the upstream takes no passwords
 */
export function primaryIdentity(route: Route, user: UserRow, secret: Secret): UpstreamIdentity {
  if (route.identity.method === 'oauth2') {
    throw new UpstreamIdentityError('ERR_IDENTITY_METHOD', `upstream "${route.name}" takes tokens, not passwords`)
  }
  assertName(user.address)
  return { kind: 'password', authcid: user.address, authzid: '', secret }
}

async function storedIdentity(
  upstream: string,
  user: Pick<UserRow, 'id' | 'address'>,
  secrets: StoredSecrets,
): Promise<UpstreamIdentity> {
  const opened = await secrets.open(user.id, upstream)
  if (!opened.ok) {
    throw new UpstreamIdentityError(
      'ERR_IDENTITY_SECRET',
      opened.why === 'none'
        ? `no secret is stored for ${user.address} at upstream "${upstream}": sallyport secret set --user ${user.address} --upstream ${upstream}`
        : `the stored secret of ${user.address} at upstream "${upstream}" can't be opened (${opened.why}): set it again`,
    )
  }
  return { kind: 'password', authcid: user.address, authzid: '', secret: opened.secret }
}

/** The last look before a name becomes part of a protocol: XOAUTH2 ends fields with \x01, the others lines and SASL parts. */
function assertName(name: string): void {
  if (!/^[\x21-\x7e]{1,254}$/.test(name)) throw new RangeError('a name for the upstream holds what no name may hold')
}
