'use strict';

// Everything from outside is set through textContent or a checked attribute, never as HTML.

const number = decodeURIComponent(location.pathname.split('/').filter(Boolean).pop() ?? '');
const api = `../phones/${encodeURIComponent(number)}`;
const el = (id) => document.getElementById(id);
const shown = new Map();
let chats = new Map();
let current = '';

async function call(method, path, body) {
  const response = await fetch(`${api}${path}`, {
    method,
    headers: body ? { 'content-type': 'application/json' } : {},
    body: body ? JSON.stringify(body) : undefined,
  });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.error ?? `error ${response.status}`);
  return answer;
}

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

const isGroup = (chat) => chat.endsWith('@g.us');
const subjects = new Map();
const nameOf = (chat) => (isGroup(chat) ? subjects.get(chat) ?? t('Group') : `+${chat.split('@')[0]}`);
const clock = (at) => new Date(at).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
const TICKS = { sent: '✓', received: '✓', delivered: '✓✓', read: '✓✓', played: '✓✓' };
const KINDS = { image: t('📷 Photo'), video: t('🎥 Video'), audio: t('🎵 Audio'), document: t('📄 Document'), sticker: t('Sticker'), failed: t('⚠️ A file that does not open') };

const summary = (message) =>
  message.text ?? message.caption ?? message.filename ?? (message.voice ? t('🎤 Voice message') : KINDS[message.kind]) ?? message.kind;

// One bubble, reused as long as its message is shown.

function sizeOf(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

function fileLink(message, source) {
  const name = message.filename ?? (message.voice ? t('Voice message') : (KINDS[message.kind] ?? t('File')).replace(/^\S+ /, ''));
  const link = make('a', 'file', `📄 ${name}${message.size === null ? '' : ` (${sizeOf(message.size)})`}`);
  link.href = source;
  link.download = message.filename ?? '';
  return link;
}

function media(message) {
  if (!message.has_media) return null;
  const source = `${api}/inbox/${encodeURIComponent(message.id)}/media`;
  if (message.kind === 'image' || message.kind === 'sticker') {
    const image = make('img', 'media');
    image.alt = message.caption ?? t('A picture');
    image.loading = 'lazy';
    image.src = source;
    return image;
  }
  const link = fileLink(message, source);
  if (message.kind !== 'audio' && message.kind !== 'video') return link;
  const player = make(message.kind, 'media');
  player.controls = true;
  player.preload = 'metadata';
  player.src = source;
  if (message.kind === 'audio' && message.way === 'in') {
    const report = () => call('POST', '/read', { id: message.id, played: true }).catch(() => {});
    player.addEventListener('play', report, { once: true });
  }
  const both = make('div', 'attachment');
  both.append(player, link);
  return both;
}

function bubble(message) {
  const entry = make('li', `bubble ${message.way}`);
  if (message.way === 'in' && isGroup(message.chat)) entry.append(make('strong', 'author', `+${message.from}`));
  const attachment = media(message);
  if (attachment) entry.append(attachment);
  const text = message.text ?? message.caption;
  if (text) entry.append(make('p', '', text));
  else if (!attachment) entry.append(make('p', 'quiet', summary(message)));
  const foot = make('small', 'foot');
  const time = make('time', '', clock(message.at));
  time.dateTime = message.at;
  const ticks = make('span', 'ticks');
  ticks.setAttribute('role', 'img');
  foot.append(time, ticks);
  entry.append(foot);
  return { entry, ticks };
}

function update(row, message) {
  row.ticks.textContent = ` ${TICKS[message.state] ?? ''}`;
  row.ticks.dataset.state = message.state;
  const whose = message.way === 'in' ? t('The sender sees: ') : '';
  row.ticks.title = `${whose}${t(message.state)}`;
  row.ticks.setAttribute('aria-label', `${whose}${t(message.state)}`);
}

function showMessages() {
  const log = el('log');
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 60;
  const messages = chats.get(current) ?? [];
  const wanted = new Set(messages.map((message) => `${message.way}${message.id}`));
  for (const [key, row] of shown) {
    if (!wanted.has(key)) {
      row.entry.remove();
      shown.delete(key);
    }
  }
  for (const message of messages) {
    const key = `${message.way}${message.id}`;
    if (!shown.has(key)) {
      const row = bubble(message);
      shown.set(key, row);
      el('messages').append(row.entry);
    }
    update(shown.get(key), message);
  }
  el('chatname').textContent = current ? nameOf(current) : '\u00a0';
  el('text').disabled = el('reply').querySelector('button').disabled = !current;
  if (atEnd) log.scrollTop = log.scrollHeight;
}

// A narrow screen has room for one of them.
function show(part) {
  el('screen').dataset.shown = part;
}

function openChat(chat) {
  current = chat;
  show('talk');
  shown.clear();
  el('messages').replaceChildren();
  showChats();
  showMessages();
  el('log').scrollTop = el('log').scrollHeight;
}

function chatItem([chat, messages]) {
  const last = messages[messages.length - 1];
  const button = make('button', 'chat');
  button.type = 'button';
  button.setAttribute('aria-current', String(chat === current));
  const avatar = make('span', 'avatar', isGroup(chat) ? '👥' : chat.split('@')[0].slice(-2));
  avatar.setAttribute('aria-hidden', 'true');
  const text = make('span', 'grow');
  text.append(make('strong', '', nameOf(chat)), make('small', '', last ? summary(last) : ''));
  button.append(avatar, text);
  const unread = messages.filter((message) => message.way === 'in' && !['read', 'played'].includes(message.state)).length;
  if (unread) button.append(make('span', 'badge', String(unread)));
  button.addEventListener('click', () => openChat(chat));
  const entry = document.createElement('li');
  entry.append(button);
  return entry;
}

function showChats() {
  const newest = (messages) => messages[messages.length - 1]?.at ?? '';
  const sorted = [...chats].sort((a, b) => newest(b[1]).localeCompare(newest(a[1])));
  el('chats').replaceChildren(...sorted.map(chatItem));
  el('nochats').hidden = sorted.length > 0;
}

function deviceItem(device) {
  const entry = make('li', 'device');
  const text = make('span', 'grow');
  text.append(
    make('strong', '', device.name),
    make('small', '', [`${t('device')} ${device.device}`, device.platform, device.language,
      t(device.connected ? 'connected' : 'away')].filter(Boolean).join(' · ')),
  );
  const dot = make('span', device.connected ? 'dot on' : 'dot');
  dot.setAttribute('aria-hidden', 'true');
  const unlink = make('button', 'danger', t('Unlink'));
  unlink.type = 'button';
  unlink.addEventListener('click', () => attempt(call('DELETE', `/devices/${device.device}`), t('Unlinked.')));
  entry.append(dot, text, unlink);
  return entry;
}

function showPhone(phone) {
  document.title = `+${phone.number}`;
  el('title').textContent = `+${phone.number}`;
  el('subtitle').textContent = t(!phone.registered ? 'not registered' : phone.online ? 'online' : 'offline: mail waits');
  el('online').checked = phone.online;
  el('registered').checked = phone.registered;
  el('passkey').checked = phone.passkey;
  el('receipts').value = phone.auto_receipts;
  el('devices').replaceChildren(...phone.devices.map(deviceItem));
  el('nodevices').hidden = phone.devices.length > 0;
  if (phone.passkey_code) el('linkinfo').textContent = `${t('Code to compare: ')}${phone.passkey_code}`;
  else if (phone.code_expected) el('linkinfo').textContent = t('A device waits for its code.');
}

async function refresh() {
  const [phone, timeline] = await Promise.all([call('GET', ''), call('GET', '/timeline')]);
  const opened = new Map();
  for (const message of timeline) {
    if (!opened.has(message.chat)) opened.set(message.chat, []);
    opened.get(message.chat).push(message);
    if (message.subject) subjects.set(message.chat, message.subject);
  }
  if (current && !opened.has(current)) opened.set(current, []);
  chats = opened;
  if (!current) {
    current = timeline[timeline.length - 1]?.chat ?? '';
    if (current) show('talk');
  }
  showPhone(phone);
  showChats();
  showMessages();
}

async function attempt(action, done) {
  try {
    const answer = await action;
    el('linkinfo').textContent = answer?.passkey ? t('The device has been asked for a passkey.') : done;
  } catch (error) {
    el('linkinfo').textContent = error.message;
  }
}

const change = (patch) => attempt(call('PUT', '', patch), '');

el('tochats').addEventListener('click', () => show('chats'));
el('online').addEventListener('change', (event) => change({ online: event.target.checked }));
el('registered').addEventListener('change', (event) => change({ registered: event.target.checked }));
el('passkey').addEventListener('change', (event) => change({ passkey: event.target.checked }));
el('receipts').addEventListener('change', (event) => change({ auto_receipts: event.target.value }));
el('readall').addEventListener('click', () => attempt(call('POST', '/read', {}), ''));

el('reply').addEventListener('submit', async (event) => {
  event.preventDefault();
  const text = el('text').value.trim();
  if (!text || !current) return;
  el('text').value = '';
  await attempt(call('POST', '/send', { to: current, text }), '');
});

el('newchat').addEventListener('submit', (event) => {
  event.preventDefault();
  const digits = el('newnumber').value.replace(/\D/g, '');
  if (!digits) return;
  el('newnumber').value = '';
  const chat = `${digits}@s.whatsapp.net`;
  if (!chats.has(chat)) chats.set(chat, []);
  openChat(chat);
  el('text').focus();
});

el('link').addEventListener('submit', async (event) => {
  event.preventDefault();
  const text = el('code').value.trim();
  const isCode = /^[A-Za-z0-9]{4}-?[A-Za-z0-9]{4}$/.test(text);
  el('linkinfo').textContent = t('Linking…');
  const action = isCode ? call('POST', '/enter-code', { code: text }) : call('POST', '/scan', { qr: text });
  await attempt(action.then((answer) => { el('code').value = ''; return answer; }), t('Linked.'));
});

// Changes come in bursts: look again at most ten times a second.
let waiting = false;
function changed() {
  if (waiting) return;
  waiting = true;
  setTimeout(() => {
    waiting = false;
    refresh().catch((error) => { el('subtitle').textContent = error.message; });
  }, 100);
}

const events = new EventSource(`${api}/events`);
events.addEventListener('message', changed);
events.addEventListener('error', () => { el('subtitle').textContent = t('reconnecting…'); });
events.addEventListener('open', changed);
changed();
