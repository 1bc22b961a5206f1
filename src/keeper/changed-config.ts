/**
 * What a configuration that is read anew changes, besides what is looked up at each use. Pure.
 */

import type { Config } from '../config.ts'

/** Sections that differ and count at the next start only. */
export function waitingForRestart(before: Config, after: Config): readonly string[] {
  return (['store', 'redis', 'keys'] as const).filter((key) => !isSame(after[key], before[key]))
}

/** Whether somebody who is let in by one may not be by the other, or goes elsewhere. */
export function changesAccess(before: Config, after: Config): boolean {
  const access = ({ appPasswords, groups, primaryPassword, routes, upstreams, eas }: Config) => [
    appPasswords,
    groups,
    primaryPassword,
    routes,
    upstreams,
    eas,
  ]
  return !isSame(access(after), access(before))
}

/** Secrets all look alike. */
function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}
