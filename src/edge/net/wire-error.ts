/** What ends a wire before its time. */

export type WireErrorCode =
  | 'ERR_WIRE_LINE_TOO_LONG'
  /** More bytes than the budget, in either direction. */
  | 'ERR_WIRE_BUDGET'
  | 'ERR_WIRE_DEADLINE'
  /** The server is going down. */
  | 'ERR_WIRE_GOING_DOWN'
  /** The connection made room for another one. */
  | 'ERR_WIRE_DISMISSED'
  /** The connection broke. */
  | 'ERR_WIRE_RESET'
  /** Bytes were waiting where TLS was to begin. */
  | 'ERR_WIRE_INJECTED'
  | 'ERR_WIRE_TLS'

/** What a peer, or the way to it, did wrong, or why we don't go on with it. The message is for operators. */
export class WireError extends Error {
  readonly code: WireErrorCode
  constructor(code: WireErrorCode, message: string, options?: { readonly cause: unknown }) {
    super(message, options)
    this.name = 'WireError'
    this.code = code
  }
}
