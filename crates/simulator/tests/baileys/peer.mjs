// One Baileys device, driven by the test that started it (crates/server/tests/processes):
//
//   node peer.mjs ws://127.0.0.1:4000/ws/chat ROOT_KEY_IN_HEX
//
// It prints a line of JSON for each event (`qr`, `open`, `message`, `sent`, `closed`) and sends
// a text for each line `{"to":"628…","text":"…"}` of its input. It verifies the simulator's
// certificate chain against the given root.

import { createInterface } from 'node:readline'
import makeWASocket, { Browsers, DisconnectReason, WA_CERT_DETAILS, initAuthCreds } from '@whiskeysockets/baileys'
import pino from 'pino'

const [url, rootKey] = process.argv.slice(2)
Buffer.from(rootKey, 'hex').copy(WA_CERT_DETAILS.PUBLIC_KEY)
const logger = pino({ level: 'silent' })
const auth = { creds: initAuthCreds(), keys: memoryKeys() }
let sock

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

function report(event, details = {}) {
  console.log(JSON.stringify({ event, ...details }))
}

function connect() {
  sock = makeWASocket({
    waWebSocketUrl: url,
    auth,
    logger,
    browser: Browsers.ubuntu('Chrome'),
    version: [2, 3000, 1035194821],
    syncFullHistory: false,
    shouldSyncHistoryMessage: () => false,
  })
  sock.ev.on('creds.update', (update) => Object.assign(auth.creds, update))
  sock.ev.on('connection.update', ({ connection, qr, lastDisconnect }) => {
    if (qr) report('qr', { qr })
    if (connection === 'open') report('open')
    if (connection !== 'close') return
    const code = lastDisconnect?.error?.output?.statusCode
    if (code === DisconnectReason.restartRequired) return connect()
    report('closed', { code })
    process.exit(1)
  })
  sock.ev.on('messages.upsert', ({ messages }) => {
    for (const { key, message } of messages) {
      const text = message?.conversation ?? message?.extendedTextMessage?.text
      if (text && !key.fromMe) report('message', { id: key.id, from: key.remoteJid, text })
    }
  })
}

connect()
createInterface({ input: process.stdin })
  .on('line', async (line) => {
    const { to, text } = JSON.parse(line)
    const sent = await sock.sendMessage(`${to}@s.whatsapp.net`, { text })
    report('sent', { id: sent.key.id })
  })
  .on('close', () => process.exit(0))
