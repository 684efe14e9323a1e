// Devices of zapo, driven by the test that started them (crates/server/tests/processes/peers/mod.rs,
// which describes the lines that go in and out):
//
//   node peer.mjs ws://127.0.0.1:40000/ws/chat ROOT_KEY_IN_HEX COUNT

import { createHash } from 'node:crypto'
import { createInterface } from 'node:readline'
import WebSocket from 'ws'
import { WaClient, createStore } from 'zapo-js'

// Older versions of Node have none of their own.
globalThis.WebSocket = WebSocket
const [url, rootKey, count] = process.argv.slice(2)
const mediaHosts = [new URL(url).host]
const noiseRootCa = { publicKey: Buffer.from(rootKey, 'hex'), serial: 0 }

const silent = () => {}
const complain = (message, context) => console.error(message, context ?? '')
const logger = { level: 'warn', trace: silent, debug: silent, info: silent, warn: complain, error: complain }

const devices = Array.from({ length: Number(count) }, (_, index) => start(index))

function start(index) {
  const report = (event, details = {}) => console.log(JSON.stringify({ device: index, event, ...details }))
  const failed = (error) => report('failed', { error: String(error?.stack ?? error) })
  const store = createStore({
    backends: { memory_too: { stores: { auth: authInMemory }, caches: {} } },
    providers: { auth: 'memory_too' },
  })
  const options = { store, sessionId: 'device', chatSocketUrls: [url], testHooks: { noiseRootCa } }
  const client = new WaClient(options, logger)
  client.on('auth_qr', ({ qr }) => report('qr', { qr }))
  client.on('connection_success', () => report('open'))
  client.on('connection', ({ status, reason }) => status === 'close' && report('closed', { reason }))
  client.on('client_error', ({ error }) => failed(error))
  client.on('message', (event) => {
    described(client, event).then((message) => message && report('message', message), failed)
  })
  client.connect().catch(failed)
  return { client, report, failed }
}

function authInMemory() {
  let credentials = null
  return {
    load: async () => credentials,
    save: async (next) => void (credentials = next),
    clear: async () => void (credentials = null),
  }
}

async function described(client, { stanzaId, chatJid, senderJid, message }) {
  const text = message?.conversation ?? message?.extendedTextMessage?.text
  const file = message && fileOf(message)
  if (!text && !file) return
  const replyTo = message.extendedTextMessage?.contextInfo?.stanzaId
  return {
    id: stanzaId,
    chat: withoutDevice(chatJid),
    from: withoutDevice(senderJid),
    ...(text && { text }),
    ...(replyTo && { reply_to: replyTo }),
    ...(file && { media: await opened(client, file) }),
  }
}

const withoutDevice = (jid) => jid.replace(/:\d+@/, '@')

function fileOf(message) {
  const inner = message.documentWithCaptionMessage?.message ?? message
  for (const kind of ['image', 'video', 'audio', 'document', 'sticker'])
    if (inner[`${kind}Message`]) return { kind, ...inner[`${kind}Message`] }
}

async function opened(client, { kind, caption, mimetype, fileName, directPath, mediaKey, fileSha256, fileEncSha256 }) {
  const wanted = { directPath, hosts: mediaHosts, mediaType: kind, mediaKey, fileSha256, fileEncSha256 }
  const bytes = await client.mediaTransfer.downloadAndDecrypt(wanted)
  return { kind, caption, mimetype, filename: fileName, sha256: createHash('sha256').update(bytes).digest('hex') }
}

function content({ text, reply_to, media }) {
  if (media) {
    const { kind, base64, mimetype, caption, filename } = media
    return { type: kind, media: Buffer.from(base64, 'base64'), mimetype, caption, fileName: filename }
  }
  if (!reply_to) return text
  const contextInfo = {
    stanzaId: reply_to.id,
    participant: reply_to.from,
    quotedMessage: { conversation: reply_to.text },
  }
  return { extendedTextMessage: { text, contextInfo } }
}

createInterface({ input: process.stdin })
  .on('line', (line) => {
    const { device, pair_by_code, to, ...order } = JSON.parse(line)
    const { client, report, failed } = devices[device]
    const done = pair_by_code
      ? client.requestPairingCode(pair_by_code).then((code) => report('code', { code }))
      : client.sendMessage(to, content(order)).then(({ id }) => report('sent', { id }))
    done.catch(failed)
  })
  .on('close', () => process.exit(0))
