/**
 * Rows of what people prove themselves with, and the primitive reads and writes on them: `StoreTransaction.people`.
 *
 * Whatever may happen once (a step of an authenticator app, a recovery code, a link) is one conditional update that answers
 * whether it was this caller's. No row holds a token: only its keyed digest.
 */

export interface AuthenticatorAppRow {
  readonly id: string
  readonly userId: string
  readonly name: string
  /** Envelope of `vault.ts` around the seed; bound to user and app. */
  readonly sealed: string
  readonly keyId: string
  /** The last time step that was accepted: this one and all before it are used up. */
  readonly lastStep: number
  readonly createdAt: Date
  readonly lastUsedAt: Date | null
}

export interface PasskeyRow {
  readonly id: string
  readonly userId: string
  /** Base64url, unique among all users. */
  readonly credentialId: string
  /** COSE, base64url. */
  readonly publicKey: string
  readonly counter: number
  readonly transports: readonly string[]
  /** Kept in somebody's cloud, not on one device. */
  readonly backedUp: boolean
  readonly name: string
  readonly createdAt: Date
  readonly lastUsedAt: Date | null
}

export interface RecoveryCodeRow {
  readonly userId: string
  readonly digest: string
  readonly keyId: string
  readonly createdAt: Date
  readonly usedAt: Date | null
}

export interface ProviderLinkRow {
  readonly id: string
  readonly userId: string
  readonly issuer: string
  readonly subject: string
  readonly linkedAt: Date
}

export interface OneTimeLinkRow {
  readonly id: string
  readonly digest: string
  readonly keyId: string
  readonly userId: string
  readonly kind: 'invitation' | 'set-up'
  /** Of an invitation: 'new-user' or 'reset'; of a set-up: what is set up. */
  readonly why: string
  /** Of a set-up: what the app password will be called. */
  readonly name: string | null
  readonly createdAt: Date
  readonly expiresAt: Date
  readonly usedAt: Date | null
  readonly usedIp: string | null
  readonly appPasswordId: string | null
}

/** A factor that the keeper verified, and when. `fresh` false: that it took place just then is not proven. */
export interface FactorRow {
  readonly factor: string
  readonly at: Date
  readonly fresh: boolean
}

export interface PortalSessionRow {
  /** Not the token. */
  readonly id: string
  readonly digest: string
  readonly keyId: string
  readonly userId: string
  readonly stage: 'enrolling' | 'full'
  readonly factors: readonly FactorRow[]
  readonly csrf: string
  readonly ip: string
  readonly agent: string | null
  /** The provider link it was opened with, and the provider's own name for its session (`sid`). */
  readonly linkId: string | null
  readonly providerSession: string | null
  readonly beganAt: Date
  readonly seenAt: Date
  readonly expiresAt: Date
}

export interface ApiTokenRow {
  readonly id: string
  readonly digest: string
  readonly keyId: string
  readonly name: string
  readonly scopes: readonly string[]
  /** The actor that made it. */
  readonly createdBy: string
  readonly createdAt: Date
  readonly expiresAt: Date
  readonly lastUsedAt: Date | null
}

export interface IdempotencyRow {
  readonly caller: string
  readonly key: string
  /** Digest of what was asked. */
  readonly request: string
  /** JSON; null: still under way, or it failed. */
  readonly answer: string | null
  readonly createdAt: Date
}

export interface NoticeRow {
  readonly id: string
  readonly userId: string
  readonly kind: string
  readonly detail: Readonly<Record<string, string | number | boolean | null>>
  readonly at: Date
}

export interface PeopleRecords {
  insertAuthenticatorApp(row: AuthenticatorAppRow): Promise<void>
  /** Oldest first. */
  authenticatorAppsOf(userId: string): Promise<readonly AuthenticatorAppRow[]>
  /** Uses up a step and all before it; false: it was used up already. One conditional statement. */
  useStep(id: string, step: number, at: Date): Promise<boolean>
  resealAuthenticatorApp(id: string, sealed: string, keyId: string): Promise<void>
  deleteAuthenticatorApp(id: string, userId: string): Promise<boolean>

  /** false: somebody has this credential already. */
  insertPasskey(row: PasskeyRow): Promise<boolean>
  passkeysOf(userId: string): Promise<readonly PasskeyRow[]>
  passkeyByCredential(credentialId: string): Promise<PasskeyRow | null>
  /** false: the counter did not rise (two uses at once, or a copy); a counter that stays 0 is none. */
  usePasskey(id: string, counter: number, backedUp: boolean, at: Date): Promise<boolean>
  deletePasskey(id: string, userId: string): Promise<boolean>

  /** Takes the place of the whole set. */
  replaceRecoveryCodes(userId: string, rows: readonly RecoveryCodeRow[]): Promise<void>
  recoveryCodesOf(userId: string): Promise<{ readonly left: number; readonly madeAt: Date } | null>
  /** One of these digests, unused until now: it is used up. */
  useRecoveryCode(userId: string, digests: readonly string[], at: Date): Promise<boolean>

  /** false: that subject is linked already. */
  insertProviderLink(row: ProviderLinkRow): Promise<boolean>
  providerLinksOf(userId: string): Promise<readonly ProviderLinkRow[]>
  providerLink(issuer: string, subject: string): Promise<ProviderLinkRow | null>
  deleteProviderLink(id: string, userId: string): Promise<boolean>

  insertOneTimeLink(row: OneTimeLinkRow): Promise<void>
  oneTimeLink(digests: readonly string[], kind: OneTimeLinkRow['kind']): Promise<OneTimeLinkRow | null>
  /** Newest first, made since then. */
  oneTimeLinksOf(userId: string, kind: OneTimeLinkRow['kind'], since: Date): Promise<readonly OneTimeLinkRow[]>
  /** Uses it up; false: it is used, run out or gone. */
  useOneTimeLink(id: string, at: Date, ip: string): Promise<boolean>
  noteLinkResult(id: string, appPasswordId: string): Promise<void>
  /** Those of a user that are not used yet; `id` null: all of the kind. */
  cancelOneTimeLinks(userId: string, kind: OneTimeLinkRow['kind'], id: string | null): Promise<number>

  insertPortalSession(row: PortalSessionRow): Promise<void>
  portalSession(digests: readonly string[]): Promise<PortalSessionRow | null>
  /** Newest first. */
  portalSessionsOf(userId: string): Promise<readonly PortalSessionRow[]>
  /** Gives a session a new token, and what is new about it. false: it has another token by now, or is gone. */
  renewPortalSession(
    id: string,
    oldDigest: string,
    to: Pick<PortalSessionRow, 'digest' | 'keyId' | 'csrf' | 'factors' | 'stage' | 'seenAt'>,
  ): Promise<boolean>
  seePortalSession(id: string, at: Date): Promise<void>
  finishEnrolment(id: string): Promise<void>
  /** The provider that a session has been linked with since it began. */
  linkPortalSession(id: string, linkId: string, providerSession: string | null): Promise<void>
  deletePortalSession(id: string): Promise<boolean>
  /** All of a user but one. */
  deletePortalSessionsOf(userId: string, but: string | null): Promise<number>
  /**
   * Those that an issuer opened: of one subject, of one session there (and of those whose session there is not known), or of
   * one session whoever the subject is.
   */
  deleteProviderSessions(issuer: string, subject: string | null, providerSession: string | null): Promise<number>

  insertApiToken(row: ApiTokenRow): Promise<void>
  apiToken(digests: readonly string[]): Promise<ApiTokenRow | null>
  /** Newest first. */
  listApiTokens(): Promise<readonly ApiTokenRow[]>
  seeApiToken(id: string, at: Date): Promise<void>
  deleteApiToken(id: string): Promise<boolean>

  /** null: it is this caller's now. Otherwise what is known of the first call with this key. */
  claimIdempotencyKey(row: IdempotencyRow): Promise<IdempotencyRow | null>
  keepAnswer(caller: string, key: string, answer: string): Promise<void>
  dropIdempotencyKey(caller: string, key: string): Promise<void>

  /** Replaces one with the same id. */
  putNotice(row: NoticeRow): Promise<void>
  /** Newest first, at most 100. */
  noticesOf(userId: string): Promise<readonly NoticeRow[]>
  deleteNotice(id: string, userId: string): Promise<boolean>

  /** Deletes what is over: sessions and links that have run out, idempotency keys and notices from before these times. */
  deleteStale(before: {
    readonly sessions: Date
    readonly seen: Date
    readonly links: Date
    readonly idempotencyKeys: Date
    readonly notices: Date
  }): Promise<void>
}
