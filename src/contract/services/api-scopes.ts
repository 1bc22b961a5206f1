/**
 * What a token of the admin API can be good for. Writing does not include reading.
 */

export const API_SCOPES = [
  'users:read',
  'users:write',
  /** Beside `users:write`: to make an administrator, or change one. */
  'administrators:write',
  'app-passwords:read',
  'app-passwords:write',
  'policies:read',
  'policies:write',
  'sessions:read',
  'sessions:write',
  'throttle:read',
  'throttle:write',
  'audit:read',
  'tokens:read',
  'tokens:write',
  'devices:read',
  'devices:write',
] as const
export type ApiScope = (typeof API_SCOPES)[number]
