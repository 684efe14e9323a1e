// Sends a text and a picture through the wasyik API, then asks how the device is.

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
    console.error(`error: ${answer.data.message}`);
    process.exit(1);
  }
  return answer;
}

const text = await call('POST', '/api/v2/messaging/whatsapp/send-text', {
  accountId: DEVICE,
  to: TO,
  text: 'Hello from Node',
});
console.log('text', text.data.messageId);

const media = await call('POST', '/api/v2/messaging/whatsapp/message', {
  accountId: DEVICE,
  to: TO,
  messageType: 'image',
  url: MEDIA_URL,
  caption: 'A picture from Node',
});
console.log('media', media.data.messageId);

const answer = await call('GET', `/api/v2/messaging/whatsapp/accounts/status?accountId=${DEVICE}`);
console.log('status', answer.data.whatsapp_status);
