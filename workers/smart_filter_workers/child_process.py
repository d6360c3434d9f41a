"""Run a stage in a child process that may die: a last attempt, or unproven weights.

The child loads, decodes and runs as the worker would. The worker kills it at its time limit,
and the kernel kills it when its parent dies. Both ends are the same program; they exchange
pickle over pipes that no other process holds.
"""

import contextlib
import importlib
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final

from smart_filter_shared.config.settings import Settings
from smart_filter_shared.db import sessions
from smart_filter_shared.errors import LeaseLost, Poison
from smart_filter_shared.jobs.queries import JobRow
from smart_filter_shared.queue.leases import Lease
from smart_filter_shared.storage.opening import open_store
from smart_filter_shared.telemetry import logs
from smart_filter_workers.artifacts.store import ArtifactStore
from smart_filter_workers.decoder.pool import DecoderPool
from smart_filter_workers.fetcher import Fetcher
from smart_filter_workers.models import catalog
from smart_filter_workers.models.cache import ModelCache
from smart_filter_workers.stages import registry
from smart_filter_workers.stock.tenant_backgrounds import TenantBackgrounds
from smart_filter_workers.system import memory, parent_death
from smart_filter_workers.system.lru_cache import LruCache
from smart_filter_workers.weights.trained_weights import TrainedWeights

# How often the worker looks whether the answer of a child is still needed.
_CHECK_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class ChildRequest:
    """A stage for the child to run.

    extra_models: names of modules with models besides those in the stages' own folders.
    inputs: the inputs of the stage; None: the child loads the job's.
    """

    settings: Settings
    extra_models: Sequence[str]
    lease: Lease
    job: JobRow | None
    inputs: object = None


@dataclass(frozen=True, slots=True)
class ChildResult:
    """The result of the child, or the error that it raised.

    seconds: the time in the stage's code.  loading_seconds: the time to load the inputs, also
    when that failed.
    """

    result: object = None
    seconds: float = 0.0
    loading_seconds: float = 0.0
    error: Exception | None = None


def run(
    request: ChildRequest, *, limit_seconds: float, canceled: threading.Event | None = None
) -> ChildResult:
    """Run a stage in a child.

    canceled: ends the child when it is set.
    Raises Poison when the child dies or exceeds its time limit, and LeaseLost when it was canceled.
    """
    what = f"{request.lease.stage} of job {request.lease.job_id}"
    command = f"from {__name__} import serve; serve()"
    ends_at = time.monotonic() + limit_seconds
    with (
        # In memory, because it holds secrets. Not a pipe: `communicate` takes input only once, and
        # a pipe would hold no more than 64 kB of it until the child reads.
        os.fdopen(os.memfd_create("request"), "w+b") as request_file,
        _start_child(command, request_file, request) as child,
    ):
        try:
            answered: bytes | None = None
            while answered is None:
                if canceled is not None and canceled.is_set():
                    raise LeaseLost(what)
                seconds_left = ends_at - time.monotonic()
                if seconds_left <= 0:
                    raise Poison(f"{what} outlasted {limit_seconds:g} s")
                with contextlib.suppress(subprocess.TimeoutExpired):
                    answered, _ = child.communicate(timeout=min(_CHECK_SECONDS, seconds_left))
        finally:
            child.kill()
    if child.returncode != 0:
        raise Poison(f"{what} ended its process with status {child.returncode}")
    answer: ChildResult = pickle.loads(answered)  # noqa: S301 - written by our own child
    return answer


def _start_child(
    command: str, request_file: BinaryIO, request: ChildRequest
) -> subprocess.Popen[bytes]:
    pickle.dump(request, request_file)
    request_file.seek(0)
    return subprocess.Popen(  # noqa: S603 - this very program
        # Not `-m`: what is pickled must name this module, and not `__main__`.
        [sys.executable, "-P", "-c", command, str(os.getpid())],
        cwd="/",
        stdin=request_file,
        stdout=subprocess.PIPE,
    )


def serve() -> None:
    """Answer one request as the child process."""
    parent_death.exit_with_parent(parent=int(sys.argv[1]))
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    # Keep the output of libraries out of the answer.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    logs.configure("worker")
    request: ChildRequest = pickle.load(sys.stdin.buffer)  # noqa: S301 - written by our own parent
    with answers:
        pickle.dump(_answer(request), answers)


def _answer(request: ChildRequest) -> ChildResult:
    discovered = catalog.discover_models(
        (importlib.import_module(name) for name in request.extra_models),
        research=request.settings.engine.research_weights,
        emotions=request.settings.engine.emotions,
    )
    memory_limit = memory.get_limit(request.settings.engine.memory_mb)
    store = open_store(request.settings.storage, connections=1)
    trained = TrainedWeights(request.settings.weights, store)
    models = ModelCache(
        discovered, request.settings.weights, memory_limit=memory_limit, trained=trained
    )
    engine = sessions.open_engine(request.settings.database, connections=1)
    nothing = LruCache(0)
    fetcher = Fetcher(request.settings.outbound)
    decoder = DecoderPool()
    backgrounds = TenantBackgrounds(engine, store, nothing)
    artifacts = ArtifactStore(store, nothing, backgrounds, fetcher, decoder)
    code = registry.get_stage(request.lease.stage)
    loading, loading_seconds = time.perf_counter(), 0.0
    try:
        inputs = request.inputs
        try:
            if request.job is not None:
                inputs = artifacts.load(request.job, code.Inputs)
        finally:
            loading_seconds = time.perf_counter() - loading
        loaded = models.for_stage(
            request.lease.models, request.lease.parameters, request.lease.digests
        )
        started = time.perf_counter()
        (result,) = code.run(loaded, [inputs])
    except Exception as error:  # noqa: BLE001 - the parent decides by its family
        return ChildResult(error=error, loading_seconds=loading_seconds)
    finally:
        decoder.close()
        engine.dispose()
    seconds = time.perf_counter() - started
    return ChildResult(result=result, seconds=seconds, loading_seconds=loading_seconds)
