/** What real SMTP clients say, in the order they say it. */

import { join } from 'node:path'
import t from 'tap'
import { playTranscripts } from '../login/transcript.ts'
import { knownSmtp } from './house.ts'

playTranscripts(t, join(import.meta.dirname, 'transcripts'), knownSmtp())
