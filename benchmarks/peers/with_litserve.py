"""Serve the bare function by LitServe: `python -m benchmarks.peers.with_litserve PORT`.

WEIGHTS: folder of the weights.
"""

import os
import sys
from pathlib import Path

import litserve
from fastapi import Response, UploadFile

from benchmarks.bare_cut_out import BareCutOut


class CutOut(litserve.LitAPI):
    """Takes a photo as an uploaded file and gives a PNG."""

    def setup(self, device: str) -> None:  # noqa: ARG002 - LitServe passes it
        """Load the networks once in each worker."""
        self._cut_out = BareCutOut(Path(os.environ["WEIGHTS"]))

    def decode_request(self, request: UploadFile) -> bytes:
        """Return the photo's bytes."""
        return request.file.read()

    def predict(self, photo: bytes) -> bytes:
        """Return the cut-out as a PNG."""
        return self._cut_out(photo)

    def encode_response(self, picture: bytes) -> Response:
        """Return the picture as the body."""
        return Response(picture, media_type="image/png")


if __name__ == "__main__":
    server = litserve.LitServer(
        CutOut(api_path="/inference"),
        accelerator="cpu",
        devices=1,
        workers_per_device=os.cpu_count() or 1,
        fast_queue=True,
    )
    server.run(
        host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", generate_client_file=False
    )
