"""Serve the bare function by BentoML: `bentoml serve benchmarks.peers.with_bentoml:CutOut`.

WEIGHTS: folder of the weights.
"""

import os
from pathlib import Path
from typing import Annotated

import bentoml
from bentoml.validators import ContentType

from benchmarks.bare_cut_out import BareCutOut


@bentoml.service(workers="cpu_count", logging={"access": {"enabled": False}})
class CutOut:
    """Takes a photo as the body and gives a PNG."""

    def __init__(self) -> None:
        self._cut_out = BareCutOut(Path(os.environ["WEIGHTS"]))

    @bentoml.api(route="/inference")
    def cut_out(
        self, photo: Annotated[Path, ContentType("image/jpeg")], /
    ) -> Annotated[bytes, ContentType("image/png")]:
        """Return the cut-out as a PNG."""
        return self._cut_out(photo.read_bytes())
