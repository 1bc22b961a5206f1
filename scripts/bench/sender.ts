/**
 * The least that can pass for an SMTP client of the old kind: EHLO, AUTH PLAIN, and one command after the other.
 */

import { Client } from './client.ts'
import type { Account } from './jobs.ts'

export class Sender implements Disposable {
  readonly #client: Client

  constructor(port: number, tls: boolean) {
    this.#client = new Client({ port, tls })
  }

  async login([user, password]: Account): Promise<void> {
    await this.#client.reply(220)
    await this.#say('EHLO bench', 250)
    await this.#say(`AUTH PLAIN ${Buffer.from(`\0${user}\0${password}`).toString('base64')}`, 235)
  }

  async send(message: Buffer): Promise<void> {
    await this.#say(`MAIL FROM:<bench@example.org> SIZE=${message.length}`, 250)
    await this.#say('RCPT TO:<bench@example.org>', 250)
    await this.#say('DATA', 354)
    const { socket } = this.#client
    socket.cork()
    socket.write(message)
    socket.write('\r\n.\r\n')
    socket.uncork()
    await this.#client.reply(250)
  }

  async quit(): Promise<void> {
    await this.#say('QUIT', 221)
    this.#client.socket.end()
    await this.#client.closed()
  }

  [Symbol.dispose](): void {
    this.#client[Symbol.dispose]()
  }

  async #say(line: string, code: number): Promise<void> {
    this.#client.socket.write(`${line}\r\n`)
    await this.#client.reply(code)
  }
}
