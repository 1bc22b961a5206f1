import t from 'tap'
import type { Guest } from '../../../src/edge/net/room.ts'
import { createRoom } from '../../../src/edge/net/room.ts'
import { createRandom } from '../../fuzz/random.ts'

interface Visitor {
  guest: Guest | null
  is: 'fresh' | 'idle' | 'session' | 'evicted' | 'gone'
}

t.test('E2: whatever they do in whatever order, the room knows who is inside and whom it may ask to go', (t) => {
  for (let seed = 1; seed <= 20; seed++) {
    const { below } = createRandom(seed)
    let now = 0
    const room = createRoom({ connections: 8, perAddress: 100, makeRoomAfterMs: 1000 }, () => now)
    const visitors: Visitor[] = []
    const inside = (): Visitor[] => visitors.filter(({ is }) => is !== 'gone')
    for (let step = 0; step < 300; step++) {
      const one = inside()[below(Math.max(1, inside().length))]
      switch (below(4)) {
        case 0:
        case 1: {
          const mayBeAsked = inside().filter(({ is }) => is === 'idle').length
          const taken = inside().filter(({ is }) => is !== 'evicted').length
          const visitor: Visitor = { guest: null, is: 'fresh' }
          visitor.guest = room.enter(() => {
            if (visitor.is !== 'idle') t.fail(`seed ${seed}: a ${visitor.is} one was asked to go`)
            visitor.is = 'evicted'
          })
          const isIn = visitor.guest !== null
          if (isIn !== (taken < 8 || mayBeAsked > 0))
            t.fail(`seed ${seed}: ${taken} inside, ${mayBeAsked} idle: ${isIn}`)
          if (isIn) visitors.push(visitor)
          break
        }
        case 2:
          if (one?.guest && one.guest.loggedIn() !== (one.is === 'fresh' || one.is === 'idle')) t.fail(`seed ${seed}`)
          if (one && (one.is === 'fresh' || one.is === 'idle')) one.is = 'session'
          break
        case 3:
          if (one?.guest && one.guest.leave() !== (one.is === 'session' ? 'session' : 'login')) t.fail(`seed ${seed}`)
          if (one) one.is = 'gone'
          break
      }
      if (room.size !== inside().length) t.fail(`seed ${seed}: ${room.size} instead of ${inside().length}`)
      if (below(10) === 0) {
        now += 1000
        for (const visitor of visitors) if (visitor.is === 'fresh') visitor.is = 'idle'
      }
    }
  }
  t.pass('no surprise')
  t.end()
})

t.test('E2: a flood at a full house costs the same for each, however many sit there', (t) => {
  const SEATS = 50_000
  const FLOOD = 20_000
  let now = 0
  const room = createRoom({ connections: SEATS, perAddress: 100, makeRoomAfterMs: 5000 }, () => now)
  const asked = new Set<number>()
  for (let i = 0; i < SEATS; i++) room.enter(() => asked.add(i))
  now = 5000
  const before = process.threadCpuUsage()
  for (let i = 0; i < FLOOD; i++) room.enter(() => t.fail('one that has just come'))
  const { user, system } = process.threadCpuUsage(before)
  const each = (user + system) / FLOOD
  t.comment(`${each.toFixed(1)} µs each`)
  t.ok(each < 100, `${each.toFixed(1)} µs of CPU each`)
  t.equal(asked.size, FLOOD)
  // Taken at random: a quarter of the places gives up about a quarter of the victims.
  const quarter = [...asked].filter((i) => i < SEATS / 4).length / FLOOD
  t.ok(Math.abs(quarter - 0.25) < 0.03, `${quarter} of them from the first quarter`)
  t.end()
})
