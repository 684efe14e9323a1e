// Devices of Baileys, driven by the test that started them (crates/server/tests/processes/peers/mod.rs,
// which describes the lines that go in and out):
//
//   node peer.mjs ws://127.0.0.1:40000/ws/chat ROOT_KEY_IN_HEX COUNT
//
// They verify the simulator's certificate chain against the given root.

import { createHash } from 'node:crypto'
import { createInterface } from 'node:readline'
import makeWASocket, {
  Browsers,
  DisconnectReason,
  WA_CERT_DETAILS,
  downloadMediaMessage,
  initAuthCreds,
} from '@whiskeysockets/baileys'
import pino from 'pino'

const [url, rootKey, count] = process.argv.slice(2)
Buffer.from(rootKey, 'hex').copy(WA_CERT_DETAILS.PUBLIC_KEY)
const logger = pino({ level: 'silent' })
// The Signal library writes sessions to the console.
for (const level of ['info', 'warn', 'debug']) console[level] = () => {}

function memoryKeys() {
  const store = new Map()
  return {
    get: async (type, ids) =>
      Object.fromEntries(ids.map((id) => [id, store.get(`${type}:${id}`)]).filter(([, value]) => value !== undefined)),
    set: async (data) => {
      for (const [type, entries] of Object.entries(data))
        for (const [id, value] of Object.entries(entries))
          value ? store.set(`${type}:${id}`, value) : store.delete(`${type}:${id}`)
    },
  }
}

class Device {
  constructor(index) {
    this.index = index
    this.auth = { creds: initAuthCreds(), keys: memoryKeys() }
    this.sent = new Map()
    this.connect()
  }

  report(event, details = {}) {
    console.log(JSON.stringify({ device: this.index, event, ...details }))
  }

  connect() {
    this.sock = makeWASocket({
      waWebSocketUrl: url,
      auth: this.auth,
      logger,
      browser: Browsers.ubuntu('Chrome'),
      version: [2, 3000, 1035194821],
      syncFullHistory: false,
      shouldSyncHistoryMessage: () => false,
      getMessage: async ({ id }) => this.sent.get(id),
    })
    this.sock.ev.on('creds.update', (update) => Object.assign(this.auth.creds, update))
    this.sock.ev.on('connection.update', (update) => this.onConnection(update))
    this.sock.ev.on('messages.upsert', ({ messages }) => messages.forEach((message) => this.onMessage(message)))
  }

  onConnection({ connection, qr, lastDisconnect }) {
    if (qr) this.report('qr', { qr })
    if (connection === 'open') this.report('open')
    if (connection !== 'close') return
    const code = lastDisconnect?.error?.output?.statusCode
    if (code === DisconnectReason.restartRequired) this.connect()
    else this.report('closed', { reason: code })
  }

  onMessage(received) {
    this.described(received).then(
      (message) => message && this.report('message', message),
      (error) => this.failed(error),
    )
  }

  failed(error) {
    this.report('failed', { error: String(error?.stack ?? error) })
  }

  async described(received) {
    const { key, message } = received
    const text = message?.conversation ?? message?.extendedTextMessage?.text
    const file = message && fileOf(message)
    if (key.fromMe || (!text && !file)) return
    const replyTo = message.extendedTextMessage?.contextInfo?.stanzaId
    return {
      id: key.id,
      chat: key.remoteJid,
      from: key.participant || key.remoteJid,
      ...(text && { text }),
      ...(replyTo && { reply_to: replyTo }),
      ...(file && { media: { ...file, sha256: sha256(await downloadMediaMessage(received, 'buffer', {})) } }),
    }
  }

  async obey({ pair_by_code, to, reply_to, ...order }) {
    if (pair_by_code) return this.report('code', { code: await this.sock.requestPairingCode(pair_by_code) })
    const quoted = reply_to && {
      key: { remoteJid: reply_to.from, id: reply_to.id, fromMe: false },
      message: { conversation: reply_to.text },
    }
    const { key, message } = await this.sock.sendMessage(to, content(order), { quoted })
    this.sent.set(key.id, message)
    this.report('sent', { id: key.id })
  }
}

const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex')

function fileOf(message) {
  const inner = message.documentWithCaptionMessage?.message ?? message
  for (const kind of ['image', 'video', 'audio', 'document', 'sticker']) {
    const file = inner[`${kind}Message`]
    if (file) return { kind, caption: file.caption, mimetype: file.mimetype, filename: file.fileName }
  }
}

function content({ text, media }) {
  if (!media) return { text }
  const { kind, base64, mimetype, caption, filename } = media
  return { [kind]: Buffer.from(base64, 'base64'), mimetype, caption, ...(filename && { fileName: filename }) }
}

const devices = Array.from({ length: Number(count) }, (_, index) => new Device(index))
createInterface({ input: process.stdin })
  .on('line', (line) => {
    const { device, ...order } = JSON.parse(line)
    devices[device].obey(order).catch((error) => devices[device].failed(error))
  })
  .on('close', () => process.exit(0))
