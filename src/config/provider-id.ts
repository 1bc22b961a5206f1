/**
 * The id of an OpenID provider, from its name: it stands in addresses that are registered with the provider.
 */

/** 'Contoso Ltd.' → 'contoso-ltd'; '' when nothing is left. */
export function providerId(name: string): string {
  return name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
}
