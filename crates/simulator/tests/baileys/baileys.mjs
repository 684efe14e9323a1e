// Baileys against the simulator: pairs two devices by QR and one by code, exchanges text,
// media and group messages with virtual phones and between the devices, checks receipts,
// typing, offline delivery and unlinking.
//
//   node baileys.mjs ws://127.0.0.1:4000/ws/chat [http://127.0.0.1:4000]
//
// (or SIMULATOR_WS and SIMULATOR_CONTROL). Files go over HTTPS to the same host. Exit code 0 when
// everything held. Run by crates/server/tests/processes/peers/baileys.rs.

import { createHash, randomInt } from 'node:crypto'
import makeWASocket, {
  Browsers,
  DisconnectReason,
  WA_CERT_DETAILS,
  downloadMediaMessage,
  initAuthCreds,
  makeCacheableSignalKeyStore,
} from '@whiskeysockets/baileys'
import pino from 'pino'

const WS = process.argv[2] ?? process.env.SIMULATOR_WS ?? 'ws://127.0.0.1:4000/ws/chat'
const CONTROL = (process.argv[3] ?? process.env.SIMULATOR_CONTROL ?? `http://${new URL(WS).host}`).replace(/\/$/, '')
const STEP_MS = Number(process.env.STEP_MS ?? 30_000)
const logger = pino({ level: process.env.LOG_LEVEL ?? 'silent' })

async function control(method, path, body) {
  const response = await fetch(CONTROL + path, {
    method,
    headers: { 'content-type': 'application/json' },
    body: body === undefined ? undefined : JSON.stringify(body),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
  return text ? JSON.parse(text) : undefined
}

async function until(what, probe) {
  const end = Date.now() + STEP_MS
  for (;;) {
    const found = await probe()
    if (found) return found
    if (Date.now() > end) throw new Error(`timed out: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

function check(condition, what) {
  if (!condition) throw new Error(`failed: ${what}`)
}

function step(what) {
  console.log(`ok  ${what}`)
}

// The Signal library writes sessions to the console.
for (const level of ['info', 'warn', 'debug']) console[level] = () => {}

const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex')
const number = () => `6281${randomInt(1e8, 1e9)}`
const jid = (phone) => `${phone}@s.whatsapp.net`

// An auth state in memory, shared by the connections of one device.
function memoryAuth() {
  const store = new Map()
  const creds = initAuthCreds()
  const keys = {
    get: async (type, ids) =>
      Object.fromEntries(ids.map((id) => [id, store.get(`${type}:${id}`)]).filter(([, value]) => value !== undefined)),
    set: async (data) => {
      for (const [type, entries] of Object.entries(data))
        for (const [id, value] of Object.entries(entries))
          value ? store.set(`${type}:${id}`, value) : store.delete(`${type}:${id}`)
    },
  }
  return { creds, keys: makeCacheableSignalKeyStore(keys, logger) }
}

class Device {
  constructor(phone, { byCode = false } = {}) {
    Object.assign(this, { phone, byCode, messages: [], updates: [], receipts: [], presences: [] })
    this.auth = memoryAuth()
    this.sent = new Map()
    this.wanted = true
  }

  connect() {
    this.open = false
    const sock = makeWASocket({
      waWebSocketUrl: WS,
      auth: this.auth,
      logger,
      browser: Browsers.ubuntu('Chrome'),
      version: [2, 3000, 1035194821],
      syncFullHistory: false,
      shouldSyncHistoryMessage: () => false,
      markOnlineOnConnect: true,
      fireInitQueries: true,
      getMessage: async (key) => this.sent.get(key.id),
      fetchOptions: {},
    })
    this.sock = sock
    sock.ev.on('creds.update', (update) => Object.assign(this.auth.creds, update))
    sock.ev.on('connection.update', (update) => this.onConnection(update))
    sock.ev.on('messages.upsert', ({ messages }) => this.messages.push(...messages))
    sock.ev.on('messages.update', (updates) => this.updates.push(...updates))
    sock.ev.on('message-receipt.update', (updates) => this.receipts.push(...updates))
    sock.ev.on('presence.update', (update) => this.presences.push(update))
  }

  async onConnection({ connection, qr, lastDisconnect }) {
    try {
      if (qr && !this.pairing) {
        this.pairing = true
        if (this.byCode) {
          const code = await this.sock.requestPairingCode(this.phone)
          await control('POST', `/phones/${this.phone}/enter-code`, { code })
        } else {
          await control('POST', `/phones/${this.phone}/scan`, { qr })
        }
      }
    } catch (error) {
      this.error = error
    }
    if (connection === 'open') this.open = true
    if (connection === 'close') {
      this.open = false
      this.closed = lastDisconnect?.error?.output?.statusCode
      if (this.closed === DisconnectReason.restartRequired && this.wanted) this.connect()
    }
  }

  async start() {
    this.wanted = true
    this.connect()
    await until(`${this.phone} opens`, () => {
      if (this.error) throw this.error
      return this.open
    })
  }

  async stop() {
    this.wanted = false
    this.sock.end(undefined)
    await until(`${this.phone} closes`, () => !this.open)
  }

  async send(to, content) {
    const sent = await this.sock.sendMessage(to, content)
    this.sent.set(sent.key.id, sent.message)
    return sent.key.id
  }

  received(text) {
    return until(`${this.phone} receives ${text}`, () =>
      this.messages.find((m) => (m.message?.conversation ?? m.message?.extendedTextMessage?.text) === text),
    )
  }

  // What is known of one of its messages: Baileys reports changes one by one, or merges them
  // into the message that it is still announcing.
  statuses(id) {
    const updates = this.updates.filter((u) => u.key.id === id).map((u) => u.update.status)
    const announced = this.messages.filter((m) => m.key.id === id).map((m) => m.status)
    return [...updates, ...announced].filter((status) => status !== undefined && status !== null)
  }

  memberReceipts(id) {
    const reported = this.receipts.filter((r) => r.key.id === id).map((r) => r.receipt)
    const announced = this.messages.filter((m) => m.key.id === id).flatMap((m) => m.userReceipt ?? [])
    return [...reported, ...announced]
  }

  status(id, at_least) {
    return until(`${id} reaches ${at_least}`, () => this.statuses(id).some((status) => status >= at_least))
  }
}

const inboxRow = (phone, id) =>
  until(`${phone} has ${id}`, async () => (await control('GET', `/phones/${phone}/inbox`)).find((row) => row.id === id))

async function main() {
  const root = await control('GET', '/root-key')
  Buffer.from(root.hex, 'hex').copy(WA_CERT_DETAILS.PUBLIC_KEY)

  const [a, b, c] = [new Device(number()), new Device(number()), new Device(number(), { byCode: true })]
  const friend = number()

  await a.start()
  step('paired by QR, restarted, logged in, certificate chain verified')
  await b.start()
  await c.start()
  step('paired by code')

  // A device to a virtual phone, with receipts.
  await a.sock.sendPresenceUpdate('composing', jid(friend))
  const first = await a.send(jid(friend), { text: 'halo dari baileys' })
  const row = await inboxRow(friend, first)
  check(row.text === 'halo dari baileys' && row.from === a.phone && row.kind === 'text', 'the inbox row')
  check(row.copies === 1 && row.typing_ms > 0, `copies ${row.copies}, typing ${row.typing_ms}`)
  await a.status(first, 3)
  await a.status(first, 4)
  step('text to a virtual phone: sent, delivered, read, with typing')

  // Back.
  await control('POST', `/phones/${friend}/send`, { to: a.phone, text: 'halo juga' })
  const back = await a.received('halo juga')
  check(back.key.remoteJid === jid(friend), `it came from ${back.key.remoteJid}`)
  step('text from a virtual phone')
  for (let n = 0; n < 5; n++) {
    const id = await a.send(jid(friend), { text: `ratchet ${n}` })
    await inboxRow(friend, id)
    await control('POST', `/phones/${friend}/send`, { to: a.phone, text: `answer ${n}` })
    await a.received(`answer ${n}`)
  }
  step('the ratchet turns in both directions')

  // Between two linked devices of different numbers.
  const across = await a.send(jid(b.phone), { text: 'a to b' })
  await b.received('a to b')
  await inboxRow(b.phone, across)
  await b.send(jid(a.phone), { text: 'b to a' })
  await a.received('b to a')
  await c.send(jid(b.phone), { text: 'c to b' })
  await b.received('c to b')
  step('text between linked devices, and to the phones beside them')

  // The person at a device's own phone writes: the device gets a copy of its own.
  await control('POST', `/phones/${a.phone}/send`, { to: friend, text: 'from my phone' })
  const own = await a.received('from my phone')
  check(own.key.fromMe && own.key.remoteJid === jid(friend), 'the own copy')
  step('a copy of what the own phone sends')

  // On WhatsApp or not.
  const unregistered = number()
  await control('PUT', `/phones/${unregistered}`, { registered: false })
  const [found, missing] = [await a.sock.onWhatsApp(friend), await a.sock.onWhatsApp(unregistered)]
  check(found?.[0]?.exists === true, 'a registered number exists')
  check(!missing?.[0]?.exists, 'an unregistered one does not')
  step('who is on WhatsApp')

  // Groups.
  const { id: group } = await control('POST', '/groups', { subject: 'Keluarga', participants: [a.phone, b.phone, friend] })
  const groups = await a.sock.groupFetchAllParticipating()
  check(groups[group]?.subject === 'Keluarga' && groups[group].participants.length === 3, 'the group is listed')
  const toGroup = await a.send(group, { text: 'halo grup' })
  const inGroup = await b.received('halo grup')
  check(inGroup.key.remoteJid === group, 'the group of a message')
  const groupRow = await inboxRow(friend, toGroup)
  check(groupRow.chat === group && groupRow.from === a.phone, 'the group row')
  await control('POST', `/phones/${friend}/send`, { to: group, text: 'grup dari telepon' })
  await a.received('grup dari telepon')
  await b.received('grup dari telepon')
  step('group messages, from devices and from a phone')

  // Each member says what became of it.
  for (const member of [friend, b.phone])
    await until(`${member} reads in the group`, () =>
      a.memberReceipts(toGroup).find((receipt) => receipt.readTimestamp && receipt.userJid === jid(member)),
    )
  step('every member of a group answers with receipts')

  // A person whose number comes second: messages, receipts and groups by LID.
  const hidden = number()
  const { lid } = await control('PUT', `/phones/${hidden}`, { by_lid: true })
  await control('POST', `/phones/${hidden}/send`, { to: a.phone, text: 'dari LID' })
  const byLid = await a.received('dari LID')
  check(byLid.key.remoteJid === lid && byLid.key.remoteJidAlt === jid(hidden), `LID and number: ${JSON.stringify(byLid.key)}`)
  for (const to of [lid, jid(hidden)]) {
    const id = await a.send(to, { text: `kepada ${to}` })
    check((await inboxRow(hidden, id)).from === a.phone, `it came from ${a.phone}`)
    await a.status(id, 4)
  }
  const { id: lidGroup } = await control('POST', '/groups', { subject: 'LID', participants: [hidden, a.phone], by_lid: true })
  const inLidGroup = await a.send(lidGroup, { text: 'halo LID' })
  check((await inboxRow(hidden, inLidGroup)).chat === lidGroup, 'the LID group')
  await control('POST', `/phones/${hidden}/send`, { to: lidGroup, text: 'grup LID' })
  const member = (await a.received('grup LID')).key
  check(member.participant === lid && member.participantAlt === jid(hidden), `the member: ${JSON.stringify(member)}`)
  step('people and groups that are known by LID')

  // Offline queue.
  await b.stop()
  for (let n = 0; n < 3; n++) await a.send(jid(b.phone), { text: `waiting ${n}` })
  await control('POST', `/phones/${friend}/send`, { to: b.phone, text: 'waiting too' })
  await b.start()
  for (let n = 0; n < 3; n++) await b.received(`waiting ${n}`)
  await b.received('waiting too')
  step('mail waits for a device that is away')

  // An offline phone.
  const away = number()
  await control('PUT', `/phones/${away}`, { online: false })
  const later = await a.send(jid(away), { text: 'are you there?' })
  await until('it waits', async () => (await control('GET', '/stats')).stored.mail > 0)
  check((await control('GET', `/phones/${away}/inbox`)).length === 0, 'an offline phone has read nothing')
  await control('PUT', `/phones/${away}`, { online: true })
  await inboxRow(away, later)
  await a.status(later, 4)
  step('mail waits for a phone that is off')

  // Media, to a phone and from it.
  const picture = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64')
  const report = Buffer.from('%PDF-1.4\n% laporan yang sangat pendek\n')
  const files = [
    { kind: 'image', bytes: picture, mimetype: 'image/png', caption: 'sebuah titik' },
    { kind: 'document', bytes: report, mimetype: 'application/pdf', filename: 'laporan.pdf', caption: 'mohon dibaca' },
  ]
  for (const file of files) {
    for (const to of [jid(friend), group]) {
      const id = await a.send(to, toBaileys(file))
      const row = await inboxRow(friend, id)
      check(row.kind === file.kind && row.sha256 === sha256(file.bytes), `${file.kind} to ${to}: ${JSON.stringify(row)}`)
      check(row.mimetype === file.mimetype && row.caption === file.caption, 'what is said about it')
      check(row.filename === (file.filename ?? null) && row.size === file.bytes.length, 'its name and size')
      const opened = await fetch(`${CONTROL}/phones/${friend}/inbox/${id}/media`)
      check(sha256(Buffer.from(await opened.arrayBuffer())) === row.sha256, 'the bytes that the phone opens')
    }
    step(`${file.kind} to a phone and into a group`)
    for (const to of [a.phone, group]) {
      const { bytes, ...media } = { ...file, base64: file.bytes.toString('base64') }
      const { id } = await control('POST', `/phones/${friend}/send`, { to, media })
      const got = await until(`the ${file.kind} arrives`, () => a.messages.find((m) => m.key.id === id && m.message))
      const opened = await downloadMediaMessage(got, 'buffer', {})
      check(sha256(opened) === sha256(bytes), `the bytes that Baileys opens: ${opened.length}`)
      const described = got.message.imageMessage ?? contentOf(got.message).documentMessage
      check(described.caption === file.caption && described.mimetype === file.mimetype, 'what the phone says about it')
      if (file.filename) check(described.fileName === file.filename, 'its name')
    }
    step(`${file.kind} from a phone and out of a group`)
  }

  // Nacks.
  await control('PUT', '/faults', { reject: { number: friend, code: 479 } })
  const refused = await a.send(jid(friend), { text: 'refused' })
  await until('the nack arrives', () => a.statuses(refused).includes(0))
  await control('PUT', '/faults', {})
  step('a refused message')

  // Unlinked by the phone.
  const state = await control('GET', `/phones/${c.phone}`)
  await control('DELETE', `/phones/${c.phone}/devices/${state.devices[0].device}`)
  await until('c is logged out', () => c.closed === DisconnectReason.loggedOut)
  step('unlinked by the phone')

  // Logged out by the client.
  await b.sock.logout().catch(() => {})
  await until('b is gone', async () => (await control('GET', `/phones/${b.phone}`)).devices.length === 0)
  step('logged out by the client')
  await a.stop()
}

// A file as Baileys takes it.
function toBaileys({ kind, bytes, mimetype, filename, caption }) {
  return { [kind]: bytes, mimetype, caption, ...(filename && { fileName: filename }) }
}

// Documents with a caption may come wrapped.
const contentOf = (message) => message.documentWithCaptionMessage?.message ?? message

const limit = setTimeout(() => {
  console.error('FAILED: the whole run took too long')
  process.exit(1)
}, 240_000)

main().then(
  () => {
    clearTimeout(limit)
    console.log('all held')
    process.exit(0)
  },
  (error) => {
    console.error('FAILED:', error)
    process.exit(1)
  },
)
