/**
 * The keeper's services: one function per method of `SERVICE_METHODS`. Requests arrive checked by their schema.
 */

import type { Actor, ServiceAnswer, ServiceHandlers, ServiceName, ServiceParams } from '../contract/services.ts'
import { appPasswordServices } from './services/app-passwords.ts'
import { deviceServices } from './services/devices.ts'
import { operationServices } from './services/operations.ts'
import { policyServices } from './services/policies.ts'
import { sessionServices } from './services/sessions.ts'
import type { ServiceDeps } from './services/shared.ts'
import { asServiceError } from './services/shared.ts'
import { throttleServices } from './services/throttle.ts'
import { tokenServices } from './services/tokens.ts'
import { twoStepServices } from './services/two-step.ts'
import { userServices } from './services/users.ts'

/** All reject with ServiceError; anything else is a bug. */
export function createServices(deps: ServiceDeps): ServiceHandlers {
  const handlers: ServiceHandlers = {
    ...userServices(deps),
    ...twoStepServices(deps),
    ...tokenServices(deps),
    ...appPasswordServices(deps),
    ...sessionServices(deps),
    ...deviceServices(deps),
    ...policyServices(deps),
    ...throttleServices(deps),
    ...operationServices(deps),
  }

  function worded<N extends ServiceName>(name: N): ServiceHandlers[N] {
    const handler = handlers[name] as (params: ServiceParams<N>, actor: Actor) => Promise<ServiceAnswer<N>>
    return (async (params: ServiceParams<N>, actor: Actor) => {
      try {
        return await handler(params, actor)
      } catch (error) {
        throw asServiceError(error)
      }
    }) as ServiceHandlers[N]
  }

  const names = Object.keys(handlers) as ServiceName[]
  return Object.fromEntries(names.map((name) => [name, worded(name)])) as ServiceHandlers
}
