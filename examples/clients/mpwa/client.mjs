// Sends a text and a picture through the mpwa API.

const {
  GERBANG_URL: URL,
  GERBANG_KEY: KEY,
  GERBANG_SENDER: SENDER,
  GERBANG_TO: TO,
  GERBANG_MEDIA_URL: MEDIA_URL,
} = process.env;

async function call(method, path, body) {
  const response = await fetch(URL + path, {
    method,
    headers: { 'Content-Type': 'application/json' },
    body: body && JSON.stringify(body),
  });
  const answer = await response.json();
  if (!response.ok) {
    console.error(`error: ${answer.msg}`);
    process.exit(1);
  }
  return answer;
}

const text = await call('POST', '/send-message', {
  api_key: KEY,
  sender: SENDER,
  number: TO,
  message: 'Hello from Node',
});
console.log('text', text.msg);

const media = await call('POST', '/send-media', {
  api_key: KEY,
  sender: SENDER,
  number: TO,
  media_type: 'image',
  url: MEDIA_URL,
  caption: 'A picture from Node',
});
console.log('media', media.msg);
