/**
 * The whole product, spoken to by hand: what real mail clients do on the wire, by the numbers of docs/requirements.md ("client 7").
 * One server with two workers; behind it a real Dovecot by implicit TLS and master user.
 */

import type { Test } from 'tap'
import t from 'tap'
import type { Dovecot } from '../support/dovecot.ts'
import { startDovecot } from '../support/dovecot.ts'
import {
  append,
  awkwardMessage,
  command,
  compress,
  connectClear,
  connectTls,
  fetchBody,
  loggedIn,
  loggedInDirectly,
  quoted,
  saslPlain,
  sha256,
  succeed,
} from '../support/imap.ts'
import { scriptedClient } from '../support/peer.ts'
import { quickest } from '../support/quickest.ts'
import type { IssuedPassword, Sallyport } from '../support/sallyport.ts'
import { masterPasswordFile, startSallyport, upstreamOf } from '../support/sallyport.ts'
import { madeUpPassword, plainPassword } from '../support/secrets.ts'
import { requireService } from '../support/services.ts'

const ANN = 'ann@example.org'
const BULK = 'bulk@example.org'
const BIG = 20 * 1024 * 1024

t.test('IMAP through the gate to a real Dovecot', async (t) => {
  if (!requireService(t, 'dovecot')) return
  await using dovecot = await startDovecot({ users: { [ANN]: plainPassword(), [BULK]: plainPassword() } })
  await using gate = await startSallyport({ upstreams: { main: upstreamOf(dovecot, masterPasswordFile(dovecot)) } })
  await gate.addUser(ANN)
  await gate.addUser(BULK)
  const phone = await gate.createAppPassword(ANN, 'phone')
  const laptop = await gate.createAppPassword(BULK, 'laptop')
  await logins(t, gate, dovecot, phone)
  await sessions(t, gate, dovecot, phone)
  await bytes(t, gate, laptop)

  await t.test('Dovecot knows the master user and was never told an app password; nothing was a bug', async (t) => {
    const told = dovecot.log()
    t.ok(told.includes(`${ANN}*${dovecot.master.user} ${dovecot.master.password}`), 'its log shows all it is told')
    for (const each of [phone, laptop]) {
      t.notOk(told.includes(each.password) || told.includes(each.letters), 'and no app password is in it')
    }
    t.same(gate.lines('bug'), [])
    t.equal(await gate.stop(), 0, 'SIGTERM: exit 0')
  })
})

async function logins(t: Test, gate: Sallyport, dovecot: Dovecot, phone: IssuedPassword): Promise<void> {
  const { password } = phone
  const right = `LOGIN ${ANN} ${quoted(password)}`

  await t.test('client 1: PLAIN with an authorization identity equal to the user, any other refused', async (t) => {
    for (const [authzid, answer] of [
      ['', /^1 OK /],
      [ANN, /^1 OK /],
      ['Ann@Example.ORG', /^1 OK /],
      ['ann', /^1 OK /],
      [BULK, /^1 NO \[AUTHENTICATIONFAILED\] /],
      ['nobody@example.org', /^1 NO \[AUTHENTICATIONFAILED\] /],
    ] as const) {
      using peer = await connectTls(gate)
      const lines = await command(peer, '1', `AUTHENTICATE PLAIN ${saslPlain(authzid, ANN, password)}`)
      t.match(lines.at(-1), answer, `authzid ${JSON.stringify(authzid)}`)
    }
  })

  await t.test(
    'client 2, client 7, Thunderbird: lower case, two steps, COMPRESS at once, deflate both ways',
    async (t) => {
      using peer = await connectTls(gate)
      peer.send('1 authenticate PLAIN\r\n')
      t.equal(await peer.line(), '+ ', 'a bare challenge, blank included')
      peer.send(`${saslPlain('', ANN, password)}\r\n`)
      t.match(await peer.line(), /^1 OK \[CAPABILITY [^\]]*COMPRESS=DEFLATE/)
      using deflated = await compress(peer, '2')
      t.match(await deflated.command('3', 'namespace'), /^\* NAMESPACE .*^3 OK /ms)
      t.match(
        await deflated.command('1234567', 'list "" "*"'),
        /^\* LIST .*INBOX.*^1234567 OK /ms,
        'tags of any length',
      )
      t.match(await deflated.command('5', 'logout'), /^\* BYE .*^5 OK /ms)
    },
  )

  await t.test('client 2: AUTHENTICATE with and without initial response, in any case', async (t) => {
    const base64 = (text: string): string => Buffer.from(text).toString('base64')
    for (const [name, first, rest] of [
      ['PLAIN with initial response', `aUtHeNtIcAtE pLaIn ${saslPlain('', ANN, password)}`, []],
      ['PLAIN in two steps', 'AUTHENTICATE PLAIN', [saslPlain('', ANN, password)]],
      ['LOGIN, both prompts', 'authenticate login', [base64(ANN), base64(password)]],
      ['LOGIN, name inline', `AUTHENTICATE LOGIN ${base64(ANN)}`, [base64(password)]],
    ] as const) {
      using peer = await connectTls(gate)
      peer.send(`x1 ${first}\r\n`)
      for (const step of rest) {
        await peer.expect(/^\+ /)
        peer.send(`${step}\r\n`)
      }
      t.match(await peer.line(), /^x1 OK \[CAPABILITY /, name)
    }
  })

  await t.test('client 3: commands behind the login in the same write, 100 tries, none lost, none twice', async (t) => {
    const behind = '2 NOOP\r\n3 LIST "" *\r\n4 STATUS INBOX (MESSAGES)\r\n5 LOGOUT\r\n'
    const ways = [
      `1 ${right}\r\n`,
      `1 AUTHENTICATE PLAIN ${saslPlain('', ANN, password)}\r\n`,
      `1 LOGIN {${ANN.length}+}\r\n${ANN} {${password.length}+}\r\n${password}\r\n`,
    ]
    const failures: string[] = []
    const one = async (n: number): Promise<void> => {
      using peer = n % 2 === 0 ? await connectTls(gate) : await connectClear(gate.ports.imapClear)
      peer.send(`${ways[n % ways.length]}${behind}`)
      const text = await peer.rest(20_000)
      const tagged = [...text.matchAll(/^(\d) (OK|NO|BAD)/gm)].map((match) => match[0]).join(', ')
      if (tagged !== '1 OK, 2 OK, 3 OK, 4 OK, 5 OK' || !text.includes('* STATUS ')) failures.push(`try ${n}: ${tagged}`)
    }
    for (let n = 0; n < 100; n += 10) await Promise.all(Array.from({ length: 10 }, (_, k) => one(n + k)))
    t.same(failures, [])
  })

  await t.test('client 4: the tagged OK of the login carries the upstream’s real capabilities', async (t) => {
    using direct = await loggedInDirectly(dovecot, ANN)
    const [truth = ''] = await succeed(direct, 'c', 'CAPABILITY')
    const real = truth.replace('* CAPABILITY ', '').split(' ')
    using peer = await connectTls(gate)
    const [answer = ''] = await succeed(peer, '1', right)
    const said = /\[CAPABILITY ([^\]]*)\]/.exec(answer)?.[1]?.split(' ') ?? []
    const beforeLogin = /^(SASL-IR|STARTTLS|LOGINDISABLED|AUTH=.*)$/
    t.same(
      said.sort(),
      real.filter((each) => !beforeLogin.test(each)).sort(),
      'all of them, but for those that belong before a login',
    )
  })

  await t.test('client 5: CAPABILITY is true of the gate: greeting, request, renewed after STARTTLS', async (t) => {
    using peer = await scriptedClient(gate.ports.imap)
    const greeting = await peer.expect(/^\* OK \[CAPABILITY (IMAP4rev1 [^\]]*)\]/)
    t.match(greeting[1], /\bSTARTTLS\b/)
    t.match(greeting[1], /\bLOGINDISABLED\b/)
    t.notMatch(greeting[1], /AUTH=/)
    t.equal((await succeed(peer, '1', 'CAPABILITY'))[0], `* CAPABILITY ${greeting[1]}`)
    const refused = await command(peer, '2', `LOGIN ${ANN} ${quoted(password)}`)
    t.match(refused.at(-1), /^2 NO \[PRIVACYREQUIRED\] /)
    t.match((await command(peer, '3', 'AUTHENTICATE PLAIN')).at(-1), /^3 NO \[PRIVACYREQUIRED\] /)
    await succeed(peer, '4', 'STARTTLS')
    await peer.startTls(gate.tls)
    const [after = ''] = await succeed(peer, '5', 'CAPABILITY')
    t.notMatch(after, /STARTTLS|LOGINDISABLED/)
    t.match(after, /AUTH=PLAIN/)
    t.match(after, /SASL-IR/)
    await succeed(peer, '6', right)
    await succeed(peer, '7', 'SELECT INBOX')
    await gate.waitForLog('login_accepted', (line) => line.listener === `imap-${gate.ports.imap}`)
  })

  await t.test('invariant 3: STARTTLS with bytes behind it ends the connection', async (t) => {
    using peer = await connectClear(gate.ports.imap)
    peer.send('1 STARTTLS\r\n2 CAPABILITY\r\n')
    t.notMatch(await peer.rest(), /^2 |CAPABILITY/m, 'what came in clear is not run')
  })

  await t.test('client 6, offlineimap: CAPABILITY, ID before login, AUTHENTICATE in two steps, ID again', async (t) => {
    using peer = await connectTls(gate)
    await succeed(peer, '1', 'CAPABILITY')
    const before = await succeed(peer, '2', 'ID ("name" "OfflineIMAP" "version" "8.0.0")')
    t.match(before[0], /^\* ID /, 'answered by the gate')
    peer.send('3 AUTHENTICATE PLAIN\r\n')
    await peer.expect(/^\+ /)
    peer.send(`${saslPlain('', ANN, password)}\r\n`)
    await peer.expect(/^3 OK /)
    t.match(await succeed(peer, '4', 'ID NIL'), [/^\* ID \("name" "Dovecot"/, /^4 OK/], 'answered by Dovecot')
    await gate.waitForLog('login_accepted', (line) => /OfflineIMAP/.test(String(line.agent)))
    t.pass('the log names the program')
  })

  await t.test('client 8, fdm: LOGIN with two synchronising literals, and one for SELECT', async (t) => {
    using peer = await connectTls(gate)
    peer.send(`1 LOGIN {${ANN.length}}\r\n`)
    await peer.expect(/^\+ /)
    peer.send(`${ANN} {${password.length}}\r\n`)
    await peer.expect(/^\+ /)
    peer.send(`${password}\r\n`)
    await peer.expect(/^1 OK /)
    peer.send('2 SELECT {5}\r\n')
    await peer.expect(/^\+ /)
    peer.send('INBOX\r\n')
    t.match((await peer.linesUntil(/^2 /)).at(-1), /^2 OK \[READ-WRITE\]/)
  })

  await t.test('client 8: atoms, quoted strings, {n} and {n+}, in any mixture; R7: typed without blanks', async (t) => {
    const { letters } = phone
    for (const [name, text] of [
      ['atoms', `LOGIN ${ANN} ${letters}`],
      ['quoted, grouped as shown', `LOGIN "${ANN}" "${password}"`],
      ['grouped by hyphens, capitals', `LOGIN ${ANN} ${password.replaceAll(' ', '-').toUpperCase()}`],
      ['quoted pair in the name', `LOGIN "ann\\@example.org" ${letters}`],
      ['{n+} for both', `LOGIN {${ANN.length}+}\r\n${ANN} {${letters.length}+}\r\n${letters}`],
      ['{n+} and quoted', `LOGIN {${ANN.length}+}\r\n${ANN} "${password}"`],
    ] as const) {
      using peer = await connectTls(gate)
      const last = (await command(peer, '1', text)).at(-1)
      // A backslash in a quoted string stands before a quote or a backslash only (RFC 9051 §9).
      t.match(last, name.startsWith('quoted pair') ? /^1 (BAD|NO) / : /^1 OK /, name)
    }
  })

  await t.test('client 11: a wrong password is a tagged NO on a connection that stays open', async (t) => {
    using peer = await connectTls(gate)
    t.match(
      (await command(peer, '1', `LOGIN ${ANN} ${quoted(madeUpPassword())}`)).at(-1),
      '1 NO [AUTHENTICATIONFAILED]',
    )
    // imapfilter asks again what it has been told.
    t.match((await succeed(peer, '2', 'CAPABILITY'))[0], /^\* CAPABILITY IMAP4rev1 .*AUTH=PLAIN/)
    peer.send('3 AUTHENTICATE PLAIN\r\n')
    await peer.expect(/^\+ /)
    peer.send('*\r\n')
    await peer.expect(/^3 BAD /)
    await succeed(peer, '4', 'NOOP')
    await succeed(peer, '5', right)
    await succeed(peer, '6', 'SELECT INBOX')
  })

  await t.test(
    'R2, R3: the mailbox’s own password is refused on every listener and never reaches Dovecot',
    async (t) => {
      const primary = dovecot.users[ANN] ?? ''
      const mark = dovecot.mark()
      for (const [name, port] of [
        ['imaps', gate.ports.imaps],
        ['starttls', gate.ports.imap],
        ['clear', gate.ports.imapClear],
        ['imaps behind PROXY', gate.ports.imapsProxy],
      ] as const) {
        using peer = await scriptedClient(port)
        if (port === gate.ports.imapsProxy) peer.send('PROXY TCP4 192.0.2.3 127.0.0.1 4000 993\r\n')
        if (port === gate.ports.imap) await succeed(peer, 's', 'STARTTLS')
        if (port !== gate.ports.imapClear) await peer.startTls(gate.tls)
        for (const user of [ANN, 'ann', 'ANN@EXAMPLE.ORG']) {
          t.match((await command(peer, '1', `LOGIN ${user} ${primary}`)).at(-1), /^1 NO /, `${name}, ${user}`)
        }
        await succeed(peer, '2', right)
      }
      t.notOk(dovecot.logSince(mark).includes(primary))
    },
  )
}

async function sessions(t: Test, gate: Sallyport, dovecot: Dovecot, phone: IssuedPassword): Promise<void> {
  await t.test('client 9: ENABLE, QRESYNC, CONDSTORE, LIST-STATUS, UIDPLUS, MOVE, QUOTA survive', async (t) => {
    using peer = await loggedIn(gate, ANN, phone.password)
    t.match(await succeed(peer, '1', 'ENABLE QRESYNC'), [/^\* ENABLED QRESYNC/])
    t.match(
      (await succeed(peer, '2', 'LIST "" * RETURN (SPECIAL-USE STATUS (MESSAGES UIDNEXT))')).join('\n'),
      /\\Sent.*\* STATUS /s,
    )
    await append(peer, '3', 'INBOX', Buffer.from('Subject: one\r\n\r\none\r\n'))
    t.match((await succeed(peer, '4', 'SELECT INBOX (CONDSTORE)')).join('\n'), /HIGHESTMODSEQ/)
    t.match((await succeed(peer, '5', 'MOVE 1 Trash')).join('\n'), /\[COPYUID \d+ \d+ \d+\]/)
    t.match(await succeed(peer, '6', 'GETQUOTAROOT INBOX'), [/^\* QUOTAROOT/, /^\* QUOTA /])
    t.match((await succeed(peer, '7', 'SELECT Trash (QRESYNC (1 1))')).at(-1), /^7 OK/)
    await succeed(peer, '8', 'STORE 1 +FLAGS.SILENT (\\Deleted)')
    await succeed(peer, '9', 'EXPUNGE')
  })

  await t.test('client 10: nine connections in IDLE, a new message pushed to each at once', async (t) => {
    using direct = await loggedInDirectly(dovecot, ANN)
    const peers = [direct]
    using stack = new DisposableStack()
    for (let n = 0; n < 9; n++) peers.push(stack.use(await loggedIn(gate, ANN, phone.password)))
    for (const peer of peers) {
      await succeed(peer, '1', 'SELECT INBOX')
      peer.send('2 IDLE\r\n')
      await peer.expect(/^\+ /)
    }
    const late = await quickest(500, async () => {
      const arrivals = peers.map(async (peer) => {
        await peer.linesUntil(/^\* \d+ EXISTS$/)
        return performance.now()
      })
      await dovecot.deliver(ANN, 'Subject: pushed\r\n\r\nnow\r\n')
      const [direct_, ...through] = await Promise.all(arrivals)
      t.equal(through.length, 9)
      return Math.max(...through) - (direct_ ?? 0)
    })
    t.ok(late < 500, `the last of them ${Math.round(late)} ms after a client of Dovecot itself (well under a second)`)
    for (const peer of peers) {
      peer.send('DONE\r\n')
      await peer.linesUntil(/^2 OK/)
    }
  })
}

async function bytes(t: Test, gate: Sallyport, laptop: IssuedPassword): Promise<void> {
  const message = awkwardMessage(BIG)

  await t.test('client 15: 20 MB appended and fetched, byte for byte', async (t) => {
    using peer = await loggedIn(gate, BULK, laptop.password)
    await append(peer, '1', 'INBOX', message)
    await succeed(peer, '2', 'SELECT INBOX')
    const back = await fetchBody(peer, '3', 1)
    t.equal(back.length, message.length)
    t.equal(sha256(back), sha256(message))
  })

  await t.test('client 15: four fetches of 20 MB at once with slow readers, each byte for byte', async (t) => {
    const sums = await Promise.all(
      [0, 1, 2, 3].map(async (n) => {
        using peer = await loggedIn(gate, BULK, laptop.password)
        await succeed(peer, '1', 'SELECT INBOX')
        // Two of them stop reading now and then, so that the gate has to wait in the middle of a write.
        const { socket } = peer
        const stutter =
          n < 2 &&
          setInterval(() => {
            socket.pause()
            setTimeout(() => socket.resume(), 5)
          }, 15)
        const body = await fetchBody(peer, '2', 1).finally(() => stutter && clearInterval(stutter))
        socket.resume()
        return sha256(body)
      }),
    )
    t.same(new Set(sums), new Set([sha256(message)]))
  })

  await t.test('client 15: full duplex, a client that writes 20 MB while it reads 20 MB', async (t) => {
    using peer = await loggedIn(gate, BULK, laptop.password)
    await succeed(peer, '1', 'SELECT INBOX')
    const second = awkwardMessage(BIG, 'second')
    peer.send(`2 FETCH 1 BODY.PEEK[]\r\n3 APPEND INBOX {${second.length}+}\r\n`)
    peer.send(second)
    peer.send('\r\n4 NOOP\r\n')
    const size = Number((await peer.expect(/^\* 1 FETCH \(BODY\[\] \{(\d+)\}$/))[1])
    t.equal(sha256(await peer.bytes(size, 60_000)), sha256(message), 'what it read')
    const lines = await peer.linesUntil(/^4 /, 60_000)
    t.match(lines.join('\n'), /^2 OK.*^3 OK.*^4 OK/ms)
    t.equal(sha256(await fetchBody(peer, '5', 2)), sha256(second), 'what it wrote')
  })

  await t.test(
    'invariant 2: 20 MB written right behind the login in the same write arrive whole and in order',
    async (t) => {
      using peer = await connectTls(gate)
      const third = awkwardMessage(BIG, 'third')
      peer.send(
        Buffer.concat([
          Buffer.from(`1 LOGIN ${BULK} ${quoted(laptop.password)}\r\n2 APPEND INBOX {${third.length}+}\r\n`),
          third,
          Buffer.from('\r\n3 SELECT INBOX\r\n'),
        ]),
      )
      t.match((await peer.linesUntil(/^3 /, 60_000)).join('\n'), /^1 OK.*^2 OK.*^3 OK/ms)
      t.equal(sha256(await fetchBody(peer, '4', 3)), sha256(third))
    },
  )
}
