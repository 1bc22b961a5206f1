/** Help, for everybody: it is where the refusals of the mail protocols point to (R34, M4). */

import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { anyone, page } from '../answer.ts'
import * as errors from '../pages/errors.ts'
import type { ProgramName } from '../pages/help.ts'
import { help, PROGRAM_NAMES, program } from '../pages/help.ts'
import type { Portal, Visit } from '../visit.ts'

/** The user's own policy when we know who it is, else that for everybody (R29). */
const isAllowed = ({ session, settings }: Visit): boolean =>
  session?.view.appPasswords.allowed ?? settings.appPasswordsAllowed

const isProgram = (name: string): name is ProgramName => (PROGRAM_NAMES as readonly string[]).includes(name)

export function helpRoutes(app: FastifyInstance, portal: Portal): void {
  app.get(
    '/help',
    anyone(portal, (visit) => page(help(visit, isAllowed(visit)))),
  )

  app.get(
    '/help/:program',
    anyone(portal, (visit) => {
      const { program: name } = visit.params(z.strictObject({ program: z.string().max(64) }))
      return isProgram(name) ? page(program(visit, name, isAllowed(visit))) : page(errors.notFound(visit), 404)
    }),
  )
}
