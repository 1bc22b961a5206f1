/**
 * What goes wrong between two of our processes: IpcError (the channel failed) and IpcFailure (the other side said no).
 */

export type IpcErrorCode =
  /** The peer broke the framing, or sent what is no message. The connection is closed. */
  | 'ERR_IPC_PROTOCOL'
  /** A message of our own does not fit a frame. */
  | 'ERR_IPC_TOO_LARGE'
  /** The hello was refused: wrong role, wrong key, or not said in time. */
  | 'ERR_IPC_REFUSED'
  /** An answer did not come in time. */
  | 'ERR_IPC_TIMEOUT'
  | 'ERR_IPC_CLOSED'
  /** Too many requests are waiting, or the peer does not read. */
  | 'ERR_IPC_BUSY'
  /** Nobody listens there. */
  | 'ERR_IPC_UNREACHABLE'
  /** The operating system forbids it. */
  | 'ERR_IPC_PERMISSION'
  /** The path can't carry a socket: too long, in use, not ours, open to others. */
  | 'ERR_IPC_PATH'

/** The channel failed. The message names the path or the peer, never what was sent. */
export class IpcError extends Error {
  readonly code: IpcErrorCode
  constructor(code: IpcErrorCode, message: string, options?: { readonly cause: unknown }) {
    super(message, options)
    this.name = 'IpcError'
    this.code = code
  }
}

/**
 * The other side's own answer "no". A handler throws it to send it; a request rejects with it on the asking side.
 * `data` is plain JSON for the two ends to agree on. No stack and no cause crosses a channel.
 */
export class IpcFailure extends Error {
  /** A word of the contract in hand: 'login-failure', 'not-found'. 'internal' is a bug on the other side, told no further. */
  readonly code: string
  readonly data: unknown
  constructor(code: string, message: string, data: unknown = null) {
    super(message)
    this.name = 'IpcFailure'
    this.code = code
    this.data = data
  }
}
