/**
 * A private SOGo with ActiveSync on loopback, as it stands behind a real server: PostgreSQL for its users and folders, memcached,
 * Dovecot for the mail, and nginx in front that sets the headers SOGo wants (x-webobjects-…).
 */

import { execFileSync, spawnSync } from 'node:child_process'
import { chownSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Dovecot } from './dovecot.ts'
import { freePort, waitForPort } from './ports.ts'
import type { Account } from './program.ts'
import { ordinaryAccount, Program } from './program.ts'
import { program } from './services.ts'

export interface Sogo extends AsyncDisposable {
  /** Where ActiveSync is, as `eas.url` in the configuration. */
  readonly url: string
  readonly port: number
  /** What SOGo and nginx have written. */
  log(): string
}

/** Starts it for the users of a Dovecot, with the same passwords. */
export async function startSogo(dovecot: Dovecot): Promise<Sogo> {
  const account = sogoAccount()
  const directory = mkdtempSync(join(tmpdir(), 'sp-sogo-'))
  const own = (path: string): string => {
    if (account.uid !== undefined) chownSync(path, account.uid, account.gid ?? account.uid)
    return path
  }
  own(directory)
  for (const name of ['home', 'spool', 'nginx', 'nginx/tmp']) {
    mkdirSync(join(directory, name))
    own(join(directory, name))
  }
  const ports = {
    postgres: await freePort(),
    memcached: await freePort(),
    sogo: await freePort(),
    nginx: await freePort(),
  }
  const programs: Program[] = []
  const run = (file: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Program => {
    const started = new Program(file, args, { account, cwd: directory, env: { ...process.env, ...env }, group: true })
    programs.unshift(started)
    return started
  }
  const stop = async (): Promise<void> => {
    for (const each of programs) await each.stop('SIGTERM', 3000)
    rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
  }
  const sh = (file: string, args: readonly string[], input = ''): void => {
    execFileSync(file, args, {
      cwd: directory,
      input,
      stdio: ['pipe', 'pipe', 'pipe'],
      ...(account.uid !== undefined && { uid: account.uid, gid: account.gid ?? account.uid }),
    })
  }

  try {
    const bin = postgresPrograms()
    sh(join(bin, 'initdb'), ['-D', join(directory, 'db'), '-U', 'sogo', '-A', 'trust', '--no-sync', '-E', 'UTF8'])
    const settings = { port: ports.postgres, listen_addresses: '127.0.0.1', unix_socket_directories: '', fsync: 'off' }
    run(join(bin, 'postgres'), [
      '-D',
      join(directory, 'db'),
      ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    ])
    await waitForPort(ports.postgres)
    await untilReady(bin, ports.postgres)
    const users = Object.entries(dovecot.users).map(
      ([name, password]) => `('${name}', '${name}', '${password}', '${name}', '${name}')`,
    )
    sh(
      'psql',
      ['-h', '127.0.0.1', '-p', String(ports.postgres), '-U', 'sogo', '-d', 'postgres', '-v', 'ON_ERROR_STOP=1'],
      `create table people (c_uid text primary key, c_name text, c_password text, c_cn text, mail text);
       insert into people values ${users.join(', ')};`,
    )
    run('memcached', ['-l', '127.0.0.1', '-p', String(ports.memcached), '-U', '0', '-m', '16'])
    await waitForPort(ports.memcached)
    const database = `postgresql://sogo@127.0.0.1:${ports.postgres}/postgres`
    const table = (name: string) => `${database}/${name}`
    const sogo = run(
      program('sogo'),
      Object.entries({
        WOPort: `127.0.0.1:${ports.sogo}`,
        WONoDetach: 'YES',
        WOLogFile: '-',
        WOPidFile: join(directory, 'sogo.pid'),
        WOWorkersCount: '4',
        WOWatchDogRequestTimeout: '60',
        SOGoMaximumPingInterval: '3540',
        SOGoInternalSyncInterval: '5',
        SOGoMemcachedHost: `127.0.0.1:${ports.memcached}`,
        SOGoMailSpoolPath: join(directory, 'spool'),
        SOGoIMAPServer: `imap://127.0.0.1:${dovecot.ports.imap}`,
        SOGoMailingMechanism: 'smtp',
        SOGoSMTPServer: 'smtp://127.0.0.1:1',
        SOGoProfileURL: table('sogo_user_profile'),
        OCSFolderInfoURL: table('sogo_folder_info'),
        OCSSessionsFolderURL: table('sogo_sessions_folder'),
        OCSEMailAlarmsFolderURL: table('sogo_alarms_folder'),
        OCSStoreURL: table('sogo_store'),
        OCSAclURL: table('sogo_acl'),
        OCSCacheFolderURL: table('sogo_cache_folder'),
        SOGoUserSources: `({type = sql; id = people; viewURL = "${table('people')}"; canAuthenticate = YES; userPasswordAlgorithm = plain; isAddressBook = NO;})`,
      }).flatMap(([name, value]) => [`-${name}`, value.startsWith('(') ? value : `"${value}"`]),
      { HOME: join(directory, 'home') },
    )
    const conf = join(directory, 'nginx/nginx.conf')
    writeFileSync(conf, nginxConf(directory, ports))
    await waitForPort(ports.sogo)
    const nginx = run('nginx', ['-c', conf, '-p', join(directory, 'nginx'), '-e', join(directory, 'nginx/error.log')])
    await waitForPort(ports.nginx)
    return {
      url: `http://127.0.0.1:${ports.nginx}`,
      port: ports.nginx,
      log: () => `${sogo.output}\n${nginx.output}`,
      [Symbol.asyncDispose]: stop,
    }
  } catch (error) {
    const outputs = programs.map(({ output }) => output).join('\n')
    await stop()
    throw new Error(`SOGo did not start: ${String(error)}\n${outputs}`, { cause: error })
  }
}

/** Debian's sogod stops when it may not read its own configuration, of which nothing is used here. */
function sogoAccount(): Account {
  if (process.getuid?.() !== 0) return ordinaryAccount()
  const id = (flag: string) => Number(execFileSync('id', [flag, 'sogo'], { encoding: 'utf8' }))
  return { user: 'sogo', group: 'sogo', uid: id('-u'), gid: id('-g') }
}

/** Its port is open a while before it takes questions. */
async function untilReady(bin: string, port: number): Promise<void> {
  const until = performance.now() + 30_000
  const asked = ['-q', '-h', '127.0.0.1', '-p', String(port), '-d', 'postgres', '-U', 'sogo']
  while (spawnSync(join(bin, 'pg_isready'), asked).status !== 0) {
    if (performance.now() > until) throw new Error('PostgreSQL takes no questions')
    await sleep(50)
  }
}

/** Debian keeps them beside each other, by version. */
function postgresPrograms(): string {
  const root = '/usr/lib/postgresql'
  const [newest] = readdirSync(root).sort((a, b) => Number(b) - Number(a))
  return join(root, newest ?? '', 'bin')
}

function nginxConf(directory: string, ports: { readonly nginx: number; readonly sogo: number }): string {
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${directory}/nginx/tmp/${name};`)
    .join('\n  ')
  return `
daemon off;
worker_processes 1;
pid ${directory}/nginx/pid;
events { worker_connections 256; }
http {
  access_log off;
  ${temp}
  server {
    listen 127.0.0.1:${ports.nginx};
    client_max_body_size 50m;
    location ^~ /Microsoft-Server-ActiveSync {
      proxy_pass http://127.0.0.1:${ports.sogo}/SOGo/Microsoft-Server-ActiveSync;
      proxy_http_version 1.0;
      proxy_buffering off;
      proxy_read_timeout 3600;
      proxy_set_header Host $host;
      proxy_set_header x-webobjects-server-protocol HTTP/1.0;
      proxy_set_header x-webobjects-remote-host $remote_addr;
      proxy_set_header x-webobjects-server-name $server_name;
      proxy_set_header x-webobjects-server-url http://$host;
      proxy_set_header x-webobjects-server-port $server_port;
    }
  }
}
`
}
