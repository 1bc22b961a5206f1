/**
 * /tokens: tokens of this API.
 */

import { z } from 'zod'
import { SERVICE_METHODS } from '../../contract/services.ts'
import { page, pageOf } from './paging.ts'
import { ApiProblem } from './problem.ts'
import { route } from './route.ts'
import { DeletedToken, NewToken, Token } from './views.ts'

const tag = 'Tokens'
const ID = z.strictObject({ id: z.string().min(1).max(64).describe('Id of a token.') })

export const TOKEN_ROUTES = [
  route({
    verb: 'GET',
    path: '/tokens',
    id: 'listTokens',
    tag,
    summary: 'List the tokens of this API',
    service: 'token.list',
    answer: pageOf(Token),
    ask: () => ({}),
    tell: (tokens) => page(tokens, null),
  }),
  route({
    verb: 'POST',
    path: '/tokens',
    id: 'createToken',
    tag,
    summary: 'Make a token',
    description: 'It is shown in this answer only, and can have no scope that the token lacks with which you ask.',
    service: 'token.create',
    creates: true,
    body: SERVICE_METHODS['token.create'].request,
    answer: NewToken,
    ask: ({ body }) => body,
    tell: (token) => ({ body: token, location: `/tokens/${token.id}` }),
  }),
  route({
    verb: 'GET',
    path: '/tokens/{id}',
    id: 'getToken',
    tag,
    summary: 'Show a token',
    service: 'token.list',
    params: ID,
    answer: Token,
    problems: ['not-found'],
    ask: () => ({}),
    tell(tokens, { params: { id } }) {
      const token = tokens.find((each) => each.id === id)
      if (token === undefined) throw new ApiProblem('not-found', `There is no token ${id}.`)
      return { body: token }
    },
  }),
  route({
    verb: 'DELETE',
    path: '/tokens/{id}',
    id: 'deleteToken',
    tag,
    summary: 'Delete a token',
    description: 'It is worth nothing from now on.',
    service: 'token.delete',
    params: ID,
    answer: DeletedToken,
    problems: ['not-found'],
    ask: ({ params: { id } }) => ({ id }),
    tell: (deleted) => ({ body: deleted }),
  }),
]
