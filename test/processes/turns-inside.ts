/**
 * Run in a process before its own program: its loop is watched, and whoever may send it a signal is told of the longest turns.
 */

import { watchTurns } from '../support/turns.ts'

const watch = watchTurns()
process.on('SIGWINCH', () => process.send?.({ turns: watch.take() }))
