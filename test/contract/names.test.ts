import t from 'tap'
import type { NameRules } from '../../src/contract/names.ts'
import { canonicalDomain, canonicalName, nameRulesOf } from '../../src/contract/names.ts'
import { directoryFor, GOOD, load } from '../config/fixture.ts'

const rules: NameRules = {
  domains: ['example.org', 'example.net'],
  allow: '',
  separators: ['*'],
  windowsDomains: { CONTOSO: 'example.net' },
}

t.test('names that are one account, however they are capitalised', async (t) => {
  for (const [raw, want, why] of [
    ['ann@example.org', 'ann@example.org', 'as it is'],
    ['Ann@Example.ORG', 'ann@example.org', 'ASCII case is mapped'],
    ['ann', 'ann@example.org', 'R3: a bare name is completed by the first domain'],
    ['CONTOSO\\Ann', 'ann@example.net', 'a Windows domain by its rule'],
    ['contoso\\ann', 'ann@example.net', 'Windows domains in any case'],
    ['ann.b+tag@example.org', 'ann.b+tag@example.org', 'the usual punctuation'],
    ['ann@xn--bcher-kva.example', 'ann@xn--bcher-kva.example', 'an A-label'],
    ['ann@elsewhere.example', 'ann@elsewhere.example', 'a domain that is not served is canonical all the same'],
    [`${'a'.repeat(64)}@example.org`, `${'a'.repeat(64)}@example.org`, 'RFC 5321 §4.5.3.1: 64 octets of local part'],
  ] as const) {
    const result = canonicalName(raw, rules)
    t.equal(result.ok && result.name, want, why)
  }
})

t.test('C3, C4: what would have to change by more than ASCII case is refused, not mapped', async (t) => {
  for (const [raw, want, why] of [
    ['', 'empty', 'nothing'],
    ['@example.org', 'empty', 'no local part'],
    ['ann\0@example.org', 'control', 'NUL'],
    ['ann\0', 'control', 'A7: NUL at the end is not the shorter name'],
    ['ann\r\n@example.org', 'control', 'CR LF'],
    ['ann\t@example.org', 'control', 'TAB'],
    ['ann\x01@example.org', 'control', 'the separator of XOAUTH2'],
    ['ann\x7f@example.org', 'control', 'DEL'],
    ['ａnn@example.org', 'not-ascii', 'full width a'],
    ['an\u200bn@example.org', 'not-ascii', 'zero width space'],
    ['annı@example.org', 'not-ascii', 'dotless i'],
    ['ﬁnn@example.org', 'not-ascii', 'ligature'],
    ['İnn@example.org', 'not-ascii', 'dotted capital I, whose lower case is two characters'],
    ['Kelvin\u212A@example.org', 'not-ascii', 'the Kelvin sign, whose lower case is k'],
    ['ann@bücher.example', 'not-ascii', 'a U-label'],
    ['ann\u2028@example.org', 'not-ascii', 'line separator'],
    ['ann @example.org', 'character', 'trailing blank'],
    [' ann@example.org', 'character', 'leading blank'],
    ['ann@example.org ', 'domain', 'trailing blank behind the domain'],
    ['ann@example.org.', 'domain', 'trailing dot'],
    ['ann@', 'domain', 'no domain'],
    ['ann@-x.example', 'domain', 'a label can not begin with a hyphen'],
    ['ann@a..example', 'domain', 'empty label'],
    ['bob*master', 'character', 'C1: a master-user separator in a bare name'],
    ['bob*master@example.org', 'character', 'C1: and in a full one'],
    ['ann@bob@example.org', 'character', 'two at signs'],
    ['.ann@example.org', 'character', 'leading dot'],
    ['an..n@example.org', 'character', 'two dots'],
    ['../ann@example.org', 'character', 'a path'],
    ['"ann"@example.org', 'character', 'a quoted local part'],
    ['OTHER\\ann', 'windows-domain', 'an unknown Windows domain'],
    ['CONTOSO\\ann@example.org', 'windows-domain', 'two domains'],
    ['__PROTO__\\ann', 'windows-domain', 'no inherited property is a rule'],
    ['CONSTRUCTOR\\ann', 'windows-domain', 'nor is another'],
    [`${'a'.repeat(65)}@example.org`, 'too-long', '65 octets of local part'],
    [`a@${'b'.repeat(63)}.${'c'.repeat(63)}.${'d'.repeat(63)}.${'e'.repeat(63)}`, 'too-long', 'over 254 octets'],
  ] as const) {
    const result = canonicalName(raw, rules)
    t.equal(result.ok ? result.name : result.why, want, why)
  }
})

t.test('C1: a separator is refused even where the realm allows its character', async (t) => {
  const wide = { ...rules, allow: "*'", separators: ['*', '+'] }
  t.match(canonicalName('bob*alice@example.org', wide), { ok: false, why: 'separator' })
  t.match(
    canonicalName('bob+tag@example.org', wide),
    { ok: false, why: 'separator' },
    'also one of the usual characters',
  )
  t.match(canonicalName("o'brien@example.org", wide), { ok: true, name: "o'brien@example.org" })
  t.match(canonicalName("o'brien@example.org", rules), { ok: false, why: 'character' })
})

t.test('canonical means: done twice is done once', async (t) => {
  for (const raw of ['Ann', 'CONTOSO\\X.y+z', 'A_b-C@EXAMPLE.net']) {
    const once = canonicalName(raw, rules)
    t.ok(once.ok, raw)
    if (once.ok) t.strictSame(canonicalName(once.name, rules), once, raw)
  }
})

t.test('domains', async (t) => {
  t.equal(canonicalDomain('Example.ORG'), 'example.org')
  t.equal(canonicalDomain('a'.repeat(64)), null, 'RFC 1035 §2.3.4: labels of 63 octets')
  t.equal(canonicalDomain(''), null)
  t.equal(canonicalDomain('a b'), null)
})

t.test('C1: the separators are those of all identities, ActiveSync’s own among them', async (t) => {
  const own = '{ method: master-user, user: phones, passwordFile: master, separator: "!" }'
  for (const [identity, want] of [
    [own, ['*', '!']],
    ['{ method: stored-secret }', ['*']],
  ] as const) {
    const eas = `eas: { url: "https://mail.internal", identity: ${identity} }`
    const { config } = await load(directoryFor(t), GOOD.replace('identity:', `${eas}\n    identity:`))
    t.strictSame(nameRulesOf(config).separators, want)
  }
})

t.test('C5: aliases by table only, before anything else, and not where there is no table', (t) => {
  const rules: NameRules = {
    domains: ['example.org', 'example.net'],
    allow: '',
    separators: ['*'],
    windowsDomains: {},
    aliases: { scan1: 'scanner@example.net', bad: 'a*b@example.org' },
  }
  for (const [raw, want, why] of [
    ['scan1', 'scanner@example.net', 'an alias'],
    ['SCAN1', 'scanner@example.net', 'in any capitalisation'],
    ['scan1@example.org', 'scan1@example.org', 'an address is no alias'],
    ['scan2', 'scan2@example.org', 'not in the table: a bare name'],
    ['\u017fcan1', null, 'a long s is no s'],
    ['scan1 ', null, 'nothing is trimmed'],
    ['__proto__', '__proto__@example.org', 'the table alone'],
    ['constructor', 'constructor@example.org', 'the table alone'],
    ['bad', null, 'what it leads to obeys the rules'],
  ] as const) {
    const name = canonicalName(raw, rules)
    t.equal(name.ok ? name.name : null, want, why)
  }
  const { aliases: _, ...without } = rules
  t.match(canonicalName('scan1', without), { name: 'scan1@example.org' }, 'another port')
  t.end()
})
