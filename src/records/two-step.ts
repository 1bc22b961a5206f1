/**
 * Two-step verification: what a user has set up, proving it, changing it, taking all of it away.
 *
 * Each change is one transaction with its audit entry. Setting up the first method enrols the user, once and for ever: from
 * then on the primary password is nothing to the mail protocols (R2, R5), and resetting does not bring it back.
 */

import { randomUUID } from 'node:crypto'
import type { Actor } from '../contract/services.ts'
import { ServiceError } from '../contract/services.ts'
import { Secret } from '../secret.ts'
import { checkAppPasswordName } from './app-password.ts'
import { appendAudit } from './audit.ts'
import type { Bus } from './bus.ts'
import type { Keys } from './keys.ts'
import { noSuchUser } from './lookup.ts'
import type { ProvenMethods } from './methods.ts'
import { countMethods, provenMethodsOf } from './methods.ts'
import { takeBackSetUps } from './one-time-links.ts'
import type { NewPasskey } from './passkeys.ts'
import { demandSession } from './portal-sessions.ts'
import { newRecoveryCodes, normaliseRecoveryCode, recoveryCodeDigest, recoveryCodeDigests } from './recovery-codes.ts'
import type { AuthenticatorAppRow } from './store/people/second-steps.ts'
import type { Store, StoreTransaction, UserRow } from './store/store.ts'
import { totpStep } from './totp.ts'
import type { Binding, Vault } from './vault.ts'

/** Of each kind: more than anybody has, and no way to fill the store. */
const MAX_METHODS = 20

export interface TwoStepOptions {
  readonly store: Store
  readonly keys: Keys
  /** Purpose 'seal'. */
  readonly vault: Vault
  readonly bus: Bus
  readonly now?: () => Date
}

/** All that a user proves itself with. */
export interface Methods extends ProvenMethods {
  /** null: none were ever made. */
  readonly recoveryCodes: { readonly left: number; readonly madeAt: Date } | null
}

export interface Added {
  readonly id: string
  /** This was the first method: recovery codes, to be shown once. */
  readonly recoveryCodes: readonly Secret[] | null
  /** The user enrolled with it. */
  readonly enrolled: boolean
}

export type MethodKind = 'totp' | 'passkey' | 'provider'

/**
 * All reject with ServiceError ('not-found', 'invalid', 'forbidden') or StoreError. `session`: the portal session in which the user
 * does this; 'signed-out' when it was ended meanwhile.
 */
export interface TwoStep {
  methodsOf(userId: string): Promise<Methods>
  /** Whether a code fits a seed that is not stored yet; null: it does not. Adds the app, and uses the code's step up. */
  addApp(user: UserRow, seed: Secret, code: string, name: string, session: string): Promise<Added | null>
  addPasskey(user: UserRow, passkey: NewPasskey, name: string, session: string): Promise<Added>
  /** A code of any of the user's apps, which is used up by this. */
  verifyCode(userId: string, code: string): Promise<boolean>
  /** Uses a code up; answers how many are left, null when it was none. */
  useRecoveryCode(user: UserRow, typed: string): Promise<number | null>
  /** Notes a use of a passkey that has been verified; false: its counter says that it was used meanwhile, or copied. */
  notePasskey(id: string, used: { readonly counter: number; readonly backedUp: boolean }): Promise<boolean>
  /** A new set; the old ones are worth nothing. */
  renewRecoveryCodes(user: UserRow, session: string): Promise<readonly Secret[]>
  /** 'forbidden' for the last way in: it can be replaced, not deleted. */
  delete(user: UserRow, kind: MethodKind, id: string, session: string): Promise<void>
  /** Takes away all methods, links, recovery codes and portal sessions. Answers how many methods there were. */
  reset(user: UserRow, actor: Actor): Promise<number>
}

export function createTwoStep(options: TwoStepOptions): TwoStep {
  const { store, keys, vault, bus } = options
  const now = options.now ?? (() => new Date())

  /** The first method brings recovery codes and enrols; all of it in the transaction that adds it. */
  async function first(
    tx: StoreTransaction,
    user: UserRow,
    session: string,
  ): Promise<{ codes: readonly Secret[] | null; enrolled: UserRow | null }> {
    await demandSession(tx, user.id, session)
    const codes = (await tx.people.recoveryCodesOf(user.id)) === null ? await makeCodes(tx, user) : null
    // Read again inside the transaction: two first methods at once enrol once.
    const current = await tx.userById(user.id)
    if (!current) throw noSuchUser(user.address)
    if (current.enrolledAt !== null) return { codes, enrolled: null }
    const enrolled = await tx.updateUser(user.id, { enrolledAt: now() })
    await appendAudit(tx, { event: 'two_step_enrolled', actor: ownerOf(user), user, at: now(), detail: {} })
    return { codes, enrolled }
  }

  async function makeCodes(tx: StoreTransaction, user: UserRow): Promise<readonly Secret[]> {
    const codes = newRecoveryCodes()
    const key = keys.active
    const createdAt = now()
    await tx.people.replaceRecoveryCodes(
      user.id,
      codes.map((code) => ({
        userId: user.id,
        digest: recoveryCodeDigest(key, user.id, code),
        keyId: key.id,
        createdAt,
        usedAt: null,
      })),
    )
    return codes
  }

  function tell(enrolled: UserRow | null): void {
    if (enrolled) bus.publish({ kind: 'user-changed', userId: enrolled.id, epoch: enrolled.epoch })
  }

  function open(app: AuthenticatorAppRow): Secret | null {
    const opened = vault.open(app.sealed, bindingOf(app.userId, app.id))
    if (!opened.ok) return null
    const seed = new Secret(opened.plain.toString('latin1'))
    opened.plain.fill(0)
    return seed
  }

  return {
    async methodsOf(userId) {
      return { ...(await provenMethodsOf(store, userId)), recoveryCodes: await store.people.recoveryCodesOf(userId) }
    },

    async addApp(user, seed, code, rawName, session) {
      const at = now()
      const name = methodName(rawName)
      const step = totpStep(seed, code, at)
      if (step === null) return null
      const id = randomUUID()
      const { codes, enrolled } = await store.transaction(async (tx) => {
        const result = await first(tx, user, session)
        if ((await tx.people.authenticatorAppsOf(user.id)).length >= MAX_METHODS) throw tooMany()
        await tx.people.insertAuthenticatorApp({
          id,
          userId: user.id,
          name,
          ...vault.seal(seed.reveal(), bindingOf(user.id, id)),
          lastStep: step,
          createdAt: at,
          lastUsedAt: null,
        })
        const detail = { kind: 'totp', method: id, name }
        await appendAudit(tx, { event: 'method_added', actor: ownerOf(user), user, at, detail })
        return result
      })
      tell(enrolled)
      return { id, recoveryCodes: codes, enrolled: enrolled !== null }
    },

    async addPasskey(user, passkey, rawName, session) {
      const at = now()
      const name = methodName(rawName)
      const id = randomUUID()
      const { codes, enrolled } = await store.transaction(async (tx) => {
        const result = await first(tx, user, session)
        if ((await tx.people.passkeysOf(user.id)).length >= MAX_METHODS) throw tooMany()
        const row = { ...passkey, id, userId: user.id, name, createdAt: at, lastUsedAt: null }
        if (!(await tx.people.insertPasskey(row)))
          throw new ServiceError('exists', 'this passkey is registered already')
        const detail = { kind: 'passkey', method: id, name }
        await appendAudit(tx, { event: 'method_added', actor: ownerOf(user), user, at, detail })
        return result
      })
      tell(enrolled)
      return { id, recoveryCodes: codes, enrolled: enrolled !== null }
    },

    async verifyCode(userId, code) {
      const at = now()
      for (const app of await store.people.authenticatorAppsOf(userId)) {
        const seed = open(app)
        const step = seed && totpStep(seed, code, at)
        if (!seed || step === null || !(await store.people.useStep(app.id, step, at))) continue
        if (app.keyId !== keys.active.id) {
          const { sealed, keyId } = vault.seal(seed.reveal(), bindingOf(userId, app.id))
          await store.people.resealAuthenticatorApp(app.id, sealed, keyId)
        }
        return true
      }
      return false
    },

    async useRecoveryCode(user, typed) {
      const code = normaliseRecoveryCode(typed)
      if (code === null) return null
      const at = now()
      return await store.transaction(async (tx) => {
        const digests = recoveryCodeDigests(keys, user.id, code)
        if (!(await tx.people.useRecoveryCode(user.id, digests, at))) return null
        const left = (await tx.people.recoveryCodesOf(user.id))?.left ?? 0
        await appendAudit(tx, { event: 'recovery_code_used', actor: ownerOf(user), user, at, detail: { left } })
        return left
      })
    },

    async notePasskey(id, { counter, backedUp }) {
      return await store.people.usePasskey(id, counter, backedUp, now())
    },

    async renewRecoveryCodes(user, session) {
      return await store.transaction(async (tx) => {
        await demandSession(tx, user.id, session)
        const codes = await makeCodes(tx, user)
        await appendAudit(tx, { event: 'recovery_codes_renewed', actor: ownerOf(user), user, at: now(), detail: {} })
        return codes
      })
    },

    async delete(user, kind, id, session) {
      await store.transaction(async (tx) => {
        // Locks the user's row on PostgreSQL: two deletions at once never leave nothing.
        if ((await tx.raiseUserEpoch(user.id)) === null) throw noSuchUser(user.address)
        await demandSession(tx, user.id, session)
        const { people } = tx
        const methods = await provenMethodsOf(tx, user.id)
        const { apps, passkeys, links } = methods
        const rows: readonly { readonly id: string; readonly name?: string }[] = {
          totp: apps,
          passkey: passkeys,
          provider: links,
        }[kind]
        const row = rows.find((each) => each.id === id)
        if (!row) throw new ServiceError('not-found', 'there is no such method')
        if (countMethods(methods) === 1) {
          throw new ServiceError('forbidden', 'this is the last way to sign in with two steps: add another one first')
        }
        const remove = {
          totp: people.deleteAuthenticatorApp,
          passkey: people.deletePasskey,
          provider: people.deleteProviderLink,
        }[kind]
        await remove(id, user.id)
        const detail = { kind, method: id, name: row.name ?? null }
        await appendAudit(tx, { event: 'method_deleted', actor: ownerOf(user), user, at: now(), detail })
      })
    },

    async reset(user, actor) {
      const { methods, epoch } = await store.transaction(async (tx) => {
        const epoch = await tx.raiseUserEpoch(user.id)
        if (epoch === null) throw noSuchUser(user.address)
        const { people } = tx
        const own = await provenMethodsOf(tx, user.id)
        const { apps, passkeys, links } = own
        for (const { id } of apps) await people.deleteAuthenticatorApp(id, user.id)
        for (const { id } of passkeys) await people.deletePasskey(id, user.id)
        for (const { id } of links) await people.deleteProviderLink(id, user.id)
        await people.replaceRecoveryCodes(user.id, [])
        await takeBackSetUps(tx, user, { actor, at: now() })
        await people.deletePortalSessionsOf(user.id, null)
        const methods = countMethods(own)
        await appendAudit(tx, { event: 'two_step_reset', actor, user, at: now(), detail: { methods } })
        return { methods, epoch }
      })
      bus.publish({ kind: 'user-changed', userId: user.id, epoch })
      return methods
    },
  }
}

/** Who changes its own methods, for the audit trail. */
function ownerOf(user: UserRow): Actor {
  return `user:${user.id}`
}

function bindingOf(userId: string, appId: string): Binding {
  return ['totp-seed', userId, appId]
}

/** Named by the same rules as app passwords: it stands in the same list. */
function methodName(raw: string): string {
  const checked = checkAppPasswordName(raw)
  if (!checked.ok) throw new ServiceError('invalid', 'a name has 1 to 64 characters that can be shown')
  return checked.name
}

function tooMany(): ServiceError {
  return new ServiceError('forbidden', `there are ${MAX_METHODS} of these already: delete one first`)
}
