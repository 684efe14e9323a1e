// Takes Gerbang's own webhooks and checks their signature as Standard Webhooks asks.

import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';

const { GERBANG_WEBHOOK_SECRET: SECRET, PORT = 8000 } = process.env;
const AGE_MAX_S = 5 * 60;

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

createServer(async (request, response) => {
  const body = Buffer.concat(await request.toArray());
  const isGood = isAuthentic(request.headers, body);
  console.log(isGood ? `accepted ${body}` : 'refused: the signature is wrong');
  response.writeHead(isGood ? 204 : 401).end();
}).listen(PORT);
