/**
 * Signing in at an OpenID provider, and what there is to sign in with.
 */

import type { PortalHandlers } from '../../contract/portal.ts'
import { ServiceError } from '../../contract/services.ts'
import type { PortalDeps } from './deps.ts'

type ProviderHandlers = Pick<
  PortalHandlers,
  'sign-in.options' | 'sign-in.provider-begin' | 'sign-in.provider-finish' | 'sign-in.provider-logout'
>

export function providerHandlers({ config }: PortalDeps): ProviderHandlers {
  const unknown = () => new ServiceError('not-found', 'there is no such provider')

  return {
    async 'sign-in.options'() {
      const { signIn, portal, enrolment } = config()
      return {
        password: signIn === null || signIn.local || signIn.ldap !== null,
        passkey: portal !== null,
        providers: [],
        enrolment,
      }
    },

    async 'sign-in.provider-begin'() {
      throw unknown()
    },
    async 'sign-in.provider-finish'() {
      return { next: 'refused', why: 'flow-over' }
    },
    async 'sign-in.provider-logout'() {
      throw unknown()
    },
  }
}
