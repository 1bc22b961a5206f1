/**
 * Schema step 0010: the entries of the audit trail about an address, which outlives its user.
 */

import type { Kysely } from 'kysely'

export async function auditByAddress(db: Kysely<unknown>): Promise<void> {
  await db.schema.createIndex('audit_address').on('audit').columns(['address', 'seq']).execute()
}
