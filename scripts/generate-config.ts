/**
 * Writes the files of config/ that are printed from the declaration: the JSON Schema, the reference, the commented sample.
 * With --check it only says which of them differ (exit 1).
 */

import { readFileSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { schemaText } from '../src/config/print.ts'
import { referenceText } from '../src/config/reference.ts'
import { sampleText } from '../src/config/sample.ts'

const directory = resolve(import.meta.dirname, '../config')
const files = {
  'sallyport.schema.json': schemaText(),
  'reference.md': referenceText(),
  'sallyport.yaml': sampleText(),
}

let different = 0
for (const [name, text] of Object.entries(files)) {
  const path = resolve(directory, name)
  if (!process.argv.includes('--check')) writeFileSync(path, text)
  else if (readFileSync(path, 'utf8') !== text) {
    different += 1
    console.error(`config/${name} differs from the declaration: run node scripts/generate-config.ts`)
  }
}
process.exitCode = different > 0 ? 1 : 0
