/** As whom the gate logs in upstream, for tests: at an upstream that is a script, and at a real Dovecot through its master. */

import type { UpstreamIdentity } from '../../../src/contract/admission.ts'
import { Secret } from '../../../src/secret.ts'
import type { Dovecot } from '../../support/dovecot.ts'
import { SAMPLE_USER } from '../../support/dovecot.ts'
import { MASTER_SECRET } from './house.ts'

export const byPassword = (authzid: string, secret = MASTER_SECRET, authcid = 'master'): UpstreamIdentity => ({
  kind: 'password',
  authcid,
  authzid,
  secret: new Secret(secret),
})

export const BY_TOKEN: UpstreamIdentity = {
  kind: 'oauth',
  authcid: 'ann@example.org',
  accessToken: new Secret(MASTER_SECRET),
  expiresAt: new Date(Date.now() + 3_600_000),
}

/** What BY_TOKEN's OAUTHBEARER message is, decoded (RFC 7628 §3.1). */
export const BEARER = /^n,a=ann@example\.org,\x01host=127\.0\.0\.1\x01port=\d+\x01auth=Bearer [^\x01]+\x01\x01$/

/** The sample user, acted for in the authzid. Default password: the master's own. */
export const byAuthzid = ({ master }: Dovecot, password = master.password): UpstreamIdentity =>
  byPassword(SAMPLE_USER, password, master.user)

/** The sample user, acted for in the authcid, as Dovecot's master users do it. */
export const byMasterUser = ({ master }: Dovecot): UpstreamIdentity =>
  byPassword('', master.password, `${SAMPLE_USER}*${master.user}`)
