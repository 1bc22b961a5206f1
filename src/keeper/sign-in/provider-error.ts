/**
 * What can go wrong at an OpenID provider.
 */

export type ProviderErrorCode =
  /** It does not answer, or not as OpenID providers do. */
  | 'ERR_PROVIDER_UNAVAILABLE'
  /** What came back is not to be believed, or says no. */
  | 'ERR_PROVIDER_REFUSED'

/** The message is for operators and holds no token. */
export class ProviderError extends Error {
  readonly code: ProviderErrorCode
  constructor(code: ProviderErrorCode, message: string, options?: { readonly cause: unknown }) {
    super(message, options)
    this.name = 'ProviderError'
    this.code = code
  }
}
