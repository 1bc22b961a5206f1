/**
 * What a configuration that is read anew changes, besides what is looked up at each use. Pure.
 */

import type { Config } from '../config.ts'

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
