/** What a page of administrators asks: a service of the command line, with this session as its caller (`admin.call`). */

import type { AdminMethod } from '../../../../contract/portal/admin.ts'
import type { ServiceAnswer, ServiceRequest } from '../../../../contract/services.ts'
import type { Visit } from '../../visit.ts'

/** @throws ServiceError */
export async function ask<N extends AdminMethod>(
  visit: Visit,
  method: N,
  params: ServiceRequest<N>,
): Promise<ServiceAnswer<N>> {
  const asked = { client: visit.client, as: { session: visit.token }, method, params }
  // The answer is that of the service, which has checked it (contract/portal/admin.ts).
  return (await visit.call('admin.call', asked)).answer as ServiceAnswer<N>
}
