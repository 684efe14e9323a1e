#!/usr/bin/env python3
"""Sends a text and a picture through Gerbang's own API, then asks how the text fares."""

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
        sys.exit("error: " + json.load(error)["detail"])


text = call("POST", "/v1/messages", {
    "device": DEVICE,
    "to": TO,
    "text": "Hello from Python",
})
print("text", text["id"])

media = call("POST", "/v1/messages", {
    "device": DEVICE,
    "to": TO,
    "media": {
        "url": MEDIA_URL,
        "caption": "A picture from Python",
    },
})
print("media", media["id"])

answer = call("GET", f"/v1/messages/{text['id']}")
print("status", answer["status"])
