/**
 * How values stand in columns, and what a statement says of what it did; the same in both dialects.
 */

export const dateOf = (ms: number | null) => (ms === null ? null : new Date(ms))
export const msOf = (date: Date | null) => date?.getTime() ?? null
/** Truth as a column: null stays null. */
export const truthOf = (value: boolean | null) => (value === null ? null : value ? 1 : 0)

/** Whether an update found its row. */
export const changed = (result: { readonly numUpdatedRows: bigint }) => result.numUpdatedRows > 0n
/** Whether a delete did. */
export const gone = (result: { readonly numDeletedRows: bigint }) => result.numDeletedRows > 0n
