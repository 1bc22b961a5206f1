/**
 * The declaration of the configuration: every key with its type, check, default, unit and meaning.
 *
 * The types (`Settings` here, `Config` in config.ts), the checks, the JSON Schema, the reference and the commented sample
 * in config/ all come from it. The order of keys is the order of the sample and of the reference.
 */

import { z } from 'zod'
import { clientSetup } from './client-set-up.ts'
import { listeners, tls } from './listeners.ts'
import {
  appPasswords,
  audit,
  eas,
  enrolment,
  groups,
  limits,
  log,
  mail,
  names,
  onPasswordReset,
  portal,
  primaryPassword,
  signIn,
  throttle,
  workers,
} from './policy.ts'
import { keys, redis, store } from './stores.ts'
import { domain, path } from './units.ts'
import { routes, upstreams } from './upstreams.ts'

export const settings = z.strictObject(
  {
    dataDirectory: path('SQLite file, key file, self-made certificate')
      .default('/var/lib/sallyport')
      .meta({ description: 'Directory of the store, the key file and the self-made certificate' }),
    runtimeDirectory: path('').nullable().default(null).meta({
      description:
        'Directory of the sockets between processes; by default $RUNTIME_DIRECTORY, else run in dataDirectory',
    }),
    domains: z
      .array(domain('Mail domain'), 'must be a list of domains')
      .min(1, 'must hold at least one domain')
      .meta({
        description: 'Mail domains served; the first one completes bare user names',
        example: ['example.org'],
      }),
    names,
    store,
    redis,
    keys,
    tls,
    listeners,
    upstreams,
    routes,
    appPasswords,
    primaryPassword,
    enrolment,
    onPasswordReset,
    groups,
    signIn,
    portal,
    mail,
    clientSetup,
    eas,
    limits,
    throttle,
    workers,
    log,
    audit,
  },
  'must be a section of keys',
)

/** What the file says, with units resolved and defaults filled in; files are still named, not read. */
export type Settings = z.output<typeof settings>
