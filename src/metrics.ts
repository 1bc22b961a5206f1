/**
 * Every counter, gauge and histogram, declared once. Names and labels are public (Prometheus); no user or address is a label.
 *
 * Each process holds its own `Metrics`; the supervisor collects their snapshots on a scrape and adds them up.
 */

import { AggregatorRegistry, Counter, Gauge, Histogram, Registry } from 'prom-client'

const PREFIX = 'sallyport_'
/** Seconds. A login with a warm cache takes milliseconds, one behind a failure delay up to 15 s and more. */
const LOGIN_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]
const SESSION_BUCKETS = [1, 10, 60, 300, 1800, 3600, 14_400, 86_400]
const REVOCATION_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5]
const LAG_BUCKETS = [0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5]

export type Metrics = ReturnType<typeof createMetrics>

/** What one process sends to the supervisor: plain JSON. */
export type MetricsSnapshot = readonly object[]

export function createMetrics() {
  const registry = new Registry()
  const registers = [registry]
  const counter = <L extends string>(name: string, help: string, labelNames: L[] = []) =>
    new Counter({ name: PREFIX + name, help, labelNames, registers })
  const gauge = <L extends string>(
    name: string,
    help: string,
    labelNames: L[] = [],
    aggregator: 'sum' | 'max' | 'min' = 'sum',
  ) => new Gauge({ name: PREFIX + name, help, labelNames, registers, aggregator })
  const histogram = <L extends string>(name: string, help: string, buckets: number[], labelNames: L[] = []) =>
    new Histogram({ name: PREFIX + name, help, buckets, labelNames, registers })

  // A gauge without labels starts at 0. These say something only where somebody sets them: in the keeper, and with Redis.
  const silent = (only: Gauge) => {
    only.remove()
    return only
  }

  return {
    registry,
    logins: counter('logins_total', 'Login attempts that were decided', ['protocol', 'result', 'reason']),
    loginDuration: histogram('login_duration_seconds', 'From the login command to the answer', LOGIN_BUCKETS, [
      'protocol',
    ]),
    verify: counter('verify_total', 'How app passwords were verified', ['path']),
    sessions: gauge('sessions', 'Sessions between grant and end', ['protocol']),
    sessionDuration: histogram('session_duration_seconds', 'Length of sessions', SESSION_BUCKETS, ['protocol']),
    bytes: counter('bytes_total', 'Bytes passed through after login', ['protocol', 'direction']),
    connections: gauge('connections', 'Open client connections', ['protocol', 'state']),
    upstreamFailures: counter('upstream_failures_total', 'Upstream connections or logins that failed', [
      'upstream',
      'reason',
    ]),
    upstreamLoginDuration: histogram(
      'upstream_login_duration_seconds',
      'From dial to accepted upstream login',
      LOGIN_BUCKETS,
      ['upstream'],
    ),
    upstreamBreaker: gauge(
      'upstream_breaker',
      '1 while a host is not tried because it keeps failing',
      ['upstream', 'host'],
      'max',
    ),
    throttled: counter('throttled_total', 'Attempts refused or delayed by a throttle lane', ['lane']),
    appPasswords: gauge('app_passwords', 'App passwords', ['state'], 'max'),
    revocation: histogram(
      'revocation_seconds',
      'From a revocation to the end of each of its sessions',
      REVOCATION_BUCKETS,
    ),
    redisUp: silent(gauge('redis_up', '1 when Redis answers', [], 'min')),
    storeUp: silent(gauge('store_up', '1 when the store answers', [], 'min')),
    certificateExpiry: gauge(
      'certificate_expiry_timestamp_seconds',
      'When a certificate runs out',
      ['certificate'],
      'min',
    ),
    eventLoopLag: histogram('event_loop_lag_seconds', 'How late timers fire', LAG_BUCKETS),
    buildInfo: gauge('build_info', 'Always 1', ['version', 'node'], 'max'),
    auditLost: counter('audit_lost_total', 'Entries of the audit trail that could not be written'),
    logLost: counter('log_lost_total', 'Log lines that were dropped because nobody took them'),
    bugs: counter('bugs_total', 'Faults in this program that ended a connection'),
    snapshot(): Promise<MetricsSnapshot> {
      return registry.getMetricsAsJSON()
    },
  }
}

/** The Prometheus text of several processes' snapshots, added up. */
export function metricsText(snapshots: readonly MetricsSnapshot[]): Promise<string> {
  return AggregatorRegistry.aggregate(snapshots as object[]).metrics()
}
