/** Loaded before a server: at each SIGUSR2 its wall clock jumps, an hour ahead, an hour back behind the truth, to the truth. */

const RealDate = Date
const HOUR_MS = 60 * 60_000
const JUMPS = [HOUR_MS, -HOUR_MS, 0]
let offset = 0

globalThis.Date = new Proxy(RealDate, {
  construct: (target, args) =>
    args.length === 0 ? new target(RealDate.now() + offset) : Reflect.construct(target, args),
  get: (target, name, receiver) =>
    name === 'now' ? () => RealDate.now() + offset : Reflect.get(target, name, receiver),
})

process.on('SIGUSR2', () => {
  offset = JUMPS.shift() ?? 0
  process.stdout.write(`${JSON.stringify({ event: 'clock', detail: String(offset) })}\n`)
})
