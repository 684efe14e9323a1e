// Takes Gerbang's own webhooks, saves each photo that comes in, and answers it.

import { createHmac, timingSafeEqual } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';

const { GERBANG_URL: URL, GERBANG_KEY: KEY, GERBANG_WEBHOOK_SECRET: SECRET } = process.env;
const { PORT = 8000, FOLDER = '.' } = process.env;
const AGE_MAX_S = 5 * 60;
// The file cannot be had any more.
const OVER = [404, 410, 502];

function isAuthentic(headers, body) {
  const id = headers['webhook-id'];
  const timestamp = headers['webhook-timestamp'];
  if (!(Math.abs(Date.now() / 1000 - timestamp) < AGE_MAX_S)) return false;
  const key = Buffer.from(SECRET.replace('whsec_', ''), 'base64');
  const expected = createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest();
  // While a secret is being replaced there are several signatures.
  return (headers['webhook-signature'] ?? '').split(' ').some((signature) => {
    const [version, value] = signature.split(',');
    const given = Buffer.from(value ?? '', 'base64');
    return version === 'v1' && given.length === expected.length && timingSafeEqual(given, expected);
  });
}

async function answer(id, message) {
  const { url, reason } = message.media;
  if (!url) return console.log(`${message.id} has no file: ${reason}`);
  // The URL needs no key. It is valid from now on, also while the file is still on its way.
  const photo = await fetch(url);
  if (OVER.includes(photo.status)) return console.log(`${message.id} has no file: ${photo.status}`);
  if (!photo.ok) throw new Error(`the photo cannot be fetched: ${photo.status}`);
  const bytes = Buffer.from(await photo.arrayBuffer());
  await writeFile(`${FOLDER}/${message.id}.jpg`, bytes);
  const sent = await fetch(`${URL}/v1/messages`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${KEY}`,
      'content-type': 'application/json',
      // The same event may come twice; it is answered once.
      'idempotency-key': id,
    },
    body: JSON.stringify({
      device: message.device.id,
      to: message.group ?? message.from,
      text: `Thank you for the photo of ${bytes.length} bytes`,
      reply_to: message.whatsapp_id,
    }),
  });
  if (!sent.ok) throw new Error((await sent.json()).detail);
  console.log(`saved ${message.id}.jpg`);
}

createServer(async (request, response) => {
  const body = Buffer.concat(await request.toArray());
  if (!isAuthentic(request.headers, body)) {
    console.log('refused: the signature is wrong');
    return response.writeHead(401).end();
  }
  const event = JSON.parse(body);
  try {
    if (event.type === 'message.received' && event.data.kind === 'image') {
      await answer(request.headers['webhook-id'], event.data);
    }
    response.writeHead(204).end();
  } catch (error) {
    console.log(`error: ${error.message}`);
    // The event comes again.
    response.writeHead(500).end();
  }
}).listen(PORT);
