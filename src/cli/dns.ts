/**
 * `sallyport dns`: the records that lead mail clients here, and whether they are set.
 */

import { Resolver } from 'node:dns/promises'
import { isIP } from 'node:net'
import { InvalidArgumentError } from 'commander'
import { parseHostPort } from '../config/units.ts'
import { publishedSettings } from '../contract/published.ts'
import type { Context } from './context.ts'
import type { LookedUp } from './dns/look-up.ts'
import { lookUp } from './dns/look-up.ts'
import type { DnsRecord } from './dns/records.ts'
import { hostsOf, recordsOf, remarksOn, zoneValue } from './dns/records.ts'
import { CliError, EXIT } from './failure.ts'
import type { Define } from './index.ts'
import { counted, plain, printJson, table, write } from './output.ts'

interface Options {
  readonly check?: boolean
  /** As Node wants it: '192.0.2.1:53'. */
  readonly server?: string
}

interface Line {
  readonly record: DnsRecord
  readonly looked: LookedUp | null
}

const TIMEOUT_MS = 2000
const TRIES = 2

export const dns: Define = (command, run) => {
  command
    .description('Print the DNS records that lead mail clients here, for every served domain.')
    .option('--check', 'ask a resolver which of them are set; exit 1 unless all are right')
    .option('--server <address>', 'with --check: the resolver to ask, instead of this machine’s', server)
    .addHelpText(
      'after',
      `
What is printed follows from the listeners and from clientSetup in the configuration.
With --json: [{"domain","name","type","value"}], with --check also "state" (right, missing, different) and "found".
--check also asks whether the hosts that the records lead to have an address: type "A" (AAAA does as well), "value" null.

Examples:
  sallyport dns
  sallyport dns --check --server 9.9.9.9`,
    )
    .action(run<[], Options>((context, _, options) => printRecords(context, options)))
}

function server(text: string): string {
  const { host, port } = parseHostPort(text) ?? { host: '', port: null }
  if (isIP(host) === 0) throw new InvalidArgumentError('Write an address: 192.0.2.1, 192.0.2.1:53 or [2001:db8::1]:53.')
  return port === null ? host : `${isIP(host) === 6 ? `[${host}]` : host}:${port}`
}

async function printRecords(context: Context, { check = false, server }: Options): Promise<number> {
  if (server !== undefined && !check) throw new CliError('usage', '--server is for --check')
  const { config } = await context.loadConfig()
  const settings = publishedSettings(config)
  if (settings === null || isIP(settings.host.replace(/^\[|\]$/g, '')) !== 0) {
    throw new CliError(
      'configuration',
      'the configuration does not say under which name clients reach this server: add clientSetup: { host: mail.example.org }',
    )
  }
  const lines: Line[] = []
  const resolver = check ? resolverAt(server) : null
  const perDomain = settings.domains.map((domain) => recordsOf(settings, domain))
  for (const records of resolver === null ? perDomain : [...perDomain, hostsOf(settings)]) {
    const looked = resolver === null ? null : await Promise.all(records.map((record) => lookUp(resolver, record)))
    lines.push(...records.map((record, index) => ({ record, looked: looked?.[index] ?? null })))
  }
  const wrong = lines.filter(({ looked }) => looked !== null && looked.state !== 'right').length
  if (context.json) await printJson(context.io, lines.map(jsonOf))
  else {
    await write(context.io, check ? checkedText(lines) : zoneText(lines))
    for (const remark of remarksOn(settings)) context.note(`${remark}.`)
    if (check) context.note(wrong === 0 ? 'All are right.' : `${counted(wrong, 'record')} to set.`)
  }
  return wrong === 0 ? EXIT.ok : EXIT.failed
}

function resolverAt(server: string | undefined): Resolver {
  const resolver = new Resolver({ timeout: TIMEOUT_MS, tries: TRIES })
  if (server !== undefined) resolver.setServers([server])
  return resolver
}

function jsonOf({ record, looked }: Line) {
  const { domain, name, type } = record
  return { domain, name, type, value: zoneValue(record), ...looked }
}

/** Lines for a zone file. */
function zoneText(lines: readonly Line[]): string {
  const width = Math.max(...lines.map(({ record }) => record.name.length + 1))
  return lines
    .map(
      ({ record }) => `${`${record.name}.`.padEnd(width)}  IN ${record.type.padEnd(5)}  ${zoneValue(record) ?? ''}\n`,
    )
    .join('')
}

function checkedText(lines: readonly Line[]): string {
  return table(lines, {
    STATE: ({ looked }) => looked?.state ?? '',
    NAME: ({ record }) => `${record.name}.`,
    TYPE: ({ record }) => record.type,
    VALUE: ({ record }) => zoneValue(record) ?? 'any address',
    FOUND: ({ looked }) => (looked?.state === 'different' ? plain(looked.found.join(', ')) : ''),
  })
}
