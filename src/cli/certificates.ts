/**
 * The certificates that a configuration names, judged before anything is started: a fault is told with the line that names them.
 */

import { readFile } from 'node:fs/promises'
import { parseConfigDocument } from '../config/document.ts'
import { memberAt } from '../config/shape.ts'
import type { ConfigProblem, LoadedConfig } from '../config.ts'
import { ConfigError } from '../config.ts'
import { CertificateError, readPair } from '../supervisor/certificates.ts'

/**
 * What a start would say of the certificates: warnings of those that have run out, or are not valid yet.
 *
 * @throws ConfigError for pairs that it would refuse
 */
export async function judgeCertificates({ config, file }: LoadedConfig): Promise<readonly ConfigProblem[]> {
  const document = parseConfigDocument(await readFile(file, 'utf8'), file)
  const refused: ConfigProblem[] = []
  const warnings: ConfigProblem[] = []
  for (const [index, files] of config.tls.certificates.entries()) {
    const path = ['tls', 'certificates', index]
    const line = memberAt(document.value, path) === undefined ? null : document.lineOf(path)
    const place = { file, line, key: `tls.certificates[${index}]` }
    try {
      const { name, validFrom, expiresAt } = await readPair(files)
      const day = (date: Date) => date.toISOString().slice(0, 10)
      if (expiresAt < new Date()) {
        warnings.push({ ...place, message: `${name} ran out on ${day(expiresAt)}: renew it` })
      } else if (validFrom > new Date()) {
        warnings.push({ ...place, message: `${name} is not valid before ${day(validFrom)}: is the clock right?` })
      }
    } catch (error) {
      if (!(error instanceof CertificateError)) throw error
      refused.push({ ...place, message: error.message })
    }
  }
  if (refused.length > 0) throw new ConfigError(refused)
  return warnings
}
