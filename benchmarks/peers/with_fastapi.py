"""Serve the bare function by FastAPI: `uvicorn benchmarks.peers.with_fastapi:app`.

WEIGHTS: folder of the weights.
"""

import os
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool

from benchmarks.bare_cut_out import BareCutOut

app = FastAPI()
_CUT_OUT = BareCutOut(Path(os.environ["WEIGHTS"]))


@app.post("/inference")
async def cut_out(request: Request) -> Response:
    """Return the cut-out of the body, a photo, as a PNG."""
    picture = await run_in_threadpool(_CUT_OUT, await request.body())
    return Response(picture, media_type="image/png")
