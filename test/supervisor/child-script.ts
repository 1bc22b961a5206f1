/**
 * A child that does what its first message says.
 */

import { answering } from '../../src/supervisor/messages.ts'

let mood = ''
answering(process, async (name, params) => {
  if (name === 'start') {
    mood = (params as { version: string }).version
    if (mood === 'refuse') throw Object.assign(new Error('the store is locked'), { code: 'ERR_STORE_LOCKED' })
    if (mood === 'die') process.exit(3)
    return null
  }
  if (name === 'ping' && mood === 'hang') for (;;);
  if (name === 'stop') {
    if (mood === 'stay') return new Promise(() => {})
    setImmediate(() => process.exit(0))
  }
  if (name === 'metrics') return [{ mood }]
  if (name === 'health') throw Object.assign(new Error('not well'), { code: 'ERR_NOT_WELL' })
  return null
})
process.on('disconnect', () => process.exit(1))
