/**
 * /throttle: what slows guessing down just now, and forgetting it.
 */

import { z } from 'zod'
import { THROTTLE_LIST_LIMIT } from '../../contract/services/throttle.ts'
import { page, pageOf } from './paging.ts'
import { integer, route } from './route.ts'
import { Cleared, ThrottleLane } from './views.ts'

const tag = 'Throttle'
const WHO = z.strictObject({
  user: z.string().min(1).max(254).optional().describe('Mail address of a user, known or not.'),
  address: z.string().min(1).max(64).optional().describe('IP address.'),
})

export const THROTTLE_ROUTES = [
  route({
    verb: 'GET',
    path: '/throttle',
    id: 'listThrottle',
    tag,
    summary: 'List who failed a short while ago',
    description:
      'The longest waits first, then most failures first. There is no next page: `total` says how many there are.',
    service: 'throttle.list',
    query: WHO.extend({
      limit: integer(1, THROTTLE_LIST_LIMIT, 200).describe('How many at the most.'),
    }),
    answer: pageOf(ThrottleLane).extend({ total: z.number().int().describe('How many there are, shown or not.') }),
    ask: ({ query }) => known(query),
    tell: ({ lanes, total }) => ({ body: { ...Object(page(lanes, null).body), total } }),
  }),
  route({
    verb: 'DELETE',
    path: '/throttle',
    id: 'clearThrottle',
    tag,
    summary: 'Forget the failures of a user, of an address, or of both',
    description: 'Everything that names the user, and everything that names the address.',
    service: 'throttle.clear',
    query: WHO.refine(({ user, address }) => user !== undefined || address !== undefined, 'say whose: user or address'),
    answer: Cleared,
    ask: ({ query }) => known(query),
    tell: (cleared) => ({ body: cleared }),
  }),
]

/** Without what was not given. */
function known<T extends object>(query: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(query).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>
  }
}
