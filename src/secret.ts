/**
 * Secret: a value that cannot be printed.
 *
 * A password, token or key is wrapped where it is parsed and opened (`reveal`) only where it is used: at the hash, at the
 * key derivation, at the line that is written upstream. Everything that turns values into text gets a placeholder.
 */

import { inspect } from 'node:util'

const PLACEHOLDER = '[secret]'

/** A string that shows itself to nobody: not to a template, JSON, `console.log` or an error message. */
export class Secret {
  readonly #value: string

  constructor(value: string) {
    this.#value = value
  }

  /** The value itself. Call it at the point of use and keep the result in no variable that outlives the call. */
  reveal(): string {
    return this.#value
  }

  /** Length in UTF-16 code units: enough to enforce a limit without opening the value. */
  get length(): number {
    return this.#value.length
  }

  toString(): string {
    return PLACEHOLDER
  }

  toJSON(): string {
    return PLACEHOLDER
  }

  [inspect.custom](): string {
    return PLACEHOLDER
  }
}
