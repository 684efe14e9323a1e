#!/usr/bin/env python3
"""Takes wagy's webhooks: answers the challenge of the registration and checks signatures."""

import hashlib
import hmac
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

PORT = int(os.environ.get("PORT", "8000"))


def is_authentic(body, signature):
    # The secret comes with the answer to the registration, after the challenge.
    secret = os.environ["GERBANG_WEBHOOK_SECRET"].encode()
    expected = hmac.new(secret, body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, signature)


class Receiver(BaseHTTPRequestHandler):
    def do_GET(self):
        challenge = parse_qs(urlsplit(self.path).query).get("challenge", [""])[0]
        self.answer(200, challenge)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not is_authentic(body, self.headers.get("X-Wagy-Signature", "")):
            print("refused: the signature is wrong", flush=True)
            return self.answer(401, "the signature is wrong")
        print("accepted", body.decode(), flush=True)
        self.answer(200, "ok")

    def answer(self, status, text):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("", PORT), Receiver).serve_forever()
