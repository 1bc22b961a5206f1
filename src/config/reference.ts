/**
 * The reference of all settings as Markdown, printed from the declaration.
 */

import type { Shape } from './shape.ts'
import { alternatives, jsonSchema, meaning } from './shape.ts'

const HEAD = `# Configuration reference

Printed by \`sallyport config reference\` from the declaration in \`src/config/\`; do not edit.

The file is YAML. It is looked for at \`--config\`, \`$SALLYPORT_CONFIG\`, \`./sallyport.yaml\`, \`/etc/sallyport/sallyport.yaml\`; the
first one found counts. An unknown key is an error. \`sallyport config check\` says what is wrong with a file, with line and key;
\`sallyport config print\` shows what is in effect. In the tables \`NAME\` stands for a name of your choice and \`[]\` for each entry of a list.

- **Durations** have a unit: \`500ms\`, \`30s\`, \`10m\`, \`1h\`, \`90d\`.
- **Secrets** are files of their own (\`passwordFile\`, \`clientSecretFile\`) with mode 0600. The last newline is not part of the secret.
- **Relative paths** are relative to the directory of the configuration file; those of \`store.sqlite\` and \`keys.file\` to \`dataDirectory\`.
- **Environment**: every setting can be given as \`SALLYPORT_\` and its path in capitals with two underscores between levels:
  \`SALLYPORT_REDIS__URL=redis://127.0.0.1\`, \`SALLYPORT_LIMITS__PERUSER=20\`, \`SALLYPORT_DOMAINS='[example.org]'\`. It goes over the file.
`

export function referenceText(): string {
  const sections = Object.entries(jsonSchema().properties ?? {}).map(([key, shape]) =>
    section(key, shape, required(jsonSchema(), key)),
  )
  return `${HEAD}\n${sections.join('\n')}`
}

function section(key: string, shape: Shape, isRequired: boolean): string {
  const lines = [`## ${key}`, '', sentence(meaning(shape)), '', facts(shape, isRequired), '']
  const example = shape.examples?.[0]
  if (example !== undefined) lines.push(`Example: \`${code(`${key}: ${flow(example)}`)}\``, '')
  const rows = rowsBelow(shape, '')
  if (rows.length > 0)
    lines.push('| Key | Kind | Default | Meaning |', '| --- | --- | --- | --- |', ...rows.map(rowText), '')
  return lines.join('\n')
}

function facts(shape: Shape, isRequired: boolean): string {
  const kindText = kind(shape)
  const fallback = isRequired ? 'required' : `default: ${shownDefault(shape)}`
  return `${kindText.charAt(0).toUpperCase()}${kindText.slice(1)}; ${fallback}.`
}

interface Row {
  readonly path: string
  readonly kind: string
  readonly fallback: string
  readonly meaning: string
}

/** What the keys of a section look like, whatever its own path → the path of such a section. */
type Sections = ReadonlyMap<string, string>

/**
 * Everything below a shape, one row per key. `prefix` is the path so far, with a dot at its end; `around` are the sections beside
 * those that it is in.
 */
function rowsBelow(shape: Shape, prefix: string, around: Sections = new Map()): readonly Row[] {
  const choices = alternatives(shape).filter(
    (choice) => choice.properties ?? choice.items ?? choice.additionalProperties,
  )
  return choices.length > 1
    ? merged(
        choices.map((choice) => ({ choice, rows: rowsOf(choice, prefix, around) })),
        prefix,
      )
    : choices.flatMap((choice) => rowsOf(choice, prefix, around))
}

function rowsOf(shape: Shape, prefix: string, around: Sections): readonly Row[] {
  if (shape.items) return rowsBelow(shape.items, prefix === '' ? '' : `${prefix.slice(0, -1)}[].`, around)
  if (typeof shape.additionalProperties === 'object') {
    const below = rowsBelow(shape.additionalProperties, `${prefix}NAME.`, around)
    return below.length > 0 ? below : [row(`${prefix}NAME`, shape.additionalProperties, false)]
  }
  const rows: Row[] = []
  const properties = Object.entries(shape.properties ?? {}).map(([key, property]) => {
    const keys = rowsBelow(property, '')
    return { key, property, print: keys.length > 2 ? JSON.stringify(keys) : null }
  })
  // Sections with the same keys as one above (imap, pop3, smtp), or as one beside that which they are in (eas.identity), refer to it.
  const above = new Map(around)
  const within = new Map(around)
  for (const { key, print } of properties) if (print !== null) within.set(print, `${prefix}${key}`)
  for (const { key, property, print } of properties) {
    const own = row(`${prefix}${key}`, property, required(shape, key))
    const twin = print === null ? undefined : above.get(print)
    if (twin !== undefined) rows.push({ ...own, meaning: `${own.meaning} Keys as in \`${twin}\`.` })
    else rows.push(own, ...rowsBelow(property, `${prefix}${key}.`, within))
    if (print !== null && twin === undefined) above.set(print, key)
  }
  return rows
}

/** The rows of several forms of one section: the key that tells them apart first, then each key once, with the forms that have it. */
function merged(
  forms: readonly { readonly choice: Shape; readonly rows: readonly Row[] }[],
  prefix: string,
): readonly Row[] {
  const [fixed] =
    Object.entries(forms[0]?.choice.properties ?? {}).find(([, property]) => property.const !== undefined) ?? []
  if (fixed === undefined) return forms.flatMap(({ rows }) => rows)
  const nameOf = (choice: Shape) => `\`${flow(choice.properties?.[fixed]?.const)}\``
  const head: Row = {
    path: `${prefix}${fixed}`,
    kind: forms.map(({ choice }) => nameOf(choice)).join(', '),
    fallback: 'required',
    meaning: forms.map(({ choice }) => `${nameOf(choice)}: ${sentence(meaning(choice))}`).join(' '),
  }
  const holders = new Map<string, { readonly row: Row; readonly names: string[] }>()
  for (const { choice, rows } of forms) {
    for (const each of rows) {
      if (each.path === head.path) continue
      const print = JSON.stringify(each)
      const known = holders.get(print)
      if (known) known.names.push(nameOf(choice))
      else holders.set(print, { row: each, names: [nameOf(choice)] })
    }
  }
  return [
    head,
    ...[...holders.values()].map(({ row: each, names }) =>
      names.length === forms.length ? each : { ...each, meaning: `(${names.join(', ')}) ${each.meaning}` },
    ),
  ]
}

function row(path: string, shape: Shape, isRequired: boolean): Row {
  return {
    path,
    kind: kind(shape),
    fallback: isRequired ? 'required' : shownDefault(shape),
    meaning: sentence(meaning(shape)),
  }
}

function rowText(each: Row): string {
  return `| ${[`\`${each.path}\``, each.kind, each.fallback, each.meaning].map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
}

function required(shape: Shape, key: string): boolean {
  return shape.required?.includes(key) ?? false
}

function shownDefault(shape: Shape): string {
  const { default: value } = shape
  if (value === undefined || value === null) return '–'
  if (typeof value === 'object' && Object.keys(value).length === 0)
    return Array.isArray(value) || !shape.properties ? 'none' : 'as below'
  return `\`${code(flow(value))}\``
}

/** What may stand there, in words. */
function kind(shape: Shape): string {
  const words = new Set(alternatives(shape).map(plainKind))
  return [...words].join(' or ')
}

function plainKind(shape: Shape): string {
  if (shape.const !== undefined) return `\`${flow(shape.const)}\``
  if (shape.enum) return shape.enum.map((value) => `\`${flow(value)}\``).join(', ')
  if (shape.unit) return shape.unit
  switch (shape.type) {
    case 'integer':
      return shape.minimum === undefined ? 'number' : `number, ${shape.minimum} to ${shape.maximum}`
    case 'boolean':
      return '`true` or `false`'
    case 'array':
      return `list of ${shape.items && (alternatives(shape.items)[0]?.properties ? 'sections' : kind(shape.items))}`
    case 'object':
      return typeof shape.additionalProperties === 'object' ? 'section of named entries' : 'section'
    default:
      return 'text'
  }
}

function sentence(text: string): string {
  return text === '' ? '' : /[.!?]$/.test(text) ? text : `${text}.`
}

/** One line of YAML. JSON is YAML; plain words go without quotes. */
export function flow(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(flow).join(', ')}]`
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).map(([key, child]) => `${key}: ${flow(child)}`)
    return entries.length === 0 ? '{}' : `{ ${entries.join(', ')} }`
  }
  if (typeof value !== 'string') return JSON.stringify(value)
  const isPlain = /^[A-Za-z0-9/][A-Za-z0-9_./:@+-]*$/.test(value) && !value.endsWith(':')
  return isPlain && Number.isNaN(Number(value)) && !/^(true|false|null)$/i.test(value) ? value : JSON.stringify(value)
}

function code(text: string): string {
  return text.replaceAll('`', "'")
}
