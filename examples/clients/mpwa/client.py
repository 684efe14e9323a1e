#!/usr/bin/env python3
"""Sends a text and a picture through the mpwa API."""

import json
import os
import sys
from urllib.error import HTTPError
from urllib.request import Request, urlopen

URL = os.environ["GERBANG_URL"]
KEY = os.environ["GERBANG_KEY"]
SENDER = os.environ["GERBANG_SENDER"]
TO = os.environ["GERBANG_TO"]
MEDIA_URL = os.environ["GERBANG_MEDIA_URL"]


def call(method, path, body=None):
    headers = {"Content-Type": "application/json"}
    data = json.dumps(body).encode() if body else None
    try:
        with urlopen(Request(URL + path, data, headers, method=method)) as response:
            return json.load(response)
    except HTTPError as error:
        sys.exit("error: " + json.load(error)["msg"])


text = call("POST", "/send-message", {
    "api_key": KEY,
    "sender": SENDER,
    "number": TO,
    "message": "Hello from Python",
})
print("text", text["msg"])

media = call("POST", "/send-media", {
    "api_key": KEY,
    "sender": SENDER,
    "number": TO,
    "media_type": "image",
    "url": MEDIA_URL,
    "caption": "A picture from Python",
})
print("media", media["msg"])
