# Devices of whatsmeow, driven by the test that started them (crates/server/tests/processes/peers/mod.rs,
# which describes the lines that go in and out):
#
#   python peer.py ws://127.0.0.1:40000/ws/chat ROOT_KEY_IN_HEX COUNT WORKING_FOLDER
#
# whatsmeow has no setting for where it connects to and whom it trusts. Both are in its library once;
# a copy of the library in the working folder gets the simulator's.

import base64
import ctypes
import hashlib
import json
import os
import sys
import threading
import types
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

URL, ROOT_KEY, COUNT, FOLDER = sys.argv[1:]
BUILT_IN_URL = b"wss://web.whatsapp.com/ws/chat"
BUILT_IN_ROOT_KEY = bytes.fromhex("142375574d0a587166aae71ebe516437c4a28b73e3695c6ce1f7f9545da8ee6b")
KINDS = ("image", "video", "audio", "document", "sticker")


def patched_library():
    package = Path(find_spec("neonize").submodule_search_locations[0])
    library = next(package.glob("neonize-*.so"))
    code = library.read_bytes()
    url = URL.encode() + b"?"
    for old, new in [
        (BUILT_IN_URL, url.ljust(len(BUILT_IN_URL), b"-")),
        (BUILT_IN_ROOT_KEY, bytes.fromhex(ROOT_KEY)),
    ]:
        assert len(new) == len(old), f"not as long as {old}: {new}"
        assert code.count(old) == 1, f"not once in the library: {old}"
        code = code.replace(old, new)
    copy = Path(FOLDER) / library.name
    copy.write_bytes(code)
    return str(copy)


def load_patched():
    library, load = patched_library(), ctypes.CDLL
    ctypes.CDLL = lambda name, *rest, **named: load(
        library if "neonize" in str(name) else name, *rest, **named
    )
    # It guesses types of files, which the test names; it needs a library of the system.
    sys.modules["magic"] = types.ModuleType("magic")


load_patched()

from neonize.client import NewClient  # noqa: E402
from neonize.events import ConnectedEv, LoggedOutEv, MessageEv, StreamErrorEv  # noqa: E402
from neonize.proto.Neonize_pb2 import JID  # noqa: E402
from neonize.proto.waE2E import WAWebProtobufsE2E_pb2 as wa  # noqa: E402
from neonize.utils.enum import MediaType  # noqa: E402
from neonize.utils.jid import Jid2String, JIDToNonAD  # noqa: E402

printing = threading.Lock()
threads = ThreadPoolExecutor(32)


class Device:
    def __init__(self, index):
        self.index = index
        # What a power failure would lose need not be kept.
        unsynced = "_synchronous=OFF&_journal_mode=MEMORY&_busy_timeout=10000"
        database = f"{FOLDER}/{index}.db?{unsynced}&_foreign_keys=on&rest="
        self.has_started = threading.Event()
        self.client = client = NewClient(database, uuid=f"device-{index}")
        client.event.qr(lambda _, qr: self.started(qr.decode()))
        client.event(ConnectedEv)(lambda *_: self.report("open"))
        client.event(LoggedOutEv)(lambda *_: self.report("closed", reason="logged out"))
        client.event(StreamErrorEv)(lambda _, error: self.report("closed", reason=error.Code))
        client.event(MessageEv)(lambda _, message: self.in_background(self.receive, message))
        threading.Thread(target=self.guarded, args=(client.connect,), daemon=True).start()
        # neonize keeps its clients in maps without a lock: two that start at once end the process.
        self.has_started.wait()

    def started(self, qr):
        self.report("qr", qr=qr)
        self.has_started.set()

    def report(self, event, **details):
        with printing:
            print(json.dumps({"device": self.index, "event": event, **details}), flush=True)

    def guarded(self, work, *args):
        try:
            work(*args)
        except Exception as error:
            self.report("failed", error=repr(error))
            self.has_started.set()

    # Callbacks come on whatsmeow's own threads, which must not wait for it.
    def in_background(self, work, *args):
        threads.submit(self.guarded, work, *args)

    def obey(self, order):
        if "pair_by_code" in order:
            self.report("code", code=self.client.PairPhone(order["pair_by_code"], False))
        else:
            sent = self.client.send_message(jid(order["to"]), self.content(order))
            self.report("sent", id=sent.ID)

    def receive(self, event):
        source, message = event.Info.MessageSource, event.Message
        if message.HasField("documentWithCaptionMessage"):
            message = message.documentWithCaptionMessage.message
        text = message.conversation or message.extendedTextMessage.text
        kind = next((kind for kind in KINDS if message.HasField(f"{kind}Message")), None)
        if source.IsFromMe or not (text or kind):
            return
        details = {"id": event.Info.ID, "chat": shown(source.Chat), "from": shown(source.Sender)}
        if text:
            details["text"] = text
        if reply_to := message.extendedTextMessage.contextInfo.stanzaID:
            details["reply_to"] = reply_to
        if kind:
            details["media"] = self.opened(kind, message)
        self.report("message", **details)

    def opened(self, kind, message):
        file = getattr(message, f"{kind}Message")
        content = self.client.download_any(message)
        return {
            "kind": kind,
            "caption": file.caption,
            "mimetype": file.mimetype,
            "filename": file.fileName if kind == "document" else None,
            "sha256": hashlib.sha256(content).hexdigest(),
        }

    def content(self, order):
        if "media" in order:
            return self.uploaded(**order["media"])
        if "reply_to" not in order:
            return wa.Message(conversation=order["text"])
        quoted = order["reply_to"]
        context = wa.ContextInfo(
            stanzaID=quoted["id"],
            participant=quoted["from"],
            quotedMessage=wa.Message(conversation=quoted["text"]),
        )
        return wa.Message(
            extendedTextMessage=wa.ExtendedTextMessage(text=order["text"], contextInfo=context)
        )

    def uploaded(self, kind, mimetype, caption, filename=None, **content):
        uploaded = self.client.upload(
            base64.b64decode(content["base64"]), MediaType[f"Media{kind.capitalize()}"]
        )
        file = {
            "URL": uploaded.url,
            "directPath": uploaded.DirectPath,
            "mediaKey": uploaded.MediaKey,
            "fileEncSHA256": uploaded.FileEncSHA256,
            "fileSHA256": uploaded.FileSHA256,
            "fileLength": uploaded.FileLength,
            "mimetype": mimetype,
            "caption": caption,
        }
        if filename:
            file["fileName"] = filename
        return wa.Message(**{f"{kind}Message": file})


def jid(text):
    user, server = text.split("@")
    return JID(User=user, Server=server, Device=0, RawAgent=0, Integrator=0, IsEmpty=False)


def shown(jid):
    return Jid2String(JIDToNonAD(jid))


devices = [Device(index) for index in range(int(COUNT))]
for line in sys.stdin:
    order = json.loads(line)
    device = devices[order["device"]]
    device.in_background(device.obey, order)
os._exit(0)
