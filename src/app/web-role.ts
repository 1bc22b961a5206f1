/**
 * Web as a running role: its server at a local socket, and its questions to the keeper.
 */

import type { PortalServices } from '../contract/portal.ts'
import { doorKeys } from '../contract/web-door.ts'
import type { WebSettings } from '../contract/web-settings.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import { Secret } from '../secret.ts'
import type { WebInit } from '../supervisor/messages.ts'
import { createWebServer } from '../web/server.ts'

export interface RunningWeb {
  reload(settings: WebSettings): void
  /** Finishes what it is answering. */
  close(): Promise<void>
}

/** @throws the system's error when the socket can't be made */
export async function startWeb(init: WebInit, keeper: PortalServices, log: Log, metrics: Metrics): Promise<RunningWeb> {
  let { settings } = init
  const server = await createWebServer({
    path: init.path,
    keys: doorKeys(new Secret(init.doorSecret)),
    keeper,
    settings: () => settings,
    log,
    metrics,
  })
  return {
    reload(next) {
      settings = next
      log.setLevel(next.logLevel)
    },
    close: () => server.close(),
  }
}
