// Sends a text and a picture through the wachat API, then asks how the text fares.

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
    headers: { APIKey: KEY, 'Content-Type': 'application/json' },
    body: body && JSON.stringify(body),
  });
  const answer = await response.json();
  if (!response.ok) {
    // A parameter at fault is told in another shape than everything else.
    console.error(`error: ${answer.message ?? answer.detail[0].msg}`);
    process.exit(1);
  }
  return answer;
}

const text = await call('POST', '/wachat_api/1.0/message', {
  queue: DEVICE,
  destination: TO,
  message: 'Hello from Node',
});
console.log('text', text.data.ref_no);

const media = await call('POST', '/wachat_api/1.0/media', {
  queue: DEVICE,
  destination: TO,
  caption: 'A picture from Node',
  media_url: MEDIA_URL,
});
console.log('media', media.data.ref_no);

const answer = await call('GET', `/wachat_api/1.0/status/${text.data.ref_no}`);
console.log('status', answer.data.status);
