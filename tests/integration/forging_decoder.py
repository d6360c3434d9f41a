"""A decoder child that an attacker owns: a picture says what it does.

A picture that is none of these is decoded.
"""

import json
import os
import signal
import socket
import sys
import time

from smart_filter_workers.decoder import child
from smart_filter_workers.decoder.answers import MESSAGE_BYTES, pack_message

ANSWER: dict[str, object] = {
    "height": 2,
    "width": 2,
    "channels": 3,
    "alpha": False,
    "format": "png",
    "exif_bytes": 0,
    "taken_at": None,
    "quantum": None,
}
PIXELS = bytes(12)
# Answers for a picture of 2×2 pixels, each with one lie.
FORGED = {
    b"no rows": {"height": 0},
    b"negative": {"height": -2, "width": -2},
    b"too many": {"height": 50_000_000, "width": 2},
    b"huge number": {"height": 1 << 70},
    b"fraction": {"height": 2.0},
    b"text": {"height": "2"},
    b"four channels": {"channels": 4},
    b"alpha of a number": {"alpha": 1},
    b"other format": {"format": "../../secret"},
    b"exif": {"exif_bytes": 1 << 30},
    b"time": {"taken_at": "now"},
    b"more fields": {"more": 1},
}


def serve(parent: socket.socket) -> None:
    with parent.makefile("rb") as reader:
        parent.sendall(pack_message({"missing": ["all locks"]}))
        while message := reader.read(MESSAGE_BYTES):
            request = json.loads(message)
            content = reader.read(request["bytes"])
            lie = _lie(content)
            for part in child.answer(request, content) if lie is None else [lie]:
                parent.sendall(part)


def _lie(content: bytes) -> bytes | None:
    """Return the forged answer that a picture asks for; None for a true one."""
    if content in FORGED:
        return pack_message(ANSWER | FORGED[content]) + PIXELS
    match content:
        case b"crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        case b"exit":
            sys.exit(0)
        case b"hang":
            time.sleep(1000)
        case b"fewer pixels":
            return pack_message(ANSWER) + PIXELS[1:]
        case b"not json":
            return b"\x80\x04K\x01.\n".ljust(MESSAGE_BYTES)
        case b"endless":
            return b"x" * 100_000
        case b"two answers":
            return b"{}\n{}\n".ljust(MESSAGE_BYTES)
    return None
