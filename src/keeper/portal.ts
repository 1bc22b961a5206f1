/**
 * All that web can ask of the keeper: one function for each method of `PORTAL_METHODS`. Requests arrive checked by their
 * schema; every right is checked here.
 */

import type { PortalAnswer, PortalHandlers, PortalMethodName, PortalParams } from '../contract/portal.ts'
import type { ApiTokens } from '../records/api-tokens.ts'
import { adminHandlers } from './portal/admin.ts'
import { appPasswordHandlers } from './portal/app-passwords.ts'
import type { PortalDeps } from './portal/deps.ts'
import { deviceHandlers } from './portal/devices.ts'
import { createGuesses } from './portal/guesses.ts'
import { invitationHandlers } from './portal/invitations.ts'
import { methodHandlers } from './portal/methods.ts'
import { createNotices } from './portal/notices.ts'
import { createPresence } from './portal/presence.ts'
import { createProvenPasskeys } from './portal/proven-passkeys.ts'
import { providerHandlers } from './portal/providers.ts'
import { sessionHandlers } from './portal/session.ts'
import { setUpHandlers } from './portal/set-up.ts'
import { signInHandlers } from './portal/sign-in.ts'
import { createSigningIn } from './portal/signing-in.ts'
import type { PrimaryPasswords } from './primary.ts'
import { asServiceError } from './services/shared.ts'
import { createFirstFactor } from './sign-in/first-factor.ts'
import { createLocalPasswords } from './sign-in/local.ts'

export interface PortalOptions extends PortalDeps {
  readonly apiTokens: ApiTokens
  /** The rations of what the directory judges. */
  readonly directory: PrimaryPasswords
}

/** All reject with ServiceError; anything else is a bug. */
export function createPortal(deps: PortalOptions): PortalHandlers {
  const presence = createPresence(deps)
  const guesses = createGuesses(deps.throttle)
  const signingIn = createSigningIn(deps)
  const passkeys = createProvenPasskeys(deps)
  const local = createLocalPasswords(deps.hasher, deps.keys)
  const firstFactor = createFirstFactor({
    config: deps.config,
    local,
    primary: deps.directory,
    log: deps.log,
  })
  let loading: ReturnType<typeof loadOpenId> | null = null
  const openId = () => {
    loading ??= loadOpenId(deps)
    return loading
  }
  const handlers: PortalHandlers = {
    ...signInHandlers(deps, { guesses, signingIn, passkeys, firstFactor }),
    ...providerHandlers(deps, { presence, signingIn, openId }),
    ...sessionHandlers(deps, { presence, guesses, signingIn, passkeys }),
    ...methodHandlers(deps, { presence, notices: createNotices(deps) }),
    ...appPasswordHandlers(deps, presence),
    ...deviceHandlers(deps, presence),
    ...invitationHandlers(deps, signingIn),
    ...setUpHandlers(deps, presence),
    ...adminHandlers(deps, { presence, apiTokens: deps.apiTokens }),
  }

  function worded<N extends PortalMethodName>(name: N): PortalHandlers[N] {
    const handler = handlers[name] as (params: PortalParams<N>) => Promise<PortalAnswer<N>>
    return (async (params: PortalParams<N>) => {
      try {
        return await handler(params)
      } catch (error) {
        throw asServiceError(error)
      }
    }) as PortalHandlers[N]
  }

  const names = Object.keys(handlers) as PortalMethodName[]
  return Object.fromEntries(names.map((name) => [name, worded(name)])) as PortalHandlers
}

/** Some 50 MB and half a second of libraries, which a keeper without OpenID providers never loads. */
async function loadOpenId(deps: PortalOptions) {
  const { createProviders } = await import('./sign-in/oidc.ts')
  const { createLogoutTokens } = await import('./sign-in/logout-token.ts')
  const providers = createProviders(deps)
  return { providers, logoutTokens: createLogoutTokens({ ...deps, providers }) }
}
