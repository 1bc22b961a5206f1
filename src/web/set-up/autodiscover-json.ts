/**
 * Autodiscover version 2: one address as JSON, asked for by a GET without credentials (pure).
 *
 * @see MS-ASHTTP and Microsoft's "Autodiscover V2" for the two protocols; errors as Exchange words them
 */

import type { PublishedSettings } from '../../contract/published.ts'

export interface JsonAnswer {
  readonly status: 200 | 400 | 404
  readonly body: Readonly<Record<string, string>>
}

const error = (status: 400 | 404, ErrorCode: string, ErrorMessage: string): JsonAnswer => ({
  status,
  body: { ErrorCode, ErrorMessage },
})

/** @param protocol what the query said; null: nothing, or more than one thing */
export function autodiscoverJson({ activeSync, web }: PublishedSettings, protocol: string | null): JsonAnswer {
  const urls: Readonly<Record<string, string | null>> = {
    ActiveSync: activeSync,
    AutodiscoverV1: web === null ? null : `${web}/autodiscover/autodiscover.xml`,
  }
  if (protocol === null || protocol === '') {
    return error(400, 'MandatoryParameterMissing', "A valid value must be provided for the query parameter 'Protocol'.")
  }
  const name = Object.keys(urls).find((known) => known.toLowerCase() === protocol.toLowerCase())
  const known = Object.entries(urls).filter(([, url]) => url !== null)
  const words = `Supported values are '${known.map(([each]) => each).join(',')}'.`
  // Without the value that was given: an answer repeats nothing of a question it does not understand.
  if (name === undefined) return error(400, 'InvalidProtocol', `The given protocol value is invalid. ${words}`)
  const url = urls[name] ?? null
  if (url === null) return error(404, 'ProtocolNotSupported', `This protocol is not offered here. ${words}`)
  return { status: 200, body: { Protocol: name, Url: url } }
}
