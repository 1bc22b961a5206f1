/** What is shipped around the program fits what the samples say: the image's ports, the unit's directories. */

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'

const ROOT = join(import.meta.dirname, '../..')
const textOf = (file: string) => readFileSync(join(ROOT, file), 'utf8')

t.test('the image exposes every port of the samples, with 1000 added where root would be needed', async (t) => {
  const samples = [
    ...readdirSync(join(ROOT, 'config'))
      .filter((name) => name.endsWith('.yaml'))
      .map((name) => `config/${name}`),
    'README.md',
  ]
  // What is switched off by a '#' counts, too: somebody will switch it on.
  const ports = samples.flatMap((file) =>
    [...textOf(file).matchAll(/protocol: (?:imap|pop3|smtp|https?)\b[^}\n]*?\n?[^}\n]*?\bport: (\d+)/g)].map(
      ([, port]) => Number(port),
    ),
  )
  t.ok(ports.includes(993) && ports.includes(2525) && ports.includes(9464), 'they are read')
  const exposed = /^EXPOSE (.+)$/m.exec(textOf('Dockerfile'))?.[1]?.split(' ').map(Number) ?? []
  const wanted = new Set(ports.map((port) => (port < 1024 ? port + 1000 : port)))
  t.strictSame(exposed.toSorted(), [...wanted].sort())
})

t.test('the unit’s sockets are where the command line looks without being told', async (t) => {
  const unit = textOf('config/sallyport.service')
  t.match(unit, /^StateDirectory=sallyport$/m, 'the default of dataDirectory')
  t.notMatch(unit, /^RuntimeDirectory=/m, '$RUNTIME_DIRECTORY would be the server’s alone')
})
