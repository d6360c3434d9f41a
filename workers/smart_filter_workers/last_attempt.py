"""Run the last attempt of a stage in a child process, which may die.

The child loads, decodes and runs as the worker would. The worker kills it at its time limit.
"""

import importlib
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from smart_filter_shared.child_processes import serving
from smart_filter_shared.child_processes.python_child import ChildDied, Limit, PythonChild
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
from smart_filter_workers.system import resources
from smart_filter_workers.system.lru_cache import LruCache
from smart_filter_workers.weights.trained_weights import TrainedWeights

# What libraries print goes to the worker's log.
_STANDARD_ERROR: Final = 2


@dataclass(frozen=True, slots=True)
class ChildRequest:
    """A stage for the child to run.

    extra_models: names of modules with models besides those in the stages' own folders.
    """

    settings: Settings
    extra_models: Sequence[str]
    lease: Lease
    job: JobRow


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


def run(request: ChildRequest, *, limit_seconds: float, canceled: threading.Event) -> ChildResult:
    """Run a stage in a child.

    canceled: ends the child when it is set.
    Raises Poison when the child dies or exceeds its time limit, and LeaseLost when it was canceled.
    """
    what = f"{request.lease.stage} of job {request.lease.job_id}"

    def check() -> None:
        if canceled.is_set():
            raise LeaseLost(what)

    with PythonChild(f"{__name__}:serve", output=_STANDARD_ERROR) as child:
        try:
            answer = child.ask(request, Limit.after(limit_seconds, check))
        except TimeoutError as error:
            raise Poison(f"{what} outlasted {limit_seconds:g} s") from error
        except ChildDied as error:
            raise Poison(f"{what} ended its process with {error}") from error
    assert isinstance(answer, ChildResult)  # as `serve` answers
    return answer


def serve(parent: socket.socket) -> None:
    """Answer one request as the child process."""
    logs.configure("worker")
    for request in serving.read_questions(parent):
        serving.send_answer(parent, _answer(request))


def _answer(request: ChildRequest) -> ChildResult:
    discovered = catalog.discover_models(
        (importlib.import_module(name) for name in request.extra_models),
        research=request.settings.engine.research_weights,
        emotions=request.settings.engine.emotions,
    )
    memory_limit = resources.get_limit(request.settings.engine.memory_mb)
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
        try:
            inputs: object = artifacts.load(request.job, code.Inputs)
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
