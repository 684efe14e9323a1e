// Sends a text and a picture through Gerbang's own API, then asks how the text fares.

const {
  GERBANG_URL: URL,
  GERBANG_KEY: KEY,
  GERBANG_DEVICE: DEVICE,
  GERBANG_TO: TO,
  GERBANG_MEDIA_URL: MEDIA_URL,
} = process.env;

async function call(method, path, body) {
  const response = await fetch(URL + path, {
    method,
    headers: { Authorization: `Bearer ${KEY}`, 'Content-Type': 'application/json' },
    body: body && JSON.stringify(body),
  });
  const answer = await response.json();
  if (!response.ok) {
    console.error(`error: ${answer.detail}`);
    process.exit(1);
  }
  return answer;
}

const text = await call('POST', '/v1/messages', {
  device: DEVICE,
  to: TO,
  text: 'Hello from Node',
});
console.log('text', text.id);

const media = await call('POST', '/v1/messages', {
  device: DEVICE,
  to: TO,
  media: {
    url: MEDIA_URL,
    caption: 'A picture from Node',
  },
});
console.log('media', media.id);

const answer = await call('GET', `/v1/messages/${text.id}`);
console.log('status', answer.status);
