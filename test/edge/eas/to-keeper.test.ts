import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { connectGate } from '../../../src/contract/gate-channel.ts'
import { edgeKey, serveGate } from '../../../src/contract/gate-server.ts'
import { Secret } from '../../../src/secret.ts'
import { grantOf, scriptedHouse } from '../../contract/gate-house.ts'
import { captureLog } from '../../support/logs.ts'
import { openHouse, PATH } from './house.ts'

t.test('J1: whatever a client calls itself and its device, it breaks no contract with the keeper', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'eas-keeper-'))
  const path = join(directory, 'edge.sock')
  const secret = new Secret('what-edge-keys-are-made-from')
  const identity = { kind: 'password', authcid: 'ann', authzid: '', secret } as const
  const keeper = scriptedHouse({
    admit: async (attempt) => ({ ...grantOf(attempt, { identity }), deviceRefused: 'this keeper has answered' }),
  })
  const { log, lines } = captureLog()
  const server = await serveGate({ path, secret, house: keeper.house, log })
  const gate = connectGate({
    path,
    key: edgeKey(secret, 'https'),
    edgeId: 'https',
    ender: { end() {} },
    liveSessions: () => [],
    log,
  })
  t.teardown(async () => {
    gate.close()
    await server.close()
    rmSync(directory, { recursive: true, force: true })
  })
  await gate.ready
  const house = await openHouse(t, { deps: { gate } })
  const agents = ['\x80'.repeat(100), `${'a'.repeat(126)}\x80`, 'b'.repeat(1000), '']
  const types = ['%C2%80'.repeat(64), '%E2%80%AE'.repeat(64), `${'a'.repeat(62)}%F0%9F%93%B1`, '%CC%80'.repeat(63)]
  for (const [i, agent] of agents.entries()) {
    const target = `${PATH}?Cmd=Sync&User=ann&DeviceId=d${i}&DeviceType=${types[i]}`
    const answer = await house.send({ path: target, headers: { 'User-Agent': agent } })
    t.equal(answer.status, 403, `${i}: as the keeper says`)
  }
  t.equal(keeper.ports.length, 1, 'over one channel')
  t.strictSame(
    lines.filter(({ level }) => level === 'error'),
    [],
  )
  for (const { agent, device } of keeper.port.attempts) {
    t.ok((agent ?? '').length <= 128)
    t.ok((device?.type ?? '').length <= 64)
  }
})
