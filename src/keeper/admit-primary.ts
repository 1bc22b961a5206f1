/**
 * Where primary passwords are taken (`primaryPassword: until-enrolled`): a secret that is no app password of this name.
 *
 * The upstream judges those of known users who never enrolled. What is said to any other name is made of the same steps, at
 * the same times: the turn in the lanes, the ration, the wait for a verdict, the delay. So nobody learns from a wrong
 * password whose accounts there are, or which of them can be guessed at (invariant 6).
 *
 * A verdict is never there before `JUDGED_MS`, and a refusal is told when its delay is over as well: the grant says when
 * (`refusedAfterMs`). An upstream that takes longer to refuse than that can be told from a name that nobody was asked about.
 */

import type { Grant, LoginAttempt, Outcome } from '../contract/admission.ts'
import { LoginFailure } from '../contract/failure.ts'
import type { Store, UserRow } from '../records/store/store.ts'
import type { Secret } from '../secret.ts'
import type { GrantPort, Hold } from './grants/port.ts'
import type { PolicyConfig } from './policy.ts'
import { mayUsePrimaryPassword } from './policy.ts'
import type { PrimaryAttempt, PrimaryPasswords } from './primary.ts'
import type { Charge, Throttle } from './throttle.ts'
import { primaryIdentity } from './upstream/identity.ts'
import type { Route } from './upstream/routes.ts'

/** One login, as far as the gate has come with it. */
export interface PrimaryLogin {
  readonly attempt: LoginAttempt
  /** As the client gave it, canonical. */
  readonly name: string
  /** Whoever has that name, if anybody. */
  readonly user: UserRow | null
  readonly secret: Secret
  readonly charge: Charge
  readonly route: Route
}

/** What the gate does for app passwords as well. All may throw StoreError. */
export interface GateSteps {
  /** Counts a wrong guess; what to throw. */
  guessed(name: string, user: UserRow | null, secret: Secret, charge: Charge, detail: string): Promise<LoginFailure>
  /** The same where no upstream is asked; the user may have typed the primary password at a known place. */
  refuseUnknown(login: PrimaryLogin): Promise<LoginFailure>
  /** Whether this is the primary password of a user who is known at this place. */
  recognise(login: PrimaryLogin): Promise<boolean>
  /** What to throw when no upstream was asked. */
  unknown(login: PrimaryLogin, isPrimary: boolean, delayMs: number): LoginFailure
  logNameOf(name: string, user: UserRow | null): string
  /** @throws LoginFailure */
  tooManySessions(user: UserRow, hold: Hold): void
  /** Why the device of a request is not welcome; null: it is, or there is none. Nothing is noted of it. */
  deviceRefusal(attempt: LoginAttempt, user: UserRow): Promise<string | null>
  noteDevice(attempt: LoginAttempt, user: UserRow): void
}

export interface PrimaryAdmissionOptions {
  readonly config: () => PolicyConfig
  readonly store: Store
  readonly throttle: Throttle
  readonly primary: PrimaryPasswords
  readonly steps: GateSteps
  /** Monotonic, milliseconds. */
  readonly now: () => number
  readonly sleep: (ms: number) => Promise<unknown>
}

/** More than a mail server takes to refuse one: Dovecot makes a wrong password wait for two seconds. */
const JUDGED_MS = 3000
/**
 * Names that nobody is asked about, in line or waiting for their verdict. Those beyond it are refused as where no primary password is
 * taken: a flood of them must not hold up the channels on which everybody logs in.
 */
const MAX_STRANGERS = 2000
/** How often the record is read again because it changed meanwhile, before a login is told to come back. */
const MAX_LOOKS = 4

/** Decides a secret that is no app password. Throws LoginFailure. */
export type AdmitPrimary = (login: PrimaryLogin, port: GrantPort) => Promise<Grant>

export function createPrimaryAdmission(options: PrimaryAdmissionOptions): AdmitPrimary {
  const { config, store, throttle, primary, steps, now, sleep } = options
  let strangers = 0

  /** Who has made the delays short has little to hide behind them. */
  const judgedMs = (): number => Math.min(JUDGED_MS, throttle.longestDelayMs)

  async function admit(login: PrimaryLogin, port: GrantPort): Promise<Grant> {
    const { user } = login
    if (user !== null && mayUsePrimaryPassword(config(), user)) return await inTurn(login, user, port)
    if (strangers >= MAX_STRANGERS) throw await steps.refuseUnknown(login)
    strangers += 1
    try {
      return await inTurn(login, null, port)
    } finally {
      strangers -= 1
    }
  }

  /** @param judged whom the upstream judges; null: nobody asks it */
  async function inTurn(login: PrimaryLogin, judged: UserRow | null, port: GrantPort): Promise<Grant> {
    const { name, user, secret, charge, route } = login
    // A primary password can be guessed: the delay is served before the check, and nothing exempts from it.
    const wait = await charge.turn()
    if (wait !== null) {
      throw new LoginFailure('throttled', `a delay is being served in lane ${wait.lane}`, {
        delayMs: wait.waitMs,
        logName: steps.logNameOf(name, user),
      })
    }
    if (judged !== null) return await admitJudged(login, judged, port)
    const taken = primary.pretend(name, route.name, secret)
    if (taken.verdict === 'refused-before') throw await steps.refuseUnknown(login)
    if (taken.verdict === 'spent') throw spent(login, taken.ration)
    const delayMs = charge.ifWrong()
    const since = now()
    const isPrimary = await steps.recognise(login)
    await pause(judgedMs() - (now() - since))
    taken.attempt.refused()
    await charge.failed(secret)
    throw steps.unknown(login, isPrimary, delayMs)
  }

  async function pause(ms: number): Promise<void> {
    if (ms > 0) await sleep(ms)
  }

  function spent({ name, user, charge }: PrimaryLogin, ration: 'user' | 'upstream'): LoginFailure {
    charge.refund()
    return new LoginFailure('throttled', `too many primary passwords were refused (${ration})`, {
      logName: steps.logNameOf(name, user),
    })
  }

  /** Design: only after the throttle, the app passwords and the tombstones have had their say. */
  async function admitJudged(login: PrimaryLogin, known: UserRow, port: GrantPort): Promise<Grant> {
    const { attempt, secret, charge, route } = login
    using hold = port.hold({ userId: known.id, appPasswordId: null })
    steps.tooManySessions(known, hold)
    const { user, deviceRefused } = await lastLook(login, known, hold)
    const taken = primary.take(user.id, route.name, secret)
    if (taken.verdict === 'refused-before') {
      const detail = 'the upstream refused this secret a short while ago'
      throw await steps.guessed(user.address, user, secret, charge, detail)
    }
    if (taken.verdict === 'spent') throw spent(login, taken.ration)
    const verdictMs = judgedMs()
    const refusedAfterMs = verdictMs + charge.ifWrong()
    const judgedAt = now() + verdictMs
    const { identity: _, ...target } = route
    const upstream = { ...target, identity: primaryIdentity(route, user, secret) }
    const { protocol, peer } = attempt
    const device = attempt.device && { device: attempt.device.id }
    const id = hold.grant({
      user: user.address,
      appPassword: null,
      protocol,
      ip: peer.ip,
      ...device,
      upstream: route.name,
      expiresAt: null,
      onSettled(outcome) {
        void settled(outcome, taken.attempt, login, judgedAt)
        if (outcome === 'accepted') steps.noteDevice(attempt, user)
      },
    })
    const refused = deviceRefused === null ? {} : { deviceRefused }
    const session = { id, userId: user.id, logName: user.address, ...device, ...refused }
    return { ...session, appPassword: null, verifiedBy: 'upstream', refusedAfterMs, upstream }
  }

  /**
   * The record and the device as they are, with nothing to wait for from there to the grant.
   *
   * @throws LoginFailure: the password is nothing to the mail ports any more, or the record changed at each look
   */
  async function lastLook({ attempt, secret, charge }: PrimaryLogin, known: UserRow, hold: Hold) {
    for (let look = 1; look <= MAX_LOOKS; look++) {
      hold.reset()
      const deviceRefused = await steps.deviceRefusal(attempt, known)
      const user = await store.userById(known.id)
      if (user === null || !mayUsePrimaryPassword(config(), user)) {
        throw await steps.guessed(known.address, known, secret, charge, 'the user changed just now')
      }
      if (!hold.disturbed) return { user, deviceRefused }
    }
    throw new LoginFailure('busy', 'the user kept changing while the login was checked', { logName: known.address })
  }

  /** Never rejects. */
  async function settled(outcome: Outcome, taken: PrimaryAttempt, login: PrimaryLogin, judgedAt: number) {
    const { charge, secret } = login
    switch (outcome) {
      case 'accepted':
        taken.accepted()
        charge.refund()
        return
      case 'failed':
        taken.unjudged()
        charge.refund()
        return
      case 'upstream-refused':
      case 'client-gone':
        // Whoever hangs up before the verdict may have had one: it counts, and its turn lasts as long as anybody's.
        taken.refused()
        await pause(judgedAt - now())
        await charge.failed(secret)
    }
  }

  return admit
}
