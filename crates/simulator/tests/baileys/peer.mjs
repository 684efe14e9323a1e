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
    if (key.fromMe || !message) return
    const inner = inside(message)
    const text = inner.conversation ?? inner.extendedTextMessage?.text
    const file = fileOf(inner)
    const other = otherContent(inner)
    if (!text && !file && !other) return
    const context = Object.values(inner).find((part) => part?.contextInfo)?.contextInfo
    const replyTo = context?.stanzaId
    const mentions = context?.mentionedJid ?? []
    return {
      id: key.id,
      chat: key.remoteJid,
      from: key.participant || key.remoteJid,
      ...(text && { text }),
      ...(replyTo && { reply_to: replyTo }),
      ...(mentions.length && { mentions }),
      ...(other ?? {}),
      ...(message !== inner && isViewOnce(message) && { view_once: true }),
      ...(file && { media: { ...file, sha256: sha256(await downloadMediaMessage(received, 'buffer', {})) } }),
    }
  }

  async obey({ pair_by_code, to, reply_to, content: whole, ...order }) {
    if (whole) {
      const { key, message } = await this.sock.sendMessage(to, revived(whole, to))
      this.sent.set(key.id, message)
      return this.report('sent', { id: key.id })
    }
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

const envelopes = [
  'ephemeralMessage',
  'viewOnceMessage',
  'viewOnceMessageV2',
  'viewOnceMessageV2Extension',
  'documentWithCaptionMessage',
  'editedMessage',
]

/// The message in its envelopes.
function inside(message) {
  const envelope = envelopes.map((name) => message[name]?.message).find(Boolean)
  return envelope ? inside(envelope) : message
}

const isViewOnce = (message) => envelopes.some((name) => name.startsWith('viewOnce') && message[name])

function fileOf(message) {
  for (const kind of ['image', 'video', 'audio', 'document', 'sticker']) {
    const file = message[`${kind}Message`]
    if (!file) continue
    const { caption, mimetype, ptt, gifPlayback } = file
    return { kind, caption, mimetype, filename: file.fileName, ...(ptt && { ptt }), ...(gifPlayback && { gif: true }) }
  }
}

/// What is neither text nor file.
function otherContent(message) {
  const { locationMessage: place, reactionMessage: reaction, protocolMessage: protocol } = message
  if (place)
    return {
      location: {
        latitude: place.degreesLatitude,
        longitude: place.degreesLongitude,
        name: place.name,
        address: place.address,
      },
    }
  const cards = message.contactsArrayMessage?.contacts ?? (message.contactMessage && [message.contactMessage])
  if (cards) return { contacts: cards.map(({ displayName, vcard }) => ({ name: displayName, vcard })) }
  const poll = message.pollCreationMessage ?? message.pollCreationMessageV2 ?? message.pollCreationMessageV3
  if (poll)
    return {
      poll: {
        question: poll.name,
        options: poll.options.map(({ optionName }) => optionName),
        selectable: poll.selectableOptionsCount,
      },
    }
  if (reaction) return { reaction: { emoji: reaction.text, message: reaction.key.id } }
  if (!protocol?.key) return
  if (protocol.editedMessage) return { edit: { text: protocol.editedMessage.conversation, message: protocol.key.id } }
  return { revoke: { message: protocol.key.id } }
}

/// Content for Baileys, with files in base64 and keys of messages by their ids, `mine` where this device has sent it.
function revived(content, to) {
  const key = ({ id, mine }) => ({ remoteJid: to, id, fromMe: mine === true })
  const revive = (name, value) => {
    if (value?.base64) return Buffer.from(value.base64, 'base64')
    return name === 'key' || name === 'edit' || name === 'delete' ? key(value) : value
  }
  const pairs = (value) => Object.entries(value).map(([name, part]) => [name, walked(name, part)])
  const walked = (name, value) => {
    const revivedValue = revive(name, value)
    const isPlain = revivedValue === value && value && typeof value === 'object' && !Array.isArray(value)
    return isPlain ? Object.fromEntries(pairs(value)) : revivedValue
  }
  return Object.fromEntries(pairs(content))
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
