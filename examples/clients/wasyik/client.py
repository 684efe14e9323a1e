#!/usr/bin/env python3
"""Sends a text and a picture through the wasyik API, then asks how the device is."""

import json
import os
import sys
from urllib.error import HTTPError
from urllib.request import Request, urlopen

URL = os.environ["GERBANG_URL"]
KEY = os.environ["GERBANG_KEY"]
DEVICE = os.environ["GERBANG_DEVICE"]
TO = os.environ["GERBANG_TO"]
MEDIA_URL = os.environ["GERBANG_MEDIA_URL"]


def call(method, path, body=None):
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    data = json.dumps(body).encode() if body else None
    try:
        with urlopen(Request(URL + path, data, headers, method=method)) as response:
            return json.load(response)
    except HTTPError as error:
        sys.exit("error: " + json.load(error)["data"]["message"])


text = call("POST", "/api/v2/messaging/whatsapp/send-text", {
    "accountId": DEVICE,
    "to": TO,
    "text": "Hello from Python",
})
print("text", text["data"]["messageId"])

media = call("POST", "/api/v2/messaging/whatsapp/message", {
    "accountId": DEVICE,
    "to": TO,
    "messageType": "image",
    "url": MEDIA_URL,
    "caption": "A picture from Python",
})
print("media", media["data"]["messageId"])

answer = call("GET", f"/api/v2/messaging/whatsapp/accounts/status?accountId={DEVICE}")
print("status", answer["data"]["whatsapp_status"])
