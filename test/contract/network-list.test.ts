import { BlockList, isIP } from 'node:net'
import t from 'tap'
import { networkList, readNetworks } from '../../src/contract/network-list.ts'

t.test('M9: which addresses are in a list of networks', async (t) => {
  for (const [networks, inside, outside] of [
    [['10.0.0.0/8'], ['10.0.0.0', '10.255.255.255'], ['9.255.255.255', '11.0.0.0', '::a00:0', '::ffff:10.0.0.1']],
    [['10.1.2.3'], ['10.1.2.3'], ['10.1.2.2', '10.1.2.4']],
    [['10.1.2.3/8'], ['10.9.9.9'], ['11.1.2.3']],
    [['0.0.0.0/0'], ['0.0.0.0', '255.255.255.255'], ['::', '::1']],
    [['::/0'], ['::', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'], ['0.0.0.0', '10.1.2.3']],
    [['2001:db8::/32'], ['2001:db8::', '2001:DB8:ffff::1'], ['2001:db7:ffff::', '2001:db9::', '2001:db8::1%eth0']],
    [['::ffff:10.0.0.0/104'], ['::ffff:10.1.2.3', '::ffff:a01:203'], ['10.1.2.3', '::ffff:11.0.0.0']],
    [
      ['2001:db8:0:1::/64', '2001:db8::/127'],
      ['2001:db8::1:0:0:0:7', '2001:db8::1'],
      ['2001:db8::2', '2001:db8:0:2::'],
    ],
    // One inside another, in any order, and such as begin alike.
    [['10.0.1.0/24', '10.0.0.0/16', '10.0.0.0/24', '10.0.0.0/16'], ['10.0.0.1', '10.0.1.9', '10.0.9.9'], ['10.1.0.0']],
    [
      ['10.0.1.0/24', '10.0.3.0/24'],
      ['10.0.1.255', '10.0.3.0'],
      ['10.0.0.255', '10.0.2.0', '10.0.4.0'],
    ],
    [
      ['nonsense', '10.0.0.0/', '10.0.0.0/33', '10.0.0.0/-1', '10.0.0.0/8/8', '10.0.0.0/0x8', 'fe80::1%eth0', '::/129'],
      [],
      ['10.0.0.0', 'fe80::1', '::', 'nonsense', ''],
    ],
    [[], [], ['10.0.0.0', '::']],
  ] as const) {
    const list = networkList(networks)
    for (const ip of inside) t.ok(list.has(ip), `${ip} is in ${networks}`)
    for (const ip of outside) t.notOk(list.has(ip), `${ip} is not in ${networks}`)
  }
})

t.test('M9: a long list says what the one of Node says', async (t) => {
  let seed = 1
  const random = (below: number) => {
    seed = (seed * 48_271) % 2_147_483_647
    return seed % below
  }
  // Few addresses, so that blocks overlap and questions hit.
  const ipv4 = () => `10.${random(4)}.${random(8)}.${random(256)}`
  const ipv6 = () => `2001:db8:${random(4).toString(16)}::${random(64)}:${random(65_536).toString(16)}`
  const networks = Array.from({ length: 60 }, () => [
    `${ipv4()}/${24 + random(9)}`,
    `${ipv6()}/${112 + random(17)}`,
  ]).flat()
  const list = networkList(networks)
  const others = Array.from({ length: 1200 }, (_, n) => `192.0.${n % 256}.${n % 7}`)
  const reader = readNetworks()
  for (let from = 0; from < others.length; from += 500) reader.add(others.slice(from, from + 500))
  reader.add(networks)
  const pieced = reader.list()
  const blocks = { 4: new BlockList(), 6: new BlockList() }
  for (const network of networks) {
    const [address = '', bits] = network.split('/')
    if (isIP(address) === 6) blocks[6].addSubnet(address, Number(bits), 'ipv6')
    else blocks[4].addSubnet(address, Number(bits))
  }
  const [found, said] = [{ in: 0, out: 0 }, new Set<string>()]
  for (let n = 0; n < 2000; n++) {
    for (const [ip, family] of [
      [ipv4(), 'ipv4'],
      [ipv6(), 'ipv6'],
    ] as const) {
      const want = blocks[family === 'ipv4' ? 4 : 6].check(ip, family)
      if (list.has(ip) !== want || pieced.has(ip) !== want) said.add(`${ip}: ${!want}`)
      found[want ? 'in' : 'out'] += 1
    }
  }
  t.strictSame([...said], [])
  t.ok(found.in > 500 && found.out > 500, JSON.stringify(found))
})
