#!/usr/bin/env python3
"""Sends a text and a picture through the wagy API, then asks for the latest messages."""

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
        sys.exit("error: " + json.load(error)["message"])


text = call("POST", f"/{DEVICE}/send", {
    "phone": TO,
    "message": "Hello from Python",
})
print("text", text["data"]["message_id"])

media = call("POST", f"/{DEVICE}/send", {
    "phone": TO,
    "message": "A picture from Python",
    "media_url": MEDIA_URL,
    "media_type": "image",
})
print("media", media["data"]["message_id"])

answer = call("GET", f"/{DEVICE}/messages?limit=2")
print("status", answer["data"][0]["status"])
