/**
 * /policies: who may have app passwords, set while the server runs. And what holds for one user in the end.
 */

import { z } from 'zod'
import type { ServiceAnswer } from '../../contract/services.ts'
import { PAGE, page, pageOf } from './paging.ts'
import { route, USER } from './route.ts'
import { Policy, PolicyAndEnded, UserPolicy } from './views.ts'

const tag = 'Policies'
const GROUP = z.strictObject({ group: z.string().min(1).max(64).describe('Name of a group.') })
const SETTING = z.strictObject({
  appPasswords: z
    .enum(['allowed', 'forbidden', 'default'])
    .describe('default: take the setting back, so that the configuration says.'),
})
const description = 'It goes before what the configuration says. Forbidding ends open sessions within a second.'
const answer = PolicyAndEnded
const tell = (policy: ServiceAnswer<'policy.set'>) => ({ body: policy })

export const POLICY_ROUTES = [
  route({
    verb: 'GET',
    path: '/policies',
    id: 'listPolicies',
    tag,
    summary: 'List the settings: for everybody, for groups, for users',
    service: 'policy.list',
    query: PAGE,
    answer: pageOf(Policy),
    ask: ({ query: { cursor, limit } }) => ({ after: cursor ?? null, limit }),
    tell: ({ policies, next }) => page(policies, next),
  }),
  route({
    verb: 'PUT',
    path: '/policies/all',
    id: 'setPolicy',
    tag,
    summary: 'Allow or forbid app passwords for everybody',
    description,
    service: 'policy.set',
    body: SETTING,
    answer,
    ask: ({ body }) => ({ ...body, scope: 'all' as const }),
    tell,
  }),
  route({
    verb: 'PUT',
    path: '/policies/groups/{group}',
    id: 'setGroupPolicy',
    tag,
    summary: 'Allow or forbid app passwords for a group',
    description,
    service: 'policy.set',
    params: GROUP,
    body: SETTING,
    answer,
    ask: ({ params: { group }, body }) => ({ ...body, scope: 'group' as const, group }),
    tell,
  }),
  route({
    verb: 'PUT',
    path: '/policies/users/{user}',
    id: 'setUserPolicy',
    tag,
    summary: 'Allow or forbid app passwords for a user',
    description,
    service: 'policy.set',
    params: USER,
    body: SETTING,
    answer,
    problems: ['not-found'],
    ask: ({ params: { user }, body }) => ({ ...body, scope: 'user' as const, user }),
    tell,
  }),
  route({
    verb: 'GET',
    path: '/users/{user}/policy',
    id: 'getUserPolicy',
    tag,
    summary: 'Show what holds for a user, and which setting decides it',
    service: 'policy.show',
    params: USER,
    answer: UserPolicy,
    problems: ['not-found'],
    ask: ({ params: { user } }) => ({ user }),
    tell: (policy) => ({ body: policy }),
  }),
]
