/** What most listeners of tests have in common: any free port of loopback, in clear, nobody's proxy, and time to log in. */
export const PLAIN = {
  bind: '127.0.0.1',
  port: 0,
  reusePort: false,
  tls: 'none',
  contexts: null,
  proxyFrom: [],
  limits: { loginMs: 60_000 },
} as const
