/**
 * The keeper: one object that holds every secret and answers two kinds of callers, edges (`gateHouse`) and people's tools
 * (`services`).
 *
 * Opening it opens the store, the key file and Redis; nothing else ever does. Closing it writes what is waiting.
 */

import { performance } from 'node:perf_hooks'
import type { Config } from '../config.ts'
import type { GateHouse } from '../contract/admission.ts'
import { nameRulesOf } from '../contract/names.ts'
import type { PortalHandlers } from '../contract/portal.ts'
import type { ServiceAnswer, ServiceHandlers } from '../contract/services.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import { createApiTokens } from '../records/api-tokens.ts'
import { createAppPasswords } from '../records/app-passwords.ts'
import { createAuditSealer } from '../records/audit-chain.ts'
import type { Bus } from '../records/bus.ts'
import { createLocalBus } from '../records/bus.ts'
import type { HasherOptions, PasswordHasher } from '../records/hash.ts'
import { createHasher } from '../records/hash.ts'
import { openKeys } from '../records/key-file.ts'
import type { Keys } from '../records/keys.ts'
import { createLastUseBatch, createTombstoneTriesBatch } from '../records/last-use.ts'
import { createOneTimeLinks } from '../records/one-time-links.ts'
import { createPolicies } from '../records/policies.ts'
import { createPortalSessions } from '../records/portal-sessions.ts'
import { createRefusedLogins } from '../records/refused-logins.ts'
import { createStoredSecrets } from '../records/secrets.ts'
import { openStore } from '../records/store/open.ts'
import type { Store } from '../records/store/store.ts'
import { StoreError } from '../records/store/store.ts'
import { createTwoStep } from '../records/two-step.ts'
import { createUsers } from '../records/users.ts'
import { createVault } from '../records/vault.ts'
import { createAuditLoss } from './audit-loss.ts'
import { createAuditWatch } from './audit-watch.ts'
import { createSeenLogins, createVerifiedLogins } from './cache.ts'
import { changesAccess } from './changed-config.ts'
import { createDevices } from './devices.ts'
import { createEdges } from './edges.ts'
import { createGate } from './gate.ts'
import { createGrants } from './grants.ts'
import { startHousekeeping } from './housekeeping.ts'
import type { LivePolicy } from './live-policy.ts'
import { createLivePolicy } from './live-policy.ts'
import { createMailer } from './mail/mailer.ts'
import { prepareNetworks } from './networks.ts'
import { createNotifier } from './notifier.ts'
import { isUsable } from './policy.ts'
import { createPortal } from './portal.ts'
import { createPrimaryPasswords } from './primary.ts'
import type { RedisLink } from './redis.ts'
import { createRedisLogins, openRedis } from './redis.ts'
import { createGateHouse, createRevocation } from './revocation.ts'
import { createEmbeddedLogins } from './sealed-embedded.ts'
import { ending } from './services/ending.ts'
import { createServices } from './services.ts'
import { createStoreWatch } from './store-watch.ts'
import { createKnownGood } from './throttle/known-good.ts'
import { createSharedCounters } from './throttle/shared.ts'
import { createThrottle } from './throttle.ts'
import { createTypedPrimary } from './typed-primary.ts'
import { createUnaskedEnds } from './unasked-ends.ts'
import { createVerifier } from './verifier.ts'

export interface Keeper {
  readonly gateHouse: GateHouse
  readonly services: ServiceHandlers
  /** The edges that run, by id: whoever counts ended sessions waits for those that have not told theirs. */
  expectEdges(edgeIds: readonly string[]): void
  /** What web can ask. */
  readonly portal: PortalHandlers
  /** Takes over what can change while running; what can not (`supervisor/kept-settings.ts`) it is given as it was. */
  reload(config: Config): Promise<void>
  health(): Promise<ServiceAnswer<'health'>>
  /** For tests and metrics. */
  readonly hasher: PasswordHasher
  readonly bus: Bus
  /** Writes last uses and cached logins, closes Redis and the store. */
  close(): Promise<void>
}

export interface KeeperOptions {
  readonly config: Config
  readonly log: Log
  readonly metrics: Metrics
  readonly version: string
  /** The process that an operator sends signals to. Default: this one. */
  readonly serverPid?: number
  /** Monotonic, milliseconds. */
  readonly now?: () => number
  readonly clock?: () => Date
  /** Default: opens the one that the configuration names. Closed with the keeper either way. */
  readonly openStore?: (config: Config['store']) => Promise<Store>
  /** Default: one inside this process. */
  readonly bus?: Bus
  readonly hasher?: HasherOptions
  /** Waits for the end of a delay, milliseconds; with `now`. */
  readonly sleep?: (ms: number) => Promise<unknown>
  /** Instead of the configuration's, to be without delays. */
  readonly throttleDelaysMs?: readonly number[]
  readonly maxSeenLogins?: number
  readonly lastUseFlushMs?: number
  readonly endWithinMs?: number
  /** For a command that Redis is given. Default 150 ms. */
  readonly redisWithinMs?: number
  readonly storeLookMs?: number
  readonly housekeepingMs?: number
}

const MAX_SEEN_LOGINS = 100_000
/** M2. */
const ANSWER_WITHIN_MS = 1000
const LAST_USE_FLUSH_MS = 10_000

/**
 * @throws StoreError, KeyError: the store or the key file can't be used; the message says what to do
 */
export async function openKeeper(options: KeeperOptions): Promise<Keeper> {
  const { log, metrics, version } = options
  const now = options.now ?? (() => performance.now())
  const clock = options.clock ?? (() => new Date())
  let names = nameRulesOf(options.config)
  await prepareNetworks(options.config.throttle.trustedNetworks)

  const store = await (options.openStore ?? openConfiguredStore)(options.config.store)
  const bus = options.bus ?? createLocalBus((error) => log.bug(error, 'a listener of the bus failed'))
  const policies = createPolicies({ store, bus, now: clock })
  let keys: Keys
  let livePolicy: LivePolicy
  try {
    keys = await openKeys({ file: options.config.keys.file, store, now: clock })
    store.sealAudit(createAuditSealer(keys))
    livePolicy = await createLivePolicy({
      config: options.config,
      policies,
      onMissed: () => revocation.policyChanged(),
    })
  } catch (error) {
    await store.close()
    throw error
  }
  const hasher = createHasher(options.hasher)
  const { redis: redisConfig } = options.config
  const config = () => livePolicy.config
  const records = { store, keys, hasher, bus, names: () => names, now: clock }
  const secrets = createStoredSecrets({ ...records, vault: createVault(keys, 'seal') })
  const redis: RedisLink | null =
    redisConfig && openRedis({ config: redisConfig, log, metrics, withinMs: options.redisWithinMs })
  const batches = {
    store,
    flushMs: options.lastUseFlushMs ?? LAST_USE_FLUSH_MS,
    onError: (error: unknown) => storeFailed(error, 'last uses could not be written; they are kept and tried again'),
  }
  const lastUse = createLastUseBatch(batches)
  const tombstoneTries = createTombstoneTriesBatch(batches)
  const refusedLogins = createRefusedLogins(batches)
  const watch = createStoreWatch({
    store,
    bus,
    policy: livePolicy,
    log,
    metrics,
    now,
    ...(options.storeLookMs === undefined ? {} : { everyMs: options.storeLookMs }),
  })
  const verified = createVerifiedLogins({
    sealed: redis ? createRedisLogins(redis) : createEmbeddedLogins(store, clock),
    vault: createVault(keys, 'cache-seal'),
    log,
    clock,
  })
  const verifier = createVerifier({
    store,
    keys,
    hasher,
    seen: createSeenLogins(options.maxSeenLogins ?? MAX_SEEN_LOGINS),
    verified,
    watch,
    alive: () => bus.alive(),
    policy: livePolicy,
    isUsable: (user, appPassword, ip) => isUsable(config(), user, appPassword, ip),
    log,
    metrics,
    now,
    clock,
  })
  const throttleSettings = ({ throttle }: Config) => ({
    delaysMs: options.throttleDelaysMs ?? throttle.delays,
    trustedNetworks: throttle.trustedNetworks,
  })
  const knownGood = createKnownGood()
  const throttle = createThrottle({
    ...throttleSettings(options.config),
    knownGood,
    shared: redis && createSharedCounters(redis, keys),
    metrics,
    now,
  })
  const edges = createEdges()
  const loss = createAuditLoss({ log, metrics })
  const answerWithinMs = options.endWithinMs ?? ANSWER_WITHIN_MS
  const unaskedEnds = createUnaskedEnds({
    store,
    clock,
    loss,
    onBug: (error) => log.bug(error, 'noting sessions that ended by themselves'),
  })
  const grants = createGrants({ edges, log, metrics, now, clock, answerWithinMs, onUnasked: unaskedEnds.note })
  const devices = createDevices({
    store,
    bus,
    policy: () => {
      const { quarantine, bindAppPassword, devicesPerUser } = config().eas
      return { quarantine, bindAppPassword, perUser: devicesPerUser }
    },
    clock,
    flushMs: options.lastUseFlushMs ?? LAST_USE_FLUSH_MS,
    onError: (error) => storeFailed(error, 'when devices were seen could not be written; it is kept and tried again'),
  })
  const primary = createPrimaryPasswords({ now })
  const directory = createPrimaryPasswords({ now })
  const admit = createGate({
    config,
    policy: livePolicy,
    devices,
    store,
    keys,
    secrets,
    lastUse,
    tombstoneTries,
    refusedLogins,
    verifier,
    throttle,
    primary,
    typedPrimary: createTypedPrimary({ keys, hasher, knownGood, now }),
    watch,
    log,
    now,
    clock,
    ...(options.sleep && { sleep: options.sleep }),
  })
  const auditWatch = createAuditWatch({
    isRequired: () => config().audit === 'required',
    store,
    log,
    ...(options.storeLookMs === undefined ? {} : { everyMs: options.storeLookMs }),
  })
  const revocation = createRevocation({
    config,
    policy: livePolicy,
    store,
    bus,
    grants,
    devices,
    verifier,
    knownGood,
    log,
    clock,
  })
  const appPasswords = createAppPasswords(records)
  const users = createUsers(records)
  const apiTokens = createApiTokens(records)
  const twoStep = createTwoStep({ ...records, vault: createVault(keys, 'seal') })
  const links = createOneTimeLinks(records)
  const mailer = createMailer({ config, store, secrets })
  const notifier = createNotifier({ config, store, mailer, log, clock })
  const services = createServices({
    config,
    names: () => names,
    store,
    keys,
    users,
    appPasswords,
    secrets,
    grants,
    policies,
    livePolicy,
    revocation,
    loss,
    twoStep,
    links,
    apiTokens,
    notifier,
    throttle,
    rations: [primary, directory],
    devices,
    log,
    clock,
    version,
    serverPid: options.serverPid ?? process.pid,
    redisState: () => (redis === null ? 'none' : redis.up ? 'up' : 'down'),
  })

  const portal = createPortal({
    config,
    names: () => names,
    store,
    keys,
    hasher,
    users,
    notifier,
    twoStep,
    sessions: createPortalSessions(records),
    links,
    appPasswords,
    apiTokens,
    grants,
    throttle,
    directory,
    services,
    bus,
    log,
    clock,
    now,
  })

  function storeFailed(error: unknown, what: string): void {
    if (!(error instanceof StoreError)) log.bug(error, what)
    else log.event('warn', 'warning', what, { error_code: error.code, detail: error.message })
  }

  const housekeeping = await startHousekeeping({
    store,
    devices,
    log,
    metrics,
    clock,
    onError: storeFailed,
    ...(options.housekeepingMs === undefined ? {} : { everyMs: options.housekeepingMs }),
  })

  return {
    gateHouse: createGateHouse({ admit: auditWatch.guard(admit), grants, revocation }),
    services,
    expectEdges: (edgeIds) => edges.expect(edgeIds),
    portal,
    hasher,
    bus,
    health: () => services.health({}, 'system'),

    async reload(next) {
      const before = livePolicy.written
      await prepareNetworks(next.throttle.trustedNetworks)
      livePolicy.reload(next)
      names = nameRulesOf(next)
      throttle.configure(throttleSettings(next))
      if (!changesAccess(before, next)) return
      await ending({ grants, store, clock, loss }, { actor: 'system', cause: 'configuration' }, async () => {
        bus.publish({ kind: 'policy-changed', epoch: livePolicy.settings.epoch })
        return { value: null, user: null, isMeant: () => true, review: () => revocation.review(null) }
      })
    },

    async close() {
      housekeeping[Symbol.dispose]()
      watch[Symbol.dispose]()
      auditWatch[Symbol.dispose]()
      revocation[Symbol.dispose]()
      grants.close()
      await unaskedEnds.idle()
      await notifier.close()
      await lastUse[Symbol.asyncDispose]()
      await devices[Symbol.asyncDispose]()
      await tombstoneTries[Symbol.asyncDispose]()
      await refusedLogins[Symbol.asyncDispose]()
      await verifier.idle()
      await redis?.close()
      await store.close()
    },
  }
}

async function openConfiguredStore(config: Config['store']): Promise<Store> {
  if (!('sqlite' in config)) {
    throw new StoreError('ERR_STORE_UNAVAILABLE', 'PostgreSQL is not supported yet: use store: { sqlite: … }')
  }
  return await openStore({ sqlite: config.sqlite })
}
