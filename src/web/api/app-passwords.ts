/**
 * App passwords: under their user, and by id.
 */

import { z } from 'zod'
import { SERVICE_METHODS } from '../../contract/services.ts'
import { page, pageOf } from './paging.ts'
import { integer, route, USER } from './route.ts'
import { AppPassword, AppPasswordAndEnded, NewAppPassword, Revoked } from './views.ts'

const tag = 'App passwords'
const ID = z.strictObject({ id: z.string().min(1).max(64).describe('Id of an app password.') })
/** A hundred years. */
const MAX_AGE_MS = 100 * 366 * 24 * 60 * 60_000

export const APP_PASSWORD_ROUTES = [
  route({
    verb: 'GET',
    path: '/users/{user}/app-passwords',
    id: 'listAppPasswords',
    tag,
    summary: 'List the app passwords of a user',
    description: 'Newest first, with their last use. The passwords themselves are nowhere.',
    service: 'app-password.list',
    params: USER,
    answer: pageOf(AppPassword),
    problems: ['not-found'],
    ask: ({ params: { user } }) => ({ user }),
    tell: (items) => page(items, null),
  }),
  route({
    verb: 'POST',
    path: '/users/{user}/app-passwords',
    id: 'createAppPassword',
    tag,
    summary: 'Make an app password',
    description: 'It is generated, and shown in this answer only.',
    service: 'app-password.create',
    creates: true,
    params: USER,
    body: SERVICE_METHODS['app-password.create'].request.omit({ user: true }),
    answer: NewAppPassword,
    problems: ['not-found', 'cap-reached'],
    ask: ({ params: { user }, body }) => ({ ...body, user }),
    tell: (made) => ({ body: made, location: `/app-passwords/${made.id}` }),
  }),
  route({
    verb: 'DELETE',
    path: '/users/{user}/app-passwords',
    id: 'deleteAllAppPasswords',
    tag,
    summary: 'Delete all app passwords of a user',
    description: 'Their open sessions end within a second. This can not be undone.',
    service: 'app-password.delete-all',
    params: USER,
    answer: Revoked,
    problems: ['not-found'],
    ask: ({ params: { user } }) => ({ user }),
    tell: (revoked) => ({ body: revoked }),
  }),
  route({
    verb: 'GET',
    path: '/app-passwords/{id}',
    id: 'getAppPassword',
    tag,
    summary: 'Show an app password',
    description: 'With its last use. The password itself is nowhere.',
    service: 'app-password.show',
    params: ID,
    answer: AppPassword,
    problems: ['not-found'],
    ask: ({ params: { id } }) => ({ id }),
    tell: (shown) => ({ body: shown }),
  }),
  route({
    verb: 'PATCH',
    path: '/app-passwords/{id}',
    id: 'updateAppPassword',
    tag,
    summary: 'Rename an app password, or change where, for what and how long it works',
    description: 'What is left out stays. Open sessions that it does not allow any more end within a second.',
    service: 'app-password.update',
    params: ID,
    body: SERVICE_METHODS['app-password.update'].request.omit({ id: true }),
    answer: AppPasswordAndEnded,
    problems: ['not-found'],
    ask: ({ params: { id }, body }) => ({ ...body, id }),
    tell: (changed) => ({ body: changed }),
  }),
  route({
    verb: 'DELETE',
    path: '/app-passwords/{id}',
    id: 'deleteAppPassword',
    tag,
    summary: 'Delete an app password',
    description: 'Its open sessions end within a second. This can not be undone.',
    service: 'app-password.delete',
    params: ID,
    answer: Revoked,
    problems: ['not-found'],
    ask: ({ params: { id } }) => ({ id }),
    tell: (revoked) => ({ body: revoked }),
  }),
  route({
    verb: 'DELETE',
    path: '/app-passwords',
    id: 'deleteUnusedAppPasswords',
    tag,
    summary: 'Delete all app passwords that nobody has used for so long, of all users',
    description: 'Open sessions end within a second. This can not be undone.',
    service: 'app-password.delete-unused',
    query: z.strictObject({ unusedForMs: integer(1, MAX_AGE_MS).describe('Milliseconds.') }),
    answer: Revoked,
    ask: ({ query: { unusedForMs } }) => ({ unusedForMs }),
    tell: (revoked) => ({ body: revoked }),
  }),
]
