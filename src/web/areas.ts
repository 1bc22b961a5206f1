/**
 * The parts of the web server: what each serves, and through which door.
 *
 * An area is a plugin: routes, hooks and fault answers that it adds are its own. Two areas may have the same path if they have
 * different doors.
 */

import type { FastifyInstance } from 'fastify'
import type { Door } from '../contract/web-door.ts'
import { api } from './api/area.ts'
import { health } from './health.ts'
import { portal } from './portal.ts'
import type { WebDeps } from './server.ts'
import { setUp } from './set-up.ts'

export interface Area {
  readonly door: Door
  register(app: FastifyInstance, deps: WebDeps): Promise<void> | void
}

export const AREAS: readonly Area[] = [health, api, setUp, portal]
