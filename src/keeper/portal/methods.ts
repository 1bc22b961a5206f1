/**
 * The list of methods and what changes it: authenticator apps, passkeys, recovery codes (R30–R32).
 */

import { randomUUID } from 'node:crypto'
import type { MethodAdded } from '../../contract/portal/methods.ts'
import type { PortalHandlers } from '../../contract/portal.ts'
import { ServiceError } from '../../contract/services.ts'
import { appPasswordView } from '../../records/app-passwords.ts'
import { countMethods } from '../../records/methods.ts'
import { createdPasskey, passkeyCreation } from '../../records/passkeys.ts'
import { newTotpSeed, totpAddress } from '../../records/totp.ts'
import type { Added } from '../../records/two-step.ts'
import { Secret } from '../../secret.ts'
import { providerName } from '../services/two-step.ts'
import { aliasesOf } from './aliases.ts'
import type { PortalDeps } from './deps.ts'
import type { Notices } from './notices.ts'
import { createPending } from './pending.ts'
import type { Presence, Present } from './presence.ts'
import { factorNow, freshSession } from './presence.ts'
import { demandParty } from './proven-passkeys.ts'
import { needsPassword } from './session.ts'

type MethodHandlers = Pick<
  PortalHandlers,
  | 'methods.list'
  | 'totp.begin'
  | 'totp.confirm'
  | 'passkey.begin'
  | 'passkey.confirm'
  | 'password.set'
  | 'recovery-codes.renew'
  | 'method.delete'
  | 'enrolment.finish'
  | 'notice.dismiss'
>

export interface MethodParts {
  readonly presence: Presence
  readonly notices: Notices
}

/** A seed that is not confirmed yet. */
interface PendingApp {
  readonly id: string
  readonly seed: Secret
}

export function methodHandlers(deps: PortalDeps, { presence, notices }: MethodParts): MethodHandlers {
  const { config, store, sessions, users, twoStep, grants, log, clock, now } = deps
  /** Session → what it is just setting up; beginning again replaces it. */
  const apps = createPending<PendingApp>({ now })
  const challenges = createPending<string>({ now })

  /** The session under its new token, with the factor that setting up has proved. */
  async function added(present: Present, factor: 'totp' | 'passkey', result: Added): Promise<MethodAdded> {
    if (result.enrolled) {
      log.event('info', 'two_step_enrolled', 'two-step verification set up', {
        user: present.user.address,
        mechanism: factor,
        remote_ip: present.session.ip,
      })
    }
    // Whoever else has just begun to enrol this account knew the password, or had the link, and no more.
    if (present.session.stage === 'enrolling') {
      await store.people.deletePortalSessionsOf(present.user.id, present.session.id)
    }
    const renewed = await sessions.renew(present.session, { factor: factorNow(factor, clock()) })
    if (renewed === null) throw new ServiceError('signed-out', 'this session is over: sign in again')
    return {
      session: freshSession(renewed),
      recoveryCodes: result.recoveryCodes?.map((code) => code.reveal()) ?? null,
    }
  }

  return {
    async 'methods.list'({ session: token }) {
      const { user } = await presence.demandProven(token)
      const [methods, rows, shown] = await Promise.all([
        twoStep.methodsOf(user.id),
        store.appPasswordsOf(user.id),
        notices.of(user),
      ])
      const open = Map.groupBy(grants.of(user.id), ({ appPassword }) => appPassword?.id ?? '')
      const named = ({
        id,
        name,
        createdAt,
        lastUsedAt,
      }: {
        id: string
        name: string
        createdAt: Date
        lastUsedAt: Date | null
      }) => ({
        id,
        name,
        createdAt: createdAt.toISOString(),
        lastUsedAt: lastUsedAt?.toISOString() ?? null,
      })
      return {
        totp: methods.apps.map(named),
        passkeys: methods.passkeys.map((passkey) => ({ ...named(passkey), synced: passkey.backedUp })),
        recoveryCodes: methods.recoveryCodes && {
          left: methods.recoveryCodes.left,
          madeAt: methods.recoveryCodes.madeAt.toISOString(),
        },
        providers: methods.links.map(({ id, issuer, linkedAt }) => ({
          id,
          name: providerName(config(), issuer),
          linkedAt: linkedAt.toISOString(),
        })),
        appPasswords: rows.map((row) => ({
          ...appPasswordView(row, user.address),
          sessions: open.get(row.id)?.length ?? 0,
        })),
        aliases: aliasesOf(config(), user.address),
        notices: shown,
      }
    },

    async 'totp.begin'({ session: token }) {
      const { session, user } = await presence.demandFreshOrFirst(token)
      const seed = newTotpSeed()
      const id = randomUUID()
      if (!apps.put(session.id, user.id, { id, seed }))
        throw new ServiceError('unavailable', 'too much at once: try again later')
      const issuer = config().portal ? new URL(config().portal?.url ?? '').hostname : 'sallyport'
      return { id, secret: seed.reveal(), uri: totpAddress(seed, issuer, user.address) }
    },

    async 'totp.confirm'({ session: token, id, code, name }) {
      const present = await presence.demandFreshOrFirst(token)
      const pending = apps.get(present.session.id)
      if (pending === null || pending.id !== id) {
        throw new ServiceError('not-found', 'this set-up is over: begin again')
      }
      const result = await twoStep.addApp(present.user, pending.seed, code, name, present.session.id)
      if (result === null) return null
      apps.drop(present.session.id)
      return await added(present, 'totp', result)
    },

    async 'passkey.begin'({ session: token }) {
      const { session, user, methods } = await presence.demandFreshOrFirst(token)
      const { options, challenge } = await passkeyCreation(demandParty(config()), user, methods.passkeys)
      if (!challenges.put(session.id, user.id, challenge))
        throw new ServiceError('unavailable', 'too much at once: try again later')
      return { options }
    },

    async 'passkey.confirm'({ session: token, response, name }) {
      const present = await presence.demandFreshOrFirst(token)
      const challenge = challenges.take(present.session.id)
      if (challenge === null) return null
      const passkey = await createdPasskey(demandParty(config()), challenge, response)
      if (passkey === null) return null
      const result = await twoStep.addPasskey(present.user, passkey, name, present.session.id)
      return await added(present, 'passkey', result)
    },

    async 'password.set'({ session: token, password }) {
      const present = await presence.demandFresh(token)
      const { session, user } = present
      if (user.passwordHash === null && !needsPassword(config(), user, await twoStep.methodsOf(user.id))) {
        throw new ServiceError('forbidden', 'this account has no password of its own here')
      }
      await users.setPassword(user.address, new Secret(password), 'keep', `user:${user.id}`, session.id)
      const renewed = await sessions.renew(session, {})
      if (renewed === null) throw new ServiceError('signed-out', 'this session is over: sign in again')
      return freshSession(renewed)
    },

    async 'recovery-codes.renew'({ session: token }) {
      const present = await presence.demandFresh(token)
      const codes = await twoStep.renewRecoveryCodes(present.user, present.session.id)
      return { codes: codes.map((code) => code.reveal()) }
    },

    async 'method.delete'({ session: token, kind, id }) {
      const present = await presence.demandFresh(token)
      await twoStep.delete(present.user, kind, id, present.session.id)
      return null
    },

    async 'enrolment.finish'({ session: token }) {
      const { session, user } = await presence.demandProven(token)
      if (session.stage === 'full') return null
      const methods = await twoStep.methodsOf(user.id)
      if (countMethods(methods) === 0) {
        throw new ServiceError('forbidden', 'set up two-step verification first')
      }
      if (needsPassword(config(), user, methods)) {
        throw new ServiceError('forbidden', 'choose a password first: without it there is no signing in again')
      }
      await store.people.finishEnrolment(session.id)
      return null
    },

    async 'notice.dismiss'({ session: token, id }) {
      const { user } = await presence.demand(token)
      await notices.dismiss(user, id)
      return null
    },
  }
}
