"""A run of a stage in a child process that may die of it: a last attempt, or unproven weights.

The child loads, decodes and runs as the worker would; it is killed when it outlasts its
limit, and by the kernel when its parent dies. Both ends are the same program and speak
pickle over pipes that nobody else holds.
"""

import importlib
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from smart_filter_shared.db import sessions
from smart_filter_shared.errors import Poison
from smart_filter_shared.jobs.leases import Lease
from smart_filter_shared.jobs.queries import JobRow
from smart_filter_shared.settings import Settings
from smart_filter_shared.storage.objects import ObjectStore
from smart_filter_shared.telemetry import logs
from smart_filter_workers import catalogue, lifeline, memory, stage_code
from smart_filter_workers.artifacts import Artifacts
from smart_filter_workers.fetcher import Fetcher
from smart_filter_workers.loaded import LoadedModels
from smart_filter_workers.recent import Recent
from smart_filter_workers.stock.room import StockRoom
from smart_filter_workers.trained import TrainedWeights


@dataclass(frozen=True, slots=True)
class Request:
    """What the child is asked to do.

    extra_models: names of modules with models beside those of the stages' own folders.
    inputs: of the stage; None: the child loads those of the job.
    """

    settings: Settings
    extra_models: Sequence[str]
    lease: Lease
    job: JobRow | None
    inputs: object = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What the child made, or what it raised.

    seconds: what the stage's code took.  loading_seconds: what its inputs took, also in vain.
    """

    result: object = None
    seconds: float = 0.0
    loading_seconds: float = 0.0
    error: Exception | None = None


def run(request: Request, *, limit_seconds: float) -> Answer:
    """Run a stage in a child.  Raises Poison when the child dies or outlasts its limit."""
    what = f"{request.lease.stage} of job {request.lease.job_id}"
    try:
        child = subprocess.run(  # noqa: S603 - this very program
            # Not `-m`: what is pickled must name this module, and not `__main__`.
            [sys.executable, "-c", f"from {__name__} import serve; serve()", str(os.getpid())],
            input=pickle.dumps(request),
            stdout=subprocess.PIPE,
            timeout=limit_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Poison(f"{what} outlasted {limit_seconds:g} s") from error
    if child.returncode != 0:
        raise Poison(f"{what} ended its process with status {child.returncode}")
    answer: Answer = pickle.loads(child.stdout)  # noqa: S301 - written by our own child
    return answer


def serve() -> None:
    """Be the child."""
    lifeline.tie(parent=int(sys.argv[1]))
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    # Whatever a library prints must not mix with the answer.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    logs.configure("worker")
    request: Request = pickle.load(sys.stdin.buffer)  # noqa: S301 - written by our own parent
    with answers:
        pickle.dump(_answer(request), answers)


def _answer(request: Request) -> Answer:
    known = catalogue.find(
        (importlib.import_module(name) for name in request.extra_models),
        research=request.settings.engine.research_weights,
    )
    room = memory.room(request.settings.engine.memory_mb)
    store = ObjectStore(request.settings.storage, connections=1)
    trained = TrainedWeights(request.settings.weights, store)
    models = LoadedModels(known, request.settings.weights, room=room, trained=trained)
    engine = sessions.engine(request.settings.database, connections=1)
    nothing = Recent(0)
    fetcher = Fetcher(request.settings.outbound)
    artifacts = Artifacts(store, nothing, StockRoom(engine, store, nothing), fetcher)
    code = stage_code.of(request.lease.stage)
    loading, loading_seconds = time.perf_counter(), 0.0
    try:
        inputs = request.inputs
        try:
            if request.job is not None:
                inputs = artifacts.load(request.job, code.Inputs)
        finally:
            loading_seconds = time.perf_counter() - loading
        loaded = models.of(request.lease.models, request.lease.parameters, request.lease.digests)
        started = time.perf_counter()
        (result,) = code.run(loaded, [inputs])
    except Exception as error:  # noqa: BLE001 - the parent decides by its family
        return Answer(error=error, loading_seconds=loading_seconds)
    finally:
        engine.dispose()
    seconds = time.perf_counter() - started
    return Answer(result=result, seconds=seconds, loading_seconds=loading_seconds)
