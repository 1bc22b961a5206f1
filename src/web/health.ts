/**
 * Whether web and the keeper behind it answer, for operators: GET /api/health.
 */

import { ServiceError } from '../contract/services.ts'
import type { Area } from './areas.ts'

export const health: Area = {
  door: 'operator',
  register(app, { keeper }) {
    app.get('/api/health', async (_, reply) => {
      const isUp = await keeper.call('sign-in.options', {}).then(
        () => true,
        (error: unknown) => error instanceof ServiceError && error.code !== 'unavailable',
      )
      return reply.code(isUp ? 200 : 503).send({ web: 'up', keeper: isUp ? 'up' : 'down' })
    })
  },
}
