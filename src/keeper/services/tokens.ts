/**
 * Services about tokens of the admin API.
 */

import type { ApiTokenView, ServiceHandlers } from '../../contract/services.ts'
import type { ApiTokenRow } from '../../records/store/people/api-tokens.ts'
import type { ServiceDeps } from './shared.ts'

type TokenServices = Pick<ServiceHandlers, 'token.create' | 'token.list' | 'token.delete'>

export function tokenServices({ apiTokens }: ServiceDeps): TokenServices {
  return {
    async 'token.create'(request, actor) {
      const { row, token } = await apiTokens.create(request, actor)
      return { ...view(row), token: token.reveal() } // the only place where it ever leaves the keeper
    },

    async 'token.list'() {
      return (await apiTokens.list()).map(view)
    },

    async 'token.delete'({ id }, actor) {
      const { name } = await apiTokens.delete(id, actor)
      return { id, name }
    },
  }
}

function view({ id, name, scopes, createdBy, createdAt, expiresAt, lastUsedAt }: ApiTokenRow): ApiTokenView {
  return {
    id,
    name,
    scopes,
    createdBy,
    createdAt: createdAt.toISOString(),
    expiresAt: expiresAt.toISOString(),
    lastUsedAt: lastUsedAt?.toISOString() ?? null,
  }
}
