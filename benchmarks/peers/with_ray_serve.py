"""Serve the bare function by Ray Serve: `python -m benchmarks.peers.with_ray_serve PORT`.

WEIGHTS: folder of the weights.
"""

import asyncio
import os
import sys
from pathlib import Path

import ray
from ray import serve
from starlette.requests import Request
from starlette.responses import Response

from benchmarks.bare_cut_out import BareCutOut


@serve.deployment(num_replicas=os.cpu_count() or 1, max_ongoing_requests=4)
class CutOut:
    """Takes a photo as the body and gives a PNG."""

    def __init__(self) -> None:
        self._cut_out = BareCutOut(Path(os.environ["WEIGHTS"]))

    async def __call__(self, request: Request) -> Response:
        """Return the cut-out as a PNG."""
        picture = await asyncio.to_thread(self._cut_out, await request.body())
        return Response(picture, media_type="image/png")


if __name__ == "__main__":
    ray.init(include_dashboard=False)
    serve.start(
        http_options={"host": "127.0.0.1", "port": int(sys.argv[1])},
        logging_config={"enable_access_log": False},
    )
    serve.run(CutOut.bind(), route_prefix="/inference", blocking=True)  # type: ignore[attr-defined]  # ray has no types here
