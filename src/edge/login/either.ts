/**
 * One signal for either of two, until it is disposed of. `AbortSignal.any` does the same by weak references and a registry of
 * what was collected, which shows in what a login costs.
 */

export interface EitherSignal extends Disposable {
  /** Aborts with the first of the two, for the same reason. */
  readonly signal: AbortSignal
}

/** Listens to both; dispose when nobody waits any more. */
export function either(one: AbortSignal, other: AbortSignal): EitherSignal {
  const controller = new AbortController()
  const dispose = (): void => {
    one.removeEventListener('abort', follow)
    other.removeEventListener('abort', follow)
  }
  const follow = (): void => {
    dispose()
    controller.abort(one.aborted ? one.reason : other.reason)
  }
  if (one.aborted || other.aborted) follow()
  else {
    one.addEventListener('abort', follow)
    other.addEventListener('abort', follow)
  }
  return { signal: controller.signal, [Symbol.dispose]: dispose }
}
