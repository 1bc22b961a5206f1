/**
 * /sessions: who is connected now, and ending it.
 */

import { z } from 'zod'
import { PAGE, page, pageOf } from './paging.ts'
import { ApiProblem } from './problem.ts'
import { route } from './route.ts'
import { Ended, Session } from './views.ts'

const tag = 'Sessions'
const user = z.string().min(1).max(254).optional().describe('Only those of this user: id or mail address.')
const id = z.string().min(1).max(64)

export const SESSION_ROUTES = [
  route({
    verb: 'GET',
    path: '/sessions',
    id: 'listSessions',
    tag,
    summary: 'List open mail sessions',
    service: 'session.list',
    query: PAGE.extend({ user }),
    answer: pageOf(Session),
    ask: ({ query: { user, cursor, limit } }) => ({
      ...(user === undefined ? {} : { user }),
      after: cursor ?? null,
      limit,
    }),
    tell: ({ sessions, next }) => page(sessions, next),
  }),
  route({
    verb: 'DELETE',
    path: '/sessions',
    id: 'endSessions',
    tag,
    summary: 'End the sessions of a user or an app password',
    description: 'With both a session must match both. The client may log in again.',
    service: 'session.end',
    query: z
      .strictObject({ user, appPassword: id.optional().describe('Only those of this app password: its id.') })
      .refine(
        ({ user, appPassword }) => user !== undefined || appPassword !== undefined,
        'say which sessions: user or appPassword',
      ),
    answer: Ended,
    problems: ['not-found'],
    ask: ({ query: { user, appPassword } }) => ({
      ...(user === undefined ? {} : { user }),
      ...(appPassword === undefined ? {} : { appPassword }),
    }),
    tell: (ended) => ({ body: ended }),
  }),
  route({
    verb: 'DELETE',
    path: '/sessions/{id}',
    id: 'endSession',
    tag,
    summary: 'End a session',
    description: 'The client may log in again.',
    service: 'session.end',
    params: z.strictObject({ id: id.describe('Id of a session.') }),
    answer: Ended,
    problems: ['not-found'],
    ask: ({ params: { id } }) => ({ id }),
    tell(ended, { params: { id } }) {
      // Nothing ended, and everybody has answered: there was none.
      if (ended.sessionsEnded === 0 && ended.unanswered.length === 0) {
        throw new ApiProblem('not-found', `There is no session ${id}.`)
      }
      return { body: ended }
    },
  }),
]
