/**
 * /users: who may have app passwords.
 */

import { z } from 'zod'
import { SERVICE_METHODS } from '../../contract/services.ts'
import { PAGE, page, pageOf } from './paging.ts'
import { route, USER } from './route.ts'
import { Ended, Import, Invitation, Reset, User, UserAndEnded, UserDetail } from './views.ts'

const tag = 'Users'

export const USER_ROUTES = [
  route({
    verb: 'GET',
    path: '/users',
    id: 'listUsers',
    tag,
    summary: 'List users, or search for some',
    description: 'Ordered by address.',
    service: 'user.list',
    query: PAGE.extend({
      q: z
        .string()
        .max(254)
        .optional()
        .describe('Only users whose address, or a word of whose name, begins with this; several words: all of them.'),
    }),
    answer: pageOf(User),
    ask: ({ query: { q, cursor, limit } }) => ({
      ...(q === undefined ? {} : { search: q }),
      after: cursor ?? null,
      limit,
    }),
    tell: ({ users, next }) => page(users, next),
  }),
  route({
    verb: 'POST',
    path: '/users',
    id: 'createUser',
    tag,
    summary: 'Add a user',
    description:
      'Without a password the user can be given app passwords, and has no other. `admin` takes the scope administrators:write as well, and so does every change of an administrator.',
    service: 'user.add',
    creates: true,
    body: SERVICE_METHODS['user.add'].request,
    answer: User,
    problems: ['exists'],
    ask: ({ body }) => body,
    tell: (user) => ({ body: user, location: `/users/${user.id}` }),
  }),
  route({
    verb: 'POST',
    path: '/users/import',
    id: 'importUsers',
    tag,
    summary: 'Add many users, at most 200 at once',
    description: 'Users who are there already are left as they are. `line` is yours: it names what was refused.',
    service: 'user.import',
    body: SERVICE_METHODS['user.import'].request,
    answer: Import,
    ask: ({ body }) => body,
    tell: (report) => ({ body: report }),
  }),
  route({
    verb: 'GET',
    path: '/users/{user}',
    id: 'getUser',
    tag,
    summary: 'Show a user',
    service: 'user.show',
    params: USER,
    answer: UserDetail,
    problems: ['not-found'],
    ask: ({ params: { user } }) => ({ address: user }),
    tell: (user) => ({ body: user }),
  }),
  route({
    verb: 'PATCH',
    path: '/users/{user}',
    id: 'updateUser',
    tag,
    summary: 'Change a user',
    description:
      'What is left out stays; all of it happens, or none. A user who is disabled loses every open session, and new groups end those that their policy does not allow.',
    service: 'user.update',
    params: USER,
    body: SERVICE_METHODS['user.update'].request.omit({ address: true }),
    answer: UserAndEnded,
    problems: ['not-found'],
    ask: ({ params: { user }, body }) => ({ ...body, address: user }),
    tell: (user) => ({ body: user }),
  }),
  route({
    verb: 'DELETE',
    path: '/users/{user}',
    id: 'deleteUser',
    tag,
    summary: 'Delete a user with all app passwords',
    description: 'Open sessions end. The address stays reserved. This can not be undone.',
    service: 'user.delete',
    params: USER,
    answer: Ended,
    problems: ['not-found'],
    ask: ({ params: { user } }) => ({ address: user }),
    tell: (ended) => ({ body: ended }),
  }),
  route({
    verb: 'POST',
    path: '/users/{user}/set-password',
    id: 'setUserPassword',
    tag,
    summary: 'Set the password a user signs in to the portal with',
    description: 'No mail client can use it. App passwords are kept or deleted as `onPasswordReset` says.',
    service: 'user.set-password',
    params: USER,
    body: SERVICE_METHODS['user.set-password'].request.omit({ address: true }),
    answer: UserAndEnded,
    problems: ['not-found'],
    ask: ({ params: { user }, body: { password } }) => ({ address: user, password }),
    tell: (user) => ({ body: user }),
  }),
  route({
    verb: 'POST',
    path: '/users/{user}/invite',
    id: 'inviteUser',
    tag,
    summary: 'Make a link with which the user sets up two-step sign-in',
    description: 'It takes the place of earlier ones. With `mail` it is sent to the mailbox and not shown.',
    service: 'user.invite',
    creates: true,
    params: USER,
    body: SERVICE_METHODS['user.invite'].request.omit({ address: true }),
    answer: Invitation,
    problems: ['not-found', 'not-configured'],
    ask: ({ params: { user }, body }) => ({ ...body, address: user }),
    tell: (invitation) => ({ body: invitation }),
  }),
  route({
    verb: 'POST',
    path: '/users/{user}/reset-two-step',
    id: 'resetTwoStep',
    tag,
    summary: 'Take the second steps of a user away, and make a link to set them up anew',
    description: 'Authenticator apps, passkeys, recovery codes and sessions of the portal go; app passwords stay.',
    service: 'user.reset-two-step',
    params: USER,
    body: SERVICE_METHODS['user.reset-two-step'].request.omit({ address: true }),
    answer: Reset,
    problems: ['not-found', 'not-configured'],
    ask: ({ params: { user }, body }) => ({ ...body, address: user }),
    tell: (reset) => ({ body: reset }),
  }),
]
