import t from 'tap'
import { IpcError } from '../../src/ipc/error.ts'
import { encodeFrame, FrameDecoder, MAX_FRAME_BYTES } from '../../src/ipc/frames.ts'

/** A small generator with a seed, so that a failing run can be run again. */
function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

function readAll(decoder: FrameDecoder, chunks: readonly Buffer[]): unknown[] {
  const messages: unknown[] = []
  for (const chunk of chunks) {
    decoder.push(Buffer.from(chunk))
    for (let message = decoder.next(); message !== undefined; message = decoder.next()) messages.push(message)
  }
  return messages
}

const header = (length: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(length)
  return bytes
}

t.test('frames come out as they went in, however the stream is cut', async (t) => {
  const next = random(7)
  const messages = Array.from({ length: 200 }, (_, i) => ({
    n: i,
    text: 'żółw\u0000\r\n\ud800"\\'.repeat(Math.floor(next() * 30)),
  }))
  const stream = Buffer.concat(messages.map(encodeFrame))
  t.strictSame(readAll(new FrameDecoder(), [stream]), messages, 'in one chunk')
  for (let run = 0; run < 50; run++) {
    const chunks: Buffer[] = []
    for (let at = 0; at < stream.length; ) {
      const size = Math.ceil(next() ** 4 * 5000)
      chunks.push(stream.subarray(at, at + size))
      at += size
    }
    const decoder = new FrameDecoder()
    t.strictSame(readAll(decoder, chunks), messages, `cut at random, run ${run}`)
    t.ok(decoder.idle)
  }
})

t.test('a byte is copied once, so one-byte chunks cost linear time', async (t) => {
  const frame = encodeFrame({ text: 'x'.repeat(MAX_FRAME_BYTES - 20) })
  const decoder = new FrameDecoder()
  const begun = process.threadCpuUsage()
  let seen = 0
  for (let i = 0; i < 10; i++) {
    for (const byte of frame) {
      decoder.push(Buffer.of(byte))
      if (decoder.next()) seen += 1
    }
  }
  t.equal(seen, 10)
  // 650,000 chunks. A decoder that joins what it has on every chunk moves 20 GB here and takes many seconds.
  const { user, system } = process.threadCpuUsage(begun)
  t.ok(user + system < 5_000_000)
})

t.test('what is no frame is refused by its header, before anything is held', async (t) => {
  for (const [bytes, why] of [
    [header(0), 'no length'],
    [header(MAX_FRAME_BYTES + 1), 'one byte too many'],
    [header(0xffffffff), 'four gigabytes'],
    [Buffer.from('GET / HTTP/1.1\r\n\r\n'), 'another protocol'],
    [Buffer.concat([header(3), Buffer.from('{]}')]), 'no JSON'],
    [Buffer.concat([header(2), Buffer.from('[]')]), 'an array'],
    [Buffer.concat([header(4), Buffer.from('null')]), 'null'],
    [Buffer.concat([header(3), Buffer.from('"a"')]), 'text'],
  ] as const) {
    t.throws(() => readAll(new FrameDecoder(), [bytes]), { name: 'IpcError', code: 'ERR_IPC_PROTOCOL' }, why)
    t.throws(
      () =>
        readAll(
          new FrameDecoder(),
          [...bytes].map((byte) => Buffer.of(byte)),
        ),
      { code: 'ERR_IPC_PROTOCOL' },
      `${why}, byte by byte`,
    )
  }
})

t.test('invariant 5: no error about a frame quotes it, and its bytes are wiped', async (t) => {
  const text = '{"secret":"hunter2-hunter2"'
  const chunk = Buffer.concat([header(text.length), Buffer.from(text)])
  const decoder = new FrameDecoder()
  decoder.push(chunk)
  try {
    decoder.next()
    t.fail('broken JSON was taken')
  } catch (error) {
    t.ok(error instanceof IpcError)
    t.notMatch(String(error), /hunter2/)
    t.notMatch(String((error as Error).stack), /hunter2/)
    t.equal((error as Error).cause, undefined)
  }
  t.notMatch(chunk.toString('latin1'), /hunter2/)

  const whole = encodeFrame({ secret: 'hunter2-hunter2' })
  for (const cut of [whole.length, 9]) {
    const copy = Buffer.from(whole)
    const parts = [copy.subarray(0, cut), copy.subarray(cut)]
    const cutting = new FrameDecoder()
    for (const part of parts) {
      cutting.push(part)
      while (cutting.next() !== undefined);
    }
    t.notMatch(copy.toString('latin1'), /hunter/, `wiped, cut at ${cut}`)
  }
})

t.test('fuzz: any bytes give messages or ERR_IPC_PROTOCOL, nothing else', async (t) => {
  const next = random(20261121)
  const good = encodeFrame({ q: 1, m: 'admit', p: { a: [1, 2, { b: 'c' }] } })
  let refused = 0
  for (let run = 0; run < 20_000; run++) {
    const bytes = Buffer.from(good)
    for (let flips = 0; flips <= next() * 4; flips++)
      bytes[Math.floor(next() * bytes.length)] = Math.floor(next() * 256)
    try {
      readAll(new FrameDecoder(), [bytes])
    } catch (error) {
      if (!(error instanceof IpcError && error.code === 'ERR_IPC_PROTOCOL')) throw error
      refused += 1
    }
  }
  t.ok(refused > 1000, `${refused} of 20,000 refused`)
})

t.test('a message that does not fit is refused where it is made', async (t) => {
  t.throws(() => encodeFrame({ text: 'x'.repeat(MAX_FRAME_BYTES) }), { code: 'ERR_IPC_TOO_LARGE' })
  t.throws(() => encodeFrame({ text: 'ł'.repeat(MAX_FRAME_BYTES / 2) }), { code: 'ERR_IPC_TOO_LARGE' }, 'bytes count')
  const most = MAX_FRAME_BYTES - JSON.stringify({ text: '' }).length
  t.equal(encodeFrame({ text: 'x'.repeat(most) }).length, 4 + MAX_FRAME_BYTES, 'the longest that fits')
})
