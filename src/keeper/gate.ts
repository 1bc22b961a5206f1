/**
 * The gate: may this attempt in, and as whom?
 *
 *   throttle → verify → policy → route and upstream identity → the epoch once more → grant
 *
 * A login seen before goes through in one go, without waiting for anything. Everybody else takes a place in the table of
 * grants before the records are read for the last time, so that a revocation at any moment either is in what was read or
 * finds the place. That read says as well whether the policy is still the one it was judged by.
 *
 * A right secret is refunded when its grant is settled; what the others cost and are told is in `gate/refusals.ts`.
 *
 * A wrong app password costs its delay and a right one goes in whatever the lanes say. Where primary passwords are taken, what is
 * no app password waits for its turn before anybody judges it (`admit-primary.ts`).
 */

import { setTimeout as timer } from 'node:timers/promises'
import type { Config } from '../config.ts'
import type { Grant, LoginAttempt, UpstreamIdentity } from '../contract/admission.ts'
import { LoginFailure } from '../contract/failure.ts'
import type { Log } from '../log.ts'
import { HasherError } from '../records/hash.ts'
import type { Keys } from '../records/keys.ts'
import type { LastUseBatch, TombstoneTriesBatch } from '../records/last-use.ts'
import type { RefusedLogins } from '../records/refused-logins.ts'
import type { StoredSecrets } from '../records/secrets.ts'
import type { AppPasswordRow, Store, UserRow } from '../records/store/store.ts'
import { StoreError } from '../records/store/store.ts'
import type { Secret } from '../secret.ts'
import { createPrimaryAdmission } from './admit-primary.ts'
import type { Devices } from './devices.ts'
import { createDeviceVisits } from './gate/device-visits.ts'
import { createRefusals } from './gate/refusals.ts'
import type { GrantPort, Hold } from './grants/port.ts'
import type { LivePolicy } from './live-policy.ts'
import { refusalOf } from './policy.ts'
import type { PrimaryPasswords } from './primary.ts'
import type { StoreWatch } from './store-watch.ts'
import type { Charge, Throttle } from './throttle.ts'
import type { TypedPrimary } from './typed-primary.ts'
import { identityFor, UpstreamIdentityError } from './upstream/identity.ts'
import type { Route } from './upstream/routes.ts'
import { routeFor } from './upstream/routes.ts'
import type { Verified, Verifier } from './verifier.ts'

export type GateConfig = Pick<
  Config,
  'appPasswords' | 'groups' | 'primaryPassword' | 'routes' | 'upstreams' | 'limits' | 'domains'
>

export interface GateOptions {
  /** Called at each use, so that a reload takes effect. */
  readonly config: () => GateConfig
  readonly policy: Pick<LivePolicy, 'catchUp' | 'isAt'>
  readonly store: Store
  readonly keys: Keys
  readonly secrets: StoredSecrets
  readonly lastUse: LastUseBatch
  readonly tombstoneTries: TombstoneTriesBatch
  readonly refusedLogins: RefusedLogins
  readonly verifier: Verifier
  readonly throttle: Throttle
  readonly primary: PrimaryPasswords
  readonly devices: Devices
  readonly typedPrimary: TypedPrimary
  readonly watch: StoreWatch
  readonly log: Log
  /** Monotonic, milliseconds. */
  readonly now: () => number
  readonly clock: () => Date
  readonly sleep?: (ms: number) => Promise<unknown>
}

/** How often a login is looked at again because its user or the policy changed meanwhile, before it is told to come back. */
const MAX_LOOKS = 4
/** Edges give canonical names; anything else is nobody's. */
const CANONICAL = /^[\x21-\x7e]{1,254}$/

type Match = Extract<Verified, { kind: 'match' }>
/** Decides attempts. `port` is the edge that asks: its table holds the grant. Throws LoginFailure. */
export type Admit = (attempt: LoginAttempt, port: GrantPort) => Promise<Grant>

export function createGate(options: GateOptions): Admit {
  const { config, policy, store, secrets, lastUse, verifier, throttle, watch, log, now, clock } = options
  const refusals = createRefusals(options)
  const { logNameOf, guessed, ownButRefused, noteRefused, deletedButTried, refuseUnknown } = refusals
  const visits = createDeviceVisits({ devices: options.devices, watch, ownButRefused, log })

  function routeOf(user: UserRow, attempt: LoginAttempt): Route {
    const routed = routeFor(config(), user.address, attempt.protocol)
    if (routed.ok) return routed.route
    throw new LoginFailure('upstream-unreachable', routed.why, { logName: user.address })
  }

  function targetOf({ identity: _, ...route }: Route, identity: UpstreamIdentity): Grant['upstream'] {
    return { ...route, identity }
  }

  async function admit(attempt: LoginAttempt, port: GrantPort): Promise<Grant> {
    const { credential, peer } = attempt
    const name = CANONICAL.test(credential.authcid) ? credential.authcid : ''
    const secret = credential.kind === 'password' ? credential.secret : credential.token
    const charge = throttle.charge(name, peer.ip, secret)
    try {
      // Threat C2: a name to act as that is not one's own is refused, never ignored.
      if (credential.kind === 'password' && credential.authzid !== '' && credential.authzid !== credential.authcid) {
        throw await guessed(name, null, secret, charge, 'the authorization identity is not the authentication identity')
      }
      if (credential.kind !== 'password') {
        throw await guessed(name, null, secret, charge, 'bearer tokens are not taken')
      }
      const verdict = verifier.seen(name, secret, peer.ip) ?? (await verify(name, secret, peer.ip, charge))
      charge.checked()
      switch (verdict.kind) {
        case 'match':
          return await admitAppPassword(attempt, verdict, port, charge, secret)
        case 'deleted':
          throw deletedButTried(attempt, verdict.user, verdict.tombstone, charge)
        case 'none':
          return await admitNoAppPassword(attempt, name, verdict.user, port, charge, secret)
      }
    } catch (error) {
      throw asFailure(error, charge, name)
    } finally {
      charge.checked()
    }
  }

  /** In line behind other checks from the same address. */
  async function verify(name: string, secret: Secret, ip: string, charge: Charge): Promise<Verified> {
    const wait = await charge.place()
    if (wait === null) return await verifier.verify(name, secret, ip)
    throw new LoginFailure('throttled', 'too many checks are waiting for this address', {
      delayMs: wait.waitMs,
      logName: logNameOf(name, null),
    })
  }

  /** A secret that is no app password of this user's, if there is such a user. */
  async function admitNoAppPassword(
    attempt: LoginAttempt,
    name: string,
    user: UserRow | null,
    port: GrantPort,
    charge: Charge,
    secret: Secret,
  ): Promise<Grant> {
    const login = { attempt, name, user, charge, secret }
    if (config().primaryPassword === 'refuse') throw await refuseUnknown(login)
    // The same for a name that nobody has: whose upstream it would be is in the name, and so is that there is none.
    const routed = routeFor(config(), user?.address ?? name, attempt.protocol)
    if (!routed.ok) {
      if (!config().domains.includes(name.slice(name.lastIndexOf('@') + 1))) throw await refuseUnknown(login)
      throw new LoginFailure('upstream-unreachable', routed.why, { logName: logNameOf(name, user) })
    }
    const { route } = routed
    if (route.identity.method === 'oauth2') throw await refuseUnknown(login) // it takes no passwords
    return await admitPrimary({ ...login, route }, port)
  }

  async function admitAppPassword(
    attempt: LoginAttempt,
    match: Match,
    port: GrantPort,
    charge: Charge,
    secret: Secret,
  ): Promise<Grant> {
    let { user, appPassword } = match
    let trusted = match.seen
    using hold = port.hold({ userId: user.id, appPasswordId: appPassword.id })
    for (let look = 1; look <= MAX_LOOKS; look++) {
      const judgedBy = config()
      const isUndisturbed = () => !hold.disturbed && config() === judgedBy
      const why = refusalOf(judgedBy, user, appPassword, attempt.protocol, attempt.peer.ip, clock())
      if (why === 'bad-credentials') throw await guessed(user.address, user, secret, charge, 'not allowed by policy')
      if (why !== null) {
        noteRefused(attempt, user, why, appPassword)
        throw ownButRefused(why, user, charge, `app password "${appPassword.name}"`)
      }
      tooManySessions(user, hold, user.language)
      const route = routeOf(user, attempt)
      const made = identityFor(route, user, secrets)
      const identity = made instanceof Promise ? await made : made

      // The last look. What memory says is as good as the store as long as nothing was heard.
      if (trusted?.valid) {
        const waiting = visits.mayCome(attempt, user, appPassword.id, charge)
        if (waiting !== null) await waiting
      }
      if (trusted?.valid && isUndisturbed()) {
        return grantAppPassword(attempt, user, appPassword, targetOf(route, identity), hold, charge)
      }
      hold.reset()
      const live = await store.liveCheck(user.id, appPassword.id)
      if (!live?.user.enabled)
        throw await guessed(user.address, live?.user ?? null, secret, charge, 'disabled just now')
      if (live.appPassword === null) {
        const { name, tombstoneDigest: digest } = appPassword
        throw deletedButTried(attempt, live.user, { name, digest }, charge)
      }
      await policy.catchUp(live.policyEpoch)
      const waiting = visits.mayCome(attempt, live.user, live.appPassword.id, charge)
      if (waiting !== null) await waiting
      if (live.user.epoch === user.epoch && policy.isAt(live.policyEpoch) && isUndisturbed()) {
        return grantAppPassword(attempt, live.user, live.appPassword, targetOf(route, identity), hold, charge)
      }
      // The secret belongs to this app password whatever else changed: only what follows from the record is asked again.
      user = live.user
      appPassword = live.appPassword
      trusted = null
    }
    throw new LoginFailure('busy', 'the user or the policy kept changing while the login was checked', {
      logName: user.address,
    })
  }

  const deviceOf = ({ device }: LoginAttempt) => device && { device: device.id }

  function grantAppPassword(
    attempt: LoginAttempt,
    user: UserRow,
    { id, name, expiresAt }: AppPasswordRow,
    upstream: Grant['upstream'],
    hold: Hold,
    charge: Charge,
  ): Grant {
    const { protocol, peer, agent } = attempt
    const appPassword = { id, name }
    const grantId = hold.grant({
      user: user.address,
      appPassword,
      protocol,
      ip: peer.ip,
      ...deviceOf(attempt),
      upstream: upstream.name,
      expiresAt,
      onSettled(outcome) {
        // Its secret was right, whatever became of it.
        if (outcome !== 'accepted') return charge.refund()
        // A change while the upstream was asked may be the end of this app password: then its place is nothing to remember.
        if (hold.disturbed) charge.refund()
        else charge.accepted({ userId: user.id, appPasswordId: id })
        lastUse.note(id, { at: clock(), protocol, ip: peer.ip, agent })
      },
    })
    const session = { id: grantId, userId: user.id, logName: user.address, ...deviceOf(attempt) }
    return { ...session, appPassword, verifiedBy: 'us', upstream }
  }

  /** Counted exactly, here where all edges meet: sessions, grants and logins under way. */
  function tooManySessions(user: UserRow, hold: Hold, language: UserRow['language']): void {
    const { perUser } = config().limits
    if (hold.others < perUser) return
    throw new LoginFailure('too-many-sessions', `${hold.others} sessions of at most ${perUser}`, {
      logName: user.address,
      language,
    })
  }

  /** What an error of a lower layer means for a login. Whatever is not expected here is a bug and goes on as it is. */
  function asFailure(error: unknown, charge: Charge, name: string): unknown {
    if (error instanceof LoginFailure) {
      charge.refund() // unless it was judged already
      return error
    }
    charge.refund()
    const context = { cause: error, logName: logNameOf(name, null) }
    if (error instanceof StoreError) {
      watch.failed(error)
      return new LoginFailure('store-unavailable', error.message, context)
    }
    if (error instanceof HasherError && error.code === 'ERR_HASHER_BUSY') {
      return new LoginFailure('busy', error.message, context)
    }
    if (error instanceof UpstreamIdentityError) {
      log.event('warn', 'upstream_failed', 'no identity for the upstream', {
        user: name,
        error_code: error.code,
        detail: error.message,
      })
      const reason = error.code === 'ERR_IDENTITY_TOKEN' ? 'token-unavailable' : 'upstream-refused'
      return new LoginFailure(reason, error.message, { ...context, logName: name })
    }
    return error
  }

  const admitPrimary = createPrimaryAdmission({
    config,
    store,
    throttle,
    primary: options.primary,
    now,
    sleep: options.sleep ?? ((ms) => timer(ms, undefined, { ref: false })),
    steps: {
      guessed,
      refuseUnknown,
      recognise: refusals.recognise,
      unknown: refusals.unknown,
      logNameOf,
      tooManySessions: (user, hold) => tooManySessions(user, hold, null),
      deviceRefusal: visits.refusal,
      noteDevice: visits.note,
    },
  })
  return admit
}
