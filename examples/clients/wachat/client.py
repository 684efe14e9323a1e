#!/usr/bin/env python3
"""Sends a text and a picture through the wachat API, then asks how the text fares."""

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


def error_message(answer):
    # A parameter at fault has another error shape than everything else.
    return answer["message"] if "message" in answer else answer["detail"][0]["msg"]


def call(method, path, body=None):
    headers = {"APIKey": KEY, "Content-Type": "application/json"}
    data = json.dumps(body).encode() if body else None
    try:
        with urlopen(Request(URL + path, data, headers, method=method)) as response:
            return json.load(response)
    except HTTPError as error:
        sys.exit("error: " + error_message(json.load(error)))


text = call("POST", "/wachat_api/1.0/message", {
    "queue": DEVICE,
    "destination": TO,
    "message": "Hello from Python",
})
print("text", text["data"]["ref_no"])

media = call("POST", "/wachat_api/1.0/media", {
    "queue": DEVICE,
    "destination": TO,
    "caption": "A picture from Python",
    "media_url": MEDIA_URL,
})
print("media", media["data"]["ref_no"])

answer = call("GET", f"/wachat_api/1.0/status/{text['data']['ref_no']}")
print("status", answer["data"]["status"])
