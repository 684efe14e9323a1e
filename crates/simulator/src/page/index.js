'use strict';

const list = document.getElementById('phones');
const none = document.getElementById('none');

function plural(count, one, many) {
  return `${count} ${count === 1 ? one : many}`;
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

async function refresh() {
  try {
    const response = await fetch('phones');
    if (!response.ok) return;
    const phones = await response.json();
    list.replaceChildren(...phones.map(item));
    none.hidden = phones.length > 0;
  } catch {
    // The simulator does not answer; the next refresh tries again.
  }
}

document.getElementById('open').addEventListener('submit', (event) => {
  event.preventDefault();
  const number = document.getElementById('number').value.replace(/\D/g, '');
  if (number) location.href = new URL(`phone/${number}`, document.baseURI).href;
});

refresh();
setInterval(refresh, 2000);
