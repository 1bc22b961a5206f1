/**
 * The commented sample file, printed from the declaration: every key with its meaning, what must be set set to an example,
 * everything else commented out and set to its default.
 */

import { flow } from './reference.ts'
import type { Shape } from './shape.ts'
import { alternatives, fitting, jsonSchema, meaning, member } from './shape.ts'

const WIDTH = 110
const HEAD = `# yaml-language-server: $schema=./sallyport.schema.json
#
# Configuration of sallyport: every setting and what it means. Settings with a '#' in front are switched off and show
# their default or an example: take the '#' away to switch one on. Check the file with: sallyport config check
# Printed by 'sallyport config reference --sample'. Smaller files to begin with stand beside this one.
`

export function sampleText(): string {
  const root = jsonSchema()
  const parts = Object.entries(root.properties ?? {}).map(([key, shape]) => {
    const isRequired = root.required?.includes(key) ?? false
    return setting(key, shape, isRequired ? shape.examples?.[0] : undefined, {
      live: isRequired,
      indent: '',
      hash: '',
    }).join('\n')
  })
  return `${HEAD}\n${parts.join('\n\n')}\n`
}

/** Where a line goes: live, or with a '#' at the column `hash`, which is the indent of the outermost dead section around it. */
interface Place {
  readonly live: boolean
  readonly indent: string
  readonly hash: string
}

const deeper = ({ live, indent, hash }: Place): Place => ({
  live,
  indent: `${indent}  `,
  hash: live ? `${indent}  ` : hash,
})

/**
 * Comment and lines of one key.
 *
 * `value` is what the example says; undefined: the default, else an example of its own.
 */
function setting(key: string, shape: Shape, value: unknown, place: Place): string[] {
  const preset = isSection(shape.default) && Object.keys(shape.default).length === 0 ? undefined : shape.default
  const shown = value ?? preset ?? shape.examples?.[0] ?? shape.default
  const head = comment(meaning(shape), place)
  const [fit] = fitting(shape, shown)
  const named = typeof fit?.additionalProperties === 'object' ? fit.additionalProperties : null
  if (named?.properties && isSection(shown) && Object.keys(shown).length > 0) {
    const [name, child] = Object.entries(shown)[0] ?? ['main', {}]
    const inner = deeper(place)
    return [...head, line(place, `${key}:`), line(inner, `${name}:`), ...below(named, child, deeper(inner))]
  }
  if (fit?.properties && !fit.items && (shown === undefined || shown === null || isSection(shown))) {
    const others = alternatives(shape).filter((choice) => choice !== fit && choice.properties)
    const variants = others.flatMap((choice) => variant(key, choice, place))
    return [...head, line(place, `${key}:`), ...below(fit, shown ?? {}, deeper(place)), ...variants]
  }
  if (Array.isArray(shown) && shown.some(isSection)) {
    return [...head, line(place, `${key}:`), ...shown.map((item) => line(deeper(place), `- ${flow(item)}`))]
  }
  return [...head, line(place, `${key}: ${shown === undefined || shown === null ? placeholder(shape) : flow(shown)}`)]
}

/** The keys of a section: those that the example has are live if the section is. */
function below(shape: Shape, value: unknown, place: Place): string[] {
  return Object.entries(shape.properties ?? {}).flatMap(([key, property]) => {
    const given = member(value, key)
    return setting(key, property, given ?? property.const, { ...place, live: place.live && given !== undefined })
  })
}

/** Another form of the same key, on one commented line. */
function variant(key: string, shape: Shape, place: Place): string[] {
  const text = Object.entries(shape.properties ?? {})
    .filter(([name, property]) => property.const !== undefined || shape.required?.includes(name))
    .map(
      ([name, property]) => `${name}: ${property.const === undefined ? placeholder(property) : flow(property.const)}`,
    )
  const dead = { ...place, live: false, hash: place.live ? place.indent : place.hash }
  return [...comment(`Or: ${meaning(shape)}`, place), line(dead, `${key}: { ${text.join(', ')} }`)]
}

function placeholder(shape: Shape): string {
  if (shape.examples?.[0] !== undefined) return flow(shape.examples[0])
  const [first] = alternatives(shape)
  if (first?.enum?.[0] !== undefined) return flow(first.enum[0])
  return first?.type === 'array' ? '[]' : '…'
}

function line({ live, indent, hash }: Place, text: string): string {
  return live ? `${indent}${text}` : `${hash}#${indent.slice(hash.length)}${text}`
}

function comment(text: string, { live, indent, hash }: Place): string[] {
  const lines: string[] = []
  let current = ''
  for (const word of text.split(' ')) {
    if (current !== '' && indent.length + current.length + word.length + 3 > WIDTH) {
      lines.push(current)
      current = word
    } else current = current === '' ? word : `${current} ${word}`
  }
  if (current !== '') lines.push(current)
  const start = live || indent === hash ? indent : `${hash}#${indent.slice(hash.length)}`
  return lines.map((each) => `${start}# ${each}`)
}

function isSection(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
