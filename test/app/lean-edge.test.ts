import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { dirname, relative, resolve } from 'node:path'
import t from 'tap'

const SRC = resolve(import.meta.dirname, '../../src')

/** Files and packages that are loaded with a file: its imports of values, and theirs. Dynamic imports are not followed. */
function loadedWith(...entries: string[]): { files: Set<string>; packages: Set<string> } {
  const files = new Set<string>()
  const packages = new Set<string>()
  const waiting = entries.map((entry) => resolve(SRC, entry))
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    const name = relative(SRC, path)
    if (files.has(name)) continue
    files.add(name)
    for (const match of readFileSync(path, 'utf8').matchAll(
      /^(?:import|export)\s+(?!type\s)(?:[^'";]*?\sfrom\s+)?'([^']+)'/gm,
    )) {
      const target = match[1] ?? ''
      if (target.startsWith('.')) waiting.push(resolve(dirname(path), target))
      else if (!target.startsWith('node:')) packages.add(target)
    }
  }
  return { files, packages }
}

t.test('an edge loads net, login, the protocols and what all roles share; no library of the keeper', async (t) => {
  const { files, packages } = loadedWith('main.ts', 'app/child.ts', 'app/edge-child.ts')
  t.ok(files.has('edge/login/serve.ts') && files.has('contract/gate-channel.ts'), 'the walk sees what is there')
  const strangers = [...files].filter(
    (file) =>
      !/^(?:main|secret|log|metrics|pulse|ipc)\.ts$|^(?:ipc|log)\/|^edge\/|^app\/(?:audit-gate|child|edge-child|edge-contexts|edge-over-channel|edge-role|edge-ending|edge-limits|logins-in-flight)\.ts$|^contract\/(?:admission|failure|names|gate-channel|gate-wire|keeper-link|network-list)\.ts$|^supervisor\/(?:log-loss|loop-lag|messages)\.ts$/.test(
        file,
      ),
  )
  t.strictSame(strangers, [])
  const allowed = ['pino', 'prom-client', 'ipaddr.js', 'lru-cache']
  t.strictSame(
    [...packages].filter((name) => !allowed.includes(name)),
    [],
  )
})

t.test('the keeper’s own entry does load them, so the walk would see them', async (t) => {
  const { packages } = loadedWith('app/keeper-child.ts')
  for (const name of ['kysely', 'argon2', 'zod', 'ioredis']) {
    t.ok(
      [...packages].some((found) => found === name || found.startsWith(`${name}/`)),
      name,
    )
  }
})

t.test('the same, asked of the process: no such module was opened', async (t) => {
  const script = `
    const { Module, registerHooks } = require('node:module')
    const opened = new Set()
    registerHooks({ load(url, context, next) { opened.add(url); return next(url, context) } })
    import(${JSON.stringify(resolve(SRC, 'app/edge-child.ts'))}).then(() => console.log([...opened].join('\\n')))`
  const opened = execFileSync(process.execPath, ['--disable-warning=ExperimentalWarning', '-e', script], {
    encoding: 'utf8',
  })
  t.match(opened, /edge\/login\/serve\.ts/)
  t.notMatch(opened, /node_modules\/(?:kysely|argon2|ioredis|commander|imapflow|zod|yaml|@peculiar)\//)
})

t.test('http is loaded where it is spoken: no mail edge has it, and the https edge has no mail protocol', async (t) => {
  const mail = loadedWith('main.ts', 'app/child.ts', 'app/edge-child.ts')
  t.notOk(mail.packages.has('undici') || mail.packages.has('fastify'))
  t.notOk([...mail.files].some((file) => /^edge\/(?:http|eas|forward)/.test(file)))
  const https = loadedWith('main.ts', 'app/child.ts', 'app/https-child.ts')
  t.ok(https.packages.has('undici') && https.files.has('edge/eas/handler.ts'))
  t.notOk([...https.files].some((file) => /^edge\/(?:imap|pop3|smtp)\/|^(?:keeper|records|web)\//.test(file)))
  const web = loadedWith('main.ts', 'app/child.ts', 'app/web-child.ts')
  t.ok(web.packages.has('fastify'))
  t.notOk(
    [...web.files].some((file) => /^(?:edge|keeper|records|cli)\//.test(file)),
    'web opens nothing',
  )
})
