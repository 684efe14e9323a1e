#!/usr/bin/env python3
"""Takes Gerbang's own webhooks, saves each photo that comes in, and answers it."""

import base64
import hashlib
import hmac
import json
import os
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

URL, KEY = os.environ["GERBANG_URL"], os.environ["GERBANG_KEY"]
SECRET = os.environ["GERBANG_WEBHOOK_SECRET"]
PORT, FOLDER = int(os.environ.get("PORT", "8000")), os.environ.get("FOLDER", ".")
AGE_MAX_S = 5 * 60
# The file cannot be had any more.
OVER = (404, 410, 502)


def is_authentic(headers, body):
    timestamp = headers.get("webhook-timestamp", "")
    if not timestamp.isdigit() or abs(time.time() - int(timestamp)) > AGE_MAX_S:
        return False
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    signed = f"{headers.get('webhook-id')}.{timestamp}.".encode() + body
    mac = hmac.new(key, signed, hashlib.sha256).digest()
    expected = "v1," + base64.b64encode(mac).decode()
    # While a secret is being replaced there are several signatures.
    given = headers.get("webhook-signature", "").split()
    return any(hmac.compare_digest(one.encode(), expected.encode()) for one in given)


def answer(event_id, message):
    url = message["media"]["url"]
    if url is None:
        return print(f"{message['id']} has no file: {message['media']['reason']}", flush=True)
    try:
        # The URL needs no key. It is valid from now on, also while the file is still on its way.
        with urllib.request.urlopen(url) as photo:
            content = photo.read()
    except urllib.error.HTTPError as error:
        if error.code not in OVER:
            raise
        return print(f"{message['id']} has no file: {error.code}", flush=True)
    with open(f"{FOLDER}/{message['id']}.jpg", "wb") as file:
        file.write(content)
    body = {
        "device": message["device"]["id"],
        "to": message["group"] or message["from"],
        "text": f"Thank you for the photo of {len(content)} bytes",
        "reply_to": message["whatsapp_id"],
    }
    headers = {
        "Authorization": f"Bearer {KEY}",
        "Content-Type": "application/json",
        # The same event may come twice; it is answered once.
        "Idempotency-Key": event_id,
    }
    request = urllib.request.Request(f"{URL}/v1/messages", json.dumps(body).encode(), headers)
    urllib.request.urlopen(request).close()
    print(f"saved {message['id']}.jpg", flush=True)


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not is_authentic(self.headers, body):
            print("refused: the signature is wrong", flush=True)
            return self.end(401)
        event = json.loads(body)
        try:
            if event["type"] == "message.received" and event["data"]["kind"] == "image":
                answer(self.headers["webhook-id"], event["data"])
        except OSError as error:
            print(f"error: {error}", flush=True)
            # The event comes again.
            return self.end(500)
        self.end(204)

    def end(self, status):
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("", PORT), Receiver).serve_forever()
