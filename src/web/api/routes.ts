/**
 * All routes of the admin API.
 */

import { APP_PASSWORD_ROUTES } from './app-passwords.ts'
import { AUDIT_ROUTES } from './audit.ts'
import { DEVICE_ROUTES } from './devices.ts'
import { POLICY_ROUTES } from './policies.ts'
import type { ApiRoute } from './route.ts'
import { SESSION_ROUTES } from './sessions.ts'
import { THROTTLE_ROUTES } from './throttle.ts'
import { TOKEN_ROUTES } from './tokens.ts'
import { USER_ROUTES } from './users.ts'

export const API_ROOT = '/api/v1'

export const API_ROUTES: readonly ApiRoute[] = [
  ...USER_ROUTES,
  ...APP_PASSWORD_ROUTES,
  ...DEVICE_ROUTES,
  ...POLICY_ROUTES,
  ...SESSION_ROUTES,
  ...THROTTLE_ROUTES,
  ...AUDIT_ROUTES,
  ...TOKEN_ROUTES,
]

/** The document about them, at this path below the root. */
export const DOCUMENT_PATH = '/openapi.json'
