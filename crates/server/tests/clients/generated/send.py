"""Sends a message and lists messages with the client that was generated from the OpenAPI document."""
import json
import sys

from gerbang.api.messages import get_v1_messages, post_v1_messages
from gerbang.client import AuthenticatedClient
from gerbang.models.message_request import MessageRequest

base, key, device, to = sys.argv[1:]
client = AuthenticatedClient(base_url=base, token=key, raise_on_unexpected_status=True)
body = MessageRequest(device=device, to=to, text="from Python")
sent = post_v1_messages.sync(client=client, body=body)
listed = get_v1_messages.sync(client=client, direction="out")
found = next(message for message in listed.data if message.id == sent.id)
print(json.dumps({"id": sent.id, "text": found.text}))
