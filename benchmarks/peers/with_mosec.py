"""Serve the bare function by Mosec: `python -m benchmarks.peers.with_mosec --port PORT`.

WEIGHTS: folder of the weights.
"""

import os
from pathlib import Path

from mosec import Server, Worker

from benchmarks.bare_cut_out import BareCutOut


class CutOut(Worker):
    """Takes a photo's bytes and gives a PNG's bytes."""

    req_mime_type = "image/jpeg"
    resp_mime_type = "image/png"

    def __init__(self) -> None:
        super().__init__()
        self._cut_out = BareCutOut(Path(os.environ["WEIGHTS"]))

    def deserialize(self, data: bytes) -> bytes:
        """Return the body as it is."""
        return data

    def serialize(self, data: bytes) -> bytes:
        """Return the picture as it is."""
        return data

    def forward(self, data: bytes) -> bytes:
        """Return the cut-out as a PNG."""
        return self._cut_out(data)


if __name__ == "__main__":
    server = Server()
    server.append_worker(CutOut, num=os.cpu_count() or 1)
    server.run()
