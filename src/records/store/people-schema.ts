/**
 * Columns of schema step 0004 and how they become rows; times and lists as in schema.ts.
 */

import type { Insertable, Selectable } from 'kysely'
import type {
  ApiTokenRow,
  AuthenticatorAppRow,
  FactorRow,
  NoticeRow,
  OneTimeLinkRow,
  PasskeyRow,
  PortalSessionRow,
  ProviderLinkRow,
} from './people.ts'

export interface PeopleTables {
  authenticator_apps: {
    id: string
    user_id: string
    name: string
    sealed: string
    key_id: string
    last_step: number
    created_at: number
    last_used_at: number | null
  }
  passkeys: {
    id: string
    user_id: string
    credential_id: string
    public_key: string
    counter: number
    transports: string
    backed_up: number
    name: string
    created_at: number
    last_used_at: number | null
  }
  recovery_codes: { user_id: string; digest: string; key_id: string; created_at: number; used_at: number | null }
  provider_links: { id: string; user_id: string; issuer: string; subject: string; linked_at: number }
  one_time_links: {
    id: string
    digest: string
    key_id: string
    user_id: string
    kind: string
    why: string
    name: string | null
    created_at: number
    expires_at: number
    used_at: number | null
    used_ip: string | null
    app_password_id: string | null
  }
  portal_sessions: {
    id: string
    digest: string
    key_id: string
    user_id: string
    stage: string
    factors: string
    csrf: string
    ip: string
    agent: string | null
    link_id: string | null
    provider_session: string | null
    began_at: number
    seen_at: number
    expires_at: number
  }
  api_tokens: {
    id: string
    digest: string
    key_id: string
    name: string
    scopes: string
    created_by: string
    created_at: number
    expires_at: number
    last_used_at: number | null
  }
  idempotency_keys: { caller: string; key: string; request: string; answer: string | null; created_at: number }
  notices: { id: string; user_id: string; kind: string; detail: string; at: number }
}

const dateOf = (ms: number | null) => (ms === null ? null : new Date(ms))

export function authenticatorAppRow(row: Selectable<PeopleTables['authenticator_apps']>): AuthenticatorAppRow {
  return {
    id: row.id,
    userId: row.user_id,
    name: row.name,
    sealed: row.sealed,
    keyId: row.key_id,
    lastStep: row.last_step,
    createdAt: new Date(row.created_at),
    lastUsedAt: dateOf(row.last_used_at),
  }
}

export function passkeyRow(row: Selectable<PeopleTables['passkeys']>): PasskeyRow {
  return {
    id: row.id,
    userId: row.user_id,
    credentialId: row.credential_id,
    publicKey: row.public_key,
    counter: row.counter,
    transports: JSON.parse(row.transports) as string[],
    backedUp: row.backed_up === 1,
    name: row.name,
    createdAt: new Date(row.created_at),
    lastUsedAt: dateOf(row.last_used_at),
  }
}

export function providerLinkRow(row: Selectable<PeopleTables['provider_links']>): ProviderLinkRow {
  const { id, user_id, issuer, subject, linked_at } = row
  return { id, userId: user_id, issuer, subject, linkedAt: new Date(linked_at) }
}

export function oneTimeLinkRow(row: Selectable<PeopleTables['one_time_links']>): OneTimeLinkRow {
  return {
    id: row.id,
    digest: row.digest,
    keyId: row.key_id,
    userId: row.user_id,
    kind: row.kind as OneTimeLinkRow['kind'],
    why: row.why,
    name: row.name,
    createdAt: new Date(row.created_at),
    expiresAt: new Date(row.expires_at),
    usedAt: dateOf(row.used_at),
    usedIp: row.used_ip,
    appPasswordId: row.app_password_id,
  }
}

export function oneTimeLinkColumns(row: OneTimeLinkRow): Insertable<PeopleTables['one_time_links']> {
  return {
    id: row.id,
    digest: row.digest,
    key_id: row.keyId,
    user_id: row.userId,
    kind: row.kind,
    why: row.why,
    name: row.name,
    created_at: row.createdAt.getTime(),
    expires_at: row.expiresAt.getTime(),
    used_at: row.usedAt?.getTime() ?? null,
    used_ip: row.usedIp,
    app_password_id: row.appPasswordId,
  }
}

/** Factors as JSON: the times as milliseconds. */
export function factorsText(factors: readonly FactorRow[]): string {
  return JSON.stringify(factors.map(({ factor, at, fresh }) => [factor, at.getTime(), fresh ? 1 : 0]))
}

function factorsOf(text: string): readonly FactorRow[] {
  return (JSON.parse(text) as [string, number, number][]).map(([factor, at, fresh]) => ({
    factor,
    at: new Date(at),
    fresh: fresh === 1,
  }))
}

export function portalSessionRow(row: Selectable<PeopleTables['portal_sessions']>): PortalSessionRow {
  return {
    id: row.id,
    digest: row.digest,
    keyId: row.key_id,
    userId: row.user_id,
    stage: row.stage as PortalSessionRow['stage'],
    factors: factorsOf(row.factors),
    csrf: row.csrf,
    ip: row.ip,
    agent: row.agent,
    linkId: row.link_id,
    providerSession: row.provider_session,
    beganAt: new Date(row.began_at),
    seenAt: new Date(row.seen_at),
    expiresAt: new Date(row.expires_at),
  }
}

export function portalSessionColumns(row: PortalSessionRow): Insertable<PeopleTables['portal_sessions']> {
  return {
    id: row.id,
    digest: row.digest,
    key_id: row.keyId,
    user_id: row.userId,
    stage: row.stage,
    factors: factorsText(row.factors),
    csrf: row.csrf,
    ip: row.ip,
    agent: row.agent,
    link_id: row.linkId,
    provider_session: row.providerSession,
    began_at: row.beganAt.getTime(),
    seen_at: row.seenAt.getTime(),
    expires_at: row.expiresAt.getTime(),
  }
}

export function apiTokenRow(row: Selectable<PeopleTables['api_tokens']>): ApiTokenRow {
  return {
    id: row.id,
    digest: row.digest,
    keyId: row.key_id,
    name: row.name,
    scopes: JSON.parse(row.scopes) as string[],
    createdBy: row.created_by,
    createdAt: new Date(row.created_at),
    expiresAt: new Date(row.expires_at),
    lastUsedAt: dateOf(row.last_used_at),
  }
}

export function noticeRow(row: Selectable<PeopleTables['notices']>): NoticeRow {
  const { id, user_id, kind, detail, at } = row
  return { id, userId: user_id, kind, detail: JSON.parse(detail) as NoticeRow['detail'], at: new Date(at) }
}
