/**
 * Set-up of mail clients as a part of the web server. The https edge lets its paths through on listeners that serve autoconfig.
 */

import type { Area } from './areas.ts'
import { clientSetUp } from './set-up/routes.ts'

export const setUp: Area = {
  door: 'public',
  async register(app, { settings }) {
    await app.register(clientSetUp, {
      settings: () => settings().published,
      names: () => settings().names,
      clock: () => new Date(),
    })
  },
}
