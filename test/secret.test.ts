import { format, inspect } from 'node:util'
import t from 'tap'
import { Secret } from '../src/secret.ts'

t.test('invariant 5: a secret is in no text that anything makes of it', async (t) => {
  const secret = new Secret('correct horse')
  for (const [text, how] of [
    [`${secret}`, 'template'],
    [String(secret), 'String()'],
    [JSON.stringify({ secret }), 'JSON'],
    [inspect(secret, { showHidden: true, depth: 9 }), 'inspect'],
    [inspect({ nested: [secret] }, { showHidden: true, depth: 9 }), 'inspect of what holds it'],
    [format('%s %o %j', secret, secret, secret), 'format'],
    [Object.entries(secret).join(), 'entries'],
    [JSON.stringify(structuredClone(secret)), 'structured clone'],
    [String(new Error('x', { cause: secret }).cause), 'cause of an error'],
  ] as const) {
    t.notMatch(text, /correct|horse/, how)
  }
  t.equal(secret.reveal(), 'correct horse', 'only reveal tells')
  t.equal(secret.length, 13)
})
