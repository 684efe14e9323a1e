// Sends a text and a picture through the wagate API, then asks for the latest messages.

const {
  GERBANG_URL: URL,
  GERBANG_KEY: KEY,
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
    console.error(`error: ${answer.message}`);
    process.exit(1);
  }
  return answer;
}

const text = await call('POST', '/api/v1/send-message', {
  recipient: TO,
  message: 'Hello from Node',
});
console.log('text', text.data.message_id);

const media = await call('POST', '/api/v1/send-media', {
  recipient: TO,
  media_url: MEDIA_URL,
  media_type: 'image',
  caption: 'A picture from Node',
});
console.log('media', media.data.message_id);

const answer = await call('GET', '/api/v1/messages?limit=2');
console.log('status', answer.data[0].status);
