/**
 * What a scanner listener lets in (M11): networks, old TLS, and which short name is whose.
 */

import type { MailListenerConfig } from '../../config.ts'
import type { Report } from './report.ts'
import { good } from './report.ts'

/** Whether there is a user of this address. */
export type IsUser = (address: string) => Promise<boolean>

/** Nothing for a listener that is none. */
export async function showScanner(
  report: Report,
  hop: string,
  { scanner, proxyProtocol }: MailListenerConfig,
  isUser: IsUser,
): Promise<void> {
  if (scanner === null) return
  const through = proxyProtocol === null ? '' : `, through the load balancer at ${proxyProtocol.from.join(', ')}`
  report.add(hop, 'allowed networks', good(`${scanner.allowedNetworks.join(', ')}${through}`))
  if (scanner.allowInsecureTls !== null) {
    const advice = 'It is broken: keep these devices in a network of their own, and replace them when you can.'
    report.add(hop, 'oldest TLS', good(scanner.allowInsecureTls, advice))
  }
  for (const [alias, { user, sender }] of Object.entries(scanner.aliases)) {
    const advice = (await isUser(user)) ? null : `Nobody has that address yet: sallyport user add ${user}`
    report.add(
      hop,
      `alias ${alias}`,
      good(`logs in as ${user}${sender === null ? '' : `, sends as ${sender}`}`, advice),
    )
  }
}
