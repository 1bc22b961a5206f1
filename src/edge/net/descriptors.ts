/**
 * How many connections this process has file descriptors for.
 *
 * Node sheds connections silently when there is none left (libuv accepts and closes them), and a call upstream fails in the
 * middle of a login. So the limit is counted beforehand: two for a session, and some for everything else (threats E3).
 */

/** Listening sockets, logs, channels, the event loop, a pool of threads that read files. */
const RESERVED = 64

/** The most client connections to allow. Takes some milliseconds, and the limit never changes: ask once. */
export function connectionsThatFit(openFiles: number = openFilesLimit()): number {
  return Math.max(1, Math.floor((openFiles - RESERVED) / 2))
}

/** The soft limit of open files, Infinity when there is none. Needs no access to /proc, which an edge has not got. */
function openFilesLimit(): number {
  // Without it the report looks up the names of all peers.
  const report = process.report as NodeJS.ProcessReport & { excludeNetwork: boolean }
  const { excludeNetwork } = report
  report.excludeNetwork = true
  const { userLimits } = report.getReport() as { userLimits?: { open_files?: { soft?: unknown } } }
  report.excludeNetwork = excludeNetwork
  const soft = userLimits?.open_files?.soft
  return typeof soft === 'number' ? soft : Number.POSITIVE_INFINITY
}
