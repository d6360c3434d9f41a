"""A decoder child that an attacker owns: `python -m … SOCKET`; the picture says what it does.

A picture that is none of these is decoded.
"""

import json
import mmap
import os
import signal
import socket
import sys
import time

from smart_filter_workers.decoder import child

ANSWER: dict[str, object] = {
    "height": 2,
    "width": 2,
    "channels": 3,
    "format": "png",
    "exif_bytes": 0,
    "taken_at": None,
}
PIXELS = bytes(12)
KEPT: list[mmap.mmap] = []
# So large that its pixels are not copied.
LARGE = {"height": 2000, "width": 2000}
# Answers for a picture of 2×2 pixels, each with one lie.
FORGED = {
    b"more rows": {"height": 3},
    b"no rows": {"height": 0},
    b"negative": {"height": -2, "width": -2},
    b"too many": {"height": 50_000_000, "width": 2},
    b"huge number": {"height": 1 << 70},
    b"fraction": {"height": 2.0},
    b"text": {"height": "2"},
    b"four channels": {"channels": 4},
    b"other format": {"format": "../../secret"},
    b"exif": {"exif_bytes": 1 << 30},
    b"time": {"taken_at": "now"},
    b"more fields": {"more": 1},
}


def main() -> None:
    with socket.socket(fileno=int(sys.argv[1])) as parent:
        parent.sendall(b'{"missing": ["all locks"]}\n')
        while True:
            request, files, _, _ = socket.recv_fds(parent, 4096, 1)
            if not request:
                return
            parent.sendall(_answer(json.loads(request), files[0]))


def _answer(request: dict[str, object], file: int) -> bytes:
    content = os.pread(file, int(str(request["bytes"])), 0)[:64]
    if content in FORGED:
        os.ftruncate(file, 0)
        os.pwrite(file, PIXELS, 0)
        return json.dumps(ANSWER | FORGED[content]).encode() + b"\n"
    match content:
        case b"crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        case b"exit":
            sys.exit(0)
        case b"hang":
            time.sleep(1000)
        case b"not json":
            return b"\x80\x04K\x01.\n"
        case b"endless":
            return b"x" * 100_000
        case b"two answers":
            return b"{}\n{}\n"
        case b"keeps writing":
            os.ftruncate(file, LARGE["height"] * LARGE["width"] * 3)
            KEPT.append(mmap.mmap(file, 12))
            return json.dumps(ANSWER | LARGE).encode() + b"\n"
    return json.dumps(child.answer(request, file)).encode() + b"\n"


if __name__ == "__main__":
    main()
