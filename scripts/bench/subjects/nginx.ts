/**
 * nginx's mail proxy (libnginx-mod-mail) with the bench's own auth_http responder.
 *
 * As it comes it reads and writes in pieces of 4 KB (`proxy_buffer`); `nginx~tuned` has 64 KB. It never sets TCP_NODELAY, so
 * its greeting after a TLS 1.3 handshake waits for a delayed acknowledgement: compare CPU, not time. It speaks no TLS upstream.
 */

import { accessSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort, waitForPort } from '../../../test/support/ports.ts'
import { Program, run } from '../../../test/support/program.ts'
import { findProgram } from '../../../test/support/services.ts'
import { startResponder } from '../child.ts'
import type { Setting, Subject } from './subject.ts'
import { PASSWORD, peerAccounts, Unavailable } from './subject.ts'

const MODULES = ['/usr/lib/nginx/modules/ngx_mail_module.so', '/usr/share/nginx/modules/ngx_mail_module.so']

function findModule(): string {
  for (const path of MODULES) {
    try {
      accessSync(path)
      return path
    } catch {
      // Not there.
    }
  }
  throw new Unavailable('its mail module is not installed (apt-get install libnginx-mod-mail)')
}

export async function startNginx(setting: Setting, proxyBuffer: '4k' | '64k'): Promise<Subject> {
  const binary = findProgram('nginx')
  if (binary === null) throw new Unavailable('not installed (apt-get install nginx-light libnginx-mod-mail)')
  const module = findModule()
  const version = /nginx\/([\d.]+)/.exec((await run(binary, ['-v'])).output)?.[1] ?? '?'
  await using stack = new AsyncDisposableStack()
  const responder = stack.use(await startResponder(setting.upstreamPort, setting.smtpUpstreamPort ?? 0, PASSWORD))
  const [plainPort, tlsPort] = [await freePort(), await freePort()]
  const smtpPorts = { plain: await freePort(), tls: await freePort() }
  const { directory } = setting
  writeFileSync(join(directory, 'cert.pem'), setting.tls.cert)
  writeFileSync(join(directory, 'key.pem'), setting.tls.key, { mode: 0o600 })
  const conf = join(directory, 'nginx.conf')
  writeFileSync(
    conf,
    `load_module ${module};
${process.getuid?.() === 0 ? 'user nobody nogroup;' : ''}
daemon off;
worker_processes ${setting.workers};
worker_rlimit_nofile ${4 * setting.sessions + 1024};
pid ${directory}/nginx.pid;
error_log ${directory}/error.log error;
events { worker_connections ${4 * setting.sessions + 512}; }
mail {
  server_name localhost;
  auth_http 127.0.0.1:${responder.port}/;
  proxy_pass_error_message on;
  proxy_buffer ${proxyBuffer};
  proxy_timeout 1h;
  imap_auth login plain;
  imap_capabilities IMAP4rev1 SASL-IR AUTH=PLAIN;
  server { listen 127.0.0.1:${plainPort} backlog=4096; protocol imap; }
  server {
    listen 127.0.0.1:${tlsPort} ssl backlog=4096;
    protocol imap;
    ssl_certificate ${directory}/cert.pem;
    ssl_certificate_key ${directory}/key.pem;
    ssl_protocols TLSv1.2 TLSv1.3;
  }
  smtp_auth login plain;
  smtp_capabilities PIPELINING "SIZE 100000000" 8BITMIME ENHANCEDSTATUSCODES;
  xclient off;
  proxy_smtp_auth on;
  server { listen 127.0.0.1:${smtpPorts.plain} backlog=4096; protocol smtp; }
  server {
    listen 127.0.0.1:${smtpPorts.tls} ssl backlog=4096;
    protocol smtp;
    ssl_certificate ${directory}/cert.pem;
    ssl_certificate_key ${directory}/key.pem;
    ssl_protocols TLSv1.2 TLSv1.3;
  }
}
`,
  )
  const program = stack.use(new Program(binary, ['-c', conf, '-p', directory], { group: true }))
  await waitForPort(tlsPort, { signal: program.ended })
  const running = stack.move()
  return {
    name: proxyBuffer === '4k' ? 'nginx' : 'nginx~tuned',
    workers: setting.workers,
    version,
    plainPort,
    tlsPort,
    smtpPorts,
    pid: program.child.pid ?? 0,
    helperPid: responder.pid,
    accounts: peerAccounts(),
    freshAccounts: null,
    roleOf: () => 'nginx',
    verifications: null,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  }
}
