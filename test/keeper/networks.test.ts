import t from 'tap'
import { addressBlocks, inNetworks } from '../../src/keeper/networks.ts'

t.test('threat B2: addresses are counted by v4 /32, v6 /64 and /48', async (t) => {
  for (const [ip, host, site] of [
    ['192.0.2.7', '192.0.2.7', null],
    ['2001:db8:1:2::9', '2001:db8:1:2::/64', '2001:db8:1::/48'],
    ['2001:db8:1:2:ffff::1', '2001:db8:1:2::/64', '2001:db8:1::/48'],
    ['2001:db8:1:3::9', '2001:db8:1:3::/64', '2001:db8:1::/48'],
    ['::1', '0:0:0:0::/64', '0:0:0::/48'],
    ['not an address', 'not an address', null],
    ['not:an:address', 'not:an:address', null],
  ] as const) {
    t.strictSame(addressBlocks(ip), { host, site }, ip)
  }
})

t.test('M9: networks of an app password', async (t) => {
  for (const [ip, networks, want] of [
    ['10.1.2.3', ['10.0.0.0/8'], true],
    ['11.1.2.3', ['10.0.0.0/8'], false],
    ['11.1.2.3', ['10.0.0.0/8', '11.1.2.3'], true],
    ['2001:db8::5', ['2001:db8::/32'], true],
    ['2001:db9::5', ['2001:db8::/32'], false],
    ['10.1.2.3', ['::/0'], false],
    ['::1', ['0.0.0.0/0'], false],
    ['10.1.2.3', ['nonsense', '10.0.0.0/99'], false],
    ['nonsense', ['0.0.0.0/0'], false],
    ['10.1.2.3', [], false],
  ] as const) {
    t.equal(inNetworks(ip, networks), want, `${ip} in ${networks}`)
  }
})
