import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t from 'tap'
import type { ChildRole, Launch } from '../../src/supervisor/launch.ts'
import { launchOf } from '../../src/supervisor/launch.ts'
import { startMailbox, startServer } from './server.ts'
import { startUnhooked } from './unhooked.ts'

const HERE = import.meta.dirname

/** A launch of a role, but for what it runs. The test's own folder has to be readable; nothing else is given. */
function probeLaunch(role: ChildRole): Launch {
  const launch = launchOf(role, process.env)
  return {
    ...launch,
    execArgv: [...launch.execArgv, `--allow-fs-read=${HERE}`],
    modulePath: join(HERE, 'probe.ts'),
    args: [],
  }
}

t.test(
  'invariant 13, I-14: from inside an edge or web key file, store, control socket and the keeper’s environment are out of reach',
  async (t) => {
    const mailbox = await startMailbox(t)
    const server = await startServer(t, { mailbox, workers: 1 })
    const data = join(server.directory, 'data')
    const keeper = server.pidOf('keeper')
    const read = [
      join(data, 'keys'),
      join(data, 'sallyport.db'),
      join(data, 'run/control.key'),
      join(server.directory, 'master'),
      server.configFile,
      `/proc/${keeper}/environ`,
      `/proc/${keeper}/mem`,
      `/proc/${server.pid}/environ`,
      '/proc/self/environ',
      '/proc/self/maps',
      '/etc/passwd',
      // Around the fence: the way there begins inside.
      `${resolve(HERE, '../../src')}/../../../..${data}/keys`,
    ]
    for (const path of read.slice(0, 5)) t.ok(existsSync(path) && readFileSync(path).length > 0, `${path} is there`)

    for (const role of ['edge', 'https', 'web'] as const) {
      const child = startUnhooked(probeLaunch(role))
      const answered = once(child, 'message')
      child.send({
        read,
        list: [data, join(data, 'run'), '/', '/proc'],
        write: [join(data, 'run/x'), '/tmp/sp-probe', resolve(HERE, '../../src/x.ts')],
        controlSocket: join(data, 'run/control.sock'),
        edgeSocket: join(data, 'run/edge.sock'),
      })
      const [results] = (await answered) as [Record<string, string>]
      for (const [what, outcome] of Object.entries(results)) {
        if (what === 'environment') continue
        if (what.includes('socket with')) t.equal(outcome, 'ERR_IPC_REFUSED', `${role}: ${what}`)
        else if (what.startsWith('listen ')) t.equal(outcome, 'EADDRINUSE', `${role}: ${what}`)
        else
          t.match(
            outcome,
            /^(?:ERR_ACCESS_DENIED|ERR_DLOPEN_DISABLED|ERR_INSPECTOR_NOT_AVAILABLE)$/,
            `${role}: ${what}`,
          )
      }
      t.match(results.environment, /^(?:(?:LANG|LC_\w+|TZ|NODE_ENV|PWD|SSL_\w+|NODE_EXTRA_CA_CERTS) ?)*$/)
      t.ok(Object.keys(results).length > 70)
    }
  },
)
