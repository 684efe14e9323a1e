'use strict';

// Everything from outside is set through textContent, never as HTML.

const el = (id) => document.getElementById(id);
const list = el('phones');
const none = el('none');

function plural(count, one, many) {
  return `${count} ${t(count === 1 ? one : many)}`;
}

async function call(method, path, body) {
  const response = await fetch(path, {
    method,
    headers: body ? { 'content-type': 'application/json' } : {},
    body: body ? JSON.stringify(body) : undefined,
  });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.error ?? `error ${response.status}`);
  return answer;
}

// Does something, and says beside it what came of it.
async function attempt(info, action, done) {
  try {
    await action;
    info.textContent = t(done);
  } catch (error) {
    info.textContent = error.message;
  }
}

function item(phone) {
  const link = document.createElement('a');
  link.href = `phone/${phone.number}`;
  const avatar = document.createElement('span');
  avatar.className = 'avatar';
  avatar.setAttribute('aria-hidden', 'true');
  avatar.textContent = phone.number.slice(-2);
  const text = document.createElement('span');
  text.className = 'grow';
  const name = document.createElement('strong');
  name.textContent = `+${phone.number}`;
  const detail = document.createElement('small');
  detail.textContent = [
    plural(phone.messages, 'message', 'messages'),
    phone.devices ? plural(phone.devices, 'linked device', 'linked devices') : '',
  ].filter(Boolean).join(' · ');
  text.append(name, detail);
  const time = document.createElement('time');
  time.dateTime = phone.seen_at;
  time.textContent = new Date(phone.seen_at).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
  link.append(avatar, text, time);
  const entry = document.createElement('li');
  entry.append(link);
  return entry;
}

// Groups: who is in them, and what can be done to them.

function button(text, act) {
  const element = document.createElement('button');
  element.type = 'button';
  element.textContent = t(text);
  element.addEventListener('click', act);
  return element;
}

const groupPath = (group, ...parts) => ['groups', group.id, ...parts].map(encodeURIComponent).join('/');
const onGroup = (action, done = '') => attempt(el('groupinfo'), action, done).then(refresh);

function member(group, number) {
  const entry = document.createElement('li');
  const name = document.createElement('span');
  name.className = 'grow';
  name.textContent = `+${number}`;
  const remove = button('Remove', () => onGroup(call('DELETE', groupPath(group, 'members', number), {})));
  remove.className = 'danger';
  remove.setAttribute('aria-label', `${t('Remove')} +${number}`);
  entry.append(name, remove);
  return entry;
}

function groupItem(group) {
  const details = document.createElement('details');
  details.dataset.id = group.id;
  const summary = document.createElement('summary');
  summary.textContent = `${group.subject} · ${plural(group.participants.length, 'member', 'members')}`;
  const id = document.createElement('small');
  id.textContent = group.id;
  const members = document.createElement('ul');
  members.className = 'list';
  members.append(...group.participants.map((number) => member(group, number)));
  const add = document.createElement('form');
  add.className = 'row';
  const number = document.createElement('input');
  number.inputMode = 'numeric';
  number.required = true;
  number.pattern = '\\+?[1-9][0-9]{4,14}';
  number.placeholder = t('Add a number');
  number.setAttribute('aria-label', t('Add a number'));
  const go = document.createElement('button');
  go.textContent = t('Add');
  add.append(number, go);
  add.addEventListener('submit', (event) => {
    event.preventDefault();
    const digits = number.value.replace(/\D/g, '');
    number.blur();
    number.value = '';
    onGroup(call('PUT', groupPath(group, 'members', digits), {}));
  });
  const only = document.createElement('label');
  only.className = 'switch';
  const announcement = document.createElement('input');
  announcement.type = 'checkbox';
  announcement.checked = group.announcement;
  announcement.addEventListener('change', () => {
    onGroup(call('PUT', groupPath(group), { announcement: announcement.checked }));
  });
  only.append(announcement, t('Only admins write'));
  const read = button('Everybody reads', () => onGroup(call('POST', groupPath(group, 'read'), {})));
  details.append(summary, id, members, add, only, read);
  const entry = document.createElement('li');
  entry.append(details);
  return entry;
}

let known = '';
function showGroups(groups) {
  el('nogroups').hidden = groups.length > 0;
  const now = JSON.stringify(groups);
  // What is being written stays.
  const isUsed = el('groups').querySelector('input:focus') !== null;
  if (now === known || isUsed) return;
  known = now;
  const open = new Set([...el('groups').querySelectorAll('details[open]')].map((details) => details.dataset.id));
  el('groups').replaceChildren(...groups.map(groupItem));
  for (const details of el('groups').querySelectorAll('details')) details.open = open.has(details.dataset.id);
}

el('newgroup').addEventListener('submit', (event) => {
  event.preventDefault();
  const participants = el('members').value.split(/[\s,;]+/).map((number) => number.replace(/\D/g, '')).filter(Boolean);
  const body = { subject: el('subject').value.trim(), participants, announcement: el('announcement').checked };
  const made = call('POST', 'groups', body).then(() => event.target.reset());
  onGroup(made, 'Created.');
});

// Faults: what the page does not know of them stays as it is.

const FLAGS = ['drop_acks', 'drop_messages'];
const TARGETS = ['reject', 'disconnect'];
let faults = {};

function showFaults(now) {
  faults = now;
  for (const flag of FLAGS) el(flag).checked = now[flag];
  el('delay_ms').value = now.delay_ms;
  for (const target of TARGETS) {
    el(`${target}_number`).value = now[target]?.number ?? '';
    if (now[target]) el(`${target}_code`).value = now[target].code;
  }
}

function wanted() {
  const body = { ...faults, delay_ms: Number(el('delay_ms').value) };
  for (const flag of FLAGS) body[flag] = el(flag).checked;
  for (const target of TARGETS) {
    const number = el(`${target}_number`).value.replace(/\D/g, '');
    body[target] = number ? { number, code: Number(el(`${target}_code`).value) } : null;
  }
  return body;
}

const setFaults = (body, done) =>
  attempt(el('faultinfo'), call('PUT', 'faults', body).then((answer) => showFaults({ ...NO_FAULTS, ...answer.faults })), done);

const NO_FAULTS = { drop_acks: false, drop_messages: false, delay_ms: 0, reject: null, disconnect: null };

el('faults').addEventListener('submit', (event) => {
  event.preventDefault();
  setFaults(wanted(), 'Set.');
});
el('nofaults').addEventListener('click', () => setFaults({}, 'No faults.'));

async function refresh() {
  try {
    const [phones, groups] = await Promise.all([call('GET', 'phones'), call('GET', 'groups')]);
    list.replaceChildren(...phones.map(item));
    none.hidden = phones.length > 0;
    showGroups(groups);
  } catch {
    // The simulator does not answer; the next refresh tries again.
  }
}

el('open').addEventListener('submit', (event) => {
  event.preventDefault();
  const number = el('number').value.replace(/\D/g, '');
  if (number) location.href = new URL(`phone/${number}`, document.baseURI).href;
});

refresh();
call('GET', 'faults').then(showFaults, (error) => { el('faultinfo').textContent = error.message; });
setInterval(refresh, 2000);
