"""A worker process: threads that run turns, started by polls of the database and by rings."""

import contextlib
import queue
import signal
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import ModuleType

from sqlalchemy import Engine

from smart_filter_shared.artifacts.backends import Backends
from smart_filter_shared.config.settings import Settings
from smart_filter_shared.db import sessions
from smart_filter_shared.doorbell import Doorbell
from smart_filter_shared.errors import TryAgain
from smart_filter_shared.ids import new_worker_id
from smart_filter_shared.model_registry import published_models
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.storage.opening import open_store
from smart_filter_shared.telemetry.logs import logger
from smart_filter_shared.telemetry.tracing import NULL_TRACES, Traces
from smart_filter_workers.artifacts.content_credentials import CredentialSigner
from smart_filter_workers.artifacts.store import ArtifactStore
from smart_filter_workers.decoder.pool import DecoderPool
from smart_filter_workers.fetcher import Fetcher
from smart_filter_workers.learning.examples import ExampleCollector
from smart_filter_workers.maintenance.garbage_collector import GarbageCollector
from smart_filter_workers.maintenance.sweeper import Sweeper
from smart_filter_workers.models import catalog
from smart_filter_workers.models.cache import ModelCache
from smart_filter_workers.models.catalog import ModelCatalog
from smart_filter_workers.runtime import capabilities
from smart_filter_workers.runtime.bells.listener import BellListener, QueueSubscriptions
from smart_filter_workers.runtime.bells.stage_events import StageEvents
from smart_filter_workers.runtime.capabilities import CapabilitySetup
from smart_filter_workers.runtime.claiming.large_photos import LargePhotos
from smart_filter_workers.runtime.claiming.thread_share import ThreadShare
from smart_filter_workers.runtime.context import WorkerContext
from smart_filter_workers.runtime.counters import WorkerCounters
from smart_filter_workers.runtime.heartbeat import Heartbeat
from smart_filter_workers.runtime.shutdown import GracefulShutdown
from smart_filter_workers.runtime.tracing import BatchTracer
from smart_filter_workers.runtime.turns import Turns
from smart_filter_workers.runtime.weights_watch import WeightsWatch
from smart_filter_workers.stock.ingest import IncomingPictures
from smart_filter_workers.stock.tenant_backgrounds import TenantBackgrounds
from smart_filter_workers.system import resources
from smart_filter_workers.system.lru_cache import LruCache
from smart_filter_workers.weights.trained_weights import TrainedWeights

# A 12 MP photo takes 36 MB decoded: room for the photos that two threads have under way.
_CACHE_BYTES = 96 * 1024 * 1024
# For all threads: transactions are short compared with a stage. The polls hold one. The heartbeat
# has a connection of its own and never waits for one of these.
_SHARED_CONNECTIONS = 2 + 1
# A worker that serves nothing waits so long before it looks for served models again.
_WEIGHTS_POLL_SECONDS = 1.0
_log = logger("worker")


def serve(
    settings: Settings,
    *,
    stages: Sequence[StageName],
    models: Sequence[str] = (),
    threads: int,
    traces: Traces = NULL_TRACES,
    extra_models: Iterable[ModuleType] = (),
) -> None:
    """Run a worker until SIGTERM or SIGINT; work under way is finished first.

    stages: the stages to serve.  models: which of their leading models; all when empty.
    threads: how many stages run at once; download, decoding and upload overlap the forward pass.
    traces: receives the spans; closed at the end.
    A worker that can serve none of the stages reports `setup_failed`, claims nothing, and waits
    for weights or the stop signal.  Raises SetupFailed for unknown model names, and
    DatabaseUnavailable or DecoderUnavailable at the start.
    """
    resources.configure_malloc()
    resources.limit_native_threads()
    discovered = catalog.discover_models(
        extra_models,
        research=settings.engine.research_weights,
        emotions=settings.engine.emotions,
    )
    signer = CredentialSigner(settings.provenance)
    if StageName.COMPOSITE in stages:
        signer.ensure_works()
    parts = _wire(
        settings, discovered, stages, models, signer=signer, threads=threads, traces=traces
    )
    context = parts.context
    stopping = threading.Event()
    side_threads: list[threading.Thread] = []

    def begin(name: str, run: Callable[[threading.Event], None]) -> None:
        side_threads.append(threading.Thread(target=_run, args=(run, parts, stopping), name=name))
        side_threads[-1].start()

    context.heartbeat.beat()
    parts.sweeper.expire_ended()
    begin("Heartbeat", context.heartbeat.run)
    try:
        parts.setup.load(context.models)
        begin("Weights", parts.weights_watch.run)
        # Before it is announced: an operator may stop a worker that serves nothing.
        stop = _catch_stop_signals()
        with contextlib.suppress(TryAgain):  # the next heartbeat announces it
            context.heartbeat.announce()
        if not context.serving.able:
            _log.error("no_capability_served", failed=context.serving.failed)
            while not context.serving.able:  # until weights arrive
                if _is_stopped(stop, seconds=_WEIGHTS_POLL_SECONDS):
                    return
        parts.decoder.start()
        begin("Sweeper", parts.sweeper.run)
        begin("Retention", parts.retention.run)
        begin("Clearing", parts.retention.run_slow)
        begin("Pictures", parts.pictures.run)
        _log.info("worker_ready", capabilities=context.serving.capabilities, threads=threads)
        begin("Poll", parts.turns.run)
        parts.listener.start()
        _is_stopped(stop, seconds=None)
        parts.draining.drain_after_signal(context.heartbeat)
    finally:
        parts.listener.stop()
        parts.turns.close()
        stopping.set()
        for thread in side_threads:
            thread.join()
        parts.decoder.close()
        context.heartbeat.leave()
        traces.close()
        for engine in (context.engine, parts.beating):
            engine.dispose()
        context.doorbell.close()


@dataclass(frozen=True, slots=True)
class _Parts:
    """The parts that `serve` starts.  beating: the engine of the heartbeat's own connection."""

    context: WorkerContext
    beating: Engine
    decoder: DecoderPool
    setup: CapabilitySetup
    weights_watch: WeightsWatch
    sweeper: Sweeper
    retention: GarbageCollector
    pictures: IncomingPictures
    draining: GracefulShutdown
    turns: Turns
    listener: BellListener


@dataclass(frozen=True, slots=True)
class _IdleMemory:
    """The memory that an idle worker keeps only to be faster with the next photo."""

    recent: LruCache
    decoder: DecoderPool
    loaded: ModelCache

    def give_back(self) -> None:
        """Return it to the system."""
        self.recent.clear()
        self.decoder.end_spare()
        self.loaded.give_back()


def _wire(
    settings: Settings,
    discovered: ModelCatalog,
    stages: Sequence[StageName],
    models: Sequence[str],
    *,
    signer: CredentialSigner,
    threads: int,
    traces: Traces,
) -> _Parts:
    offers = [offer for offer in discovered.offers(settings.weights) if offer.card.stage in stages]
    beating = sessions.open_engine(
        settings.database, connections=1, statement_seconds=sessions.HEARTBEAT_SECONDS
    )
    shared = sessions.open_engine(settings.database, connections=_SHARED_CONNECTIONS)
    by_key = sessions.for_key_lookups(shared)
    with sessions.transaction(shared) as connection:
        published_models.publish(connection, offers)
    doorbell = Doorbell(settings.broker)
    store = open_store(settings.storage, connections=threads + 1)
    recent = LruCache(_CACHE_BYTES)
    decoder = DecoderPool()
    backgrounds = TenantBackgrounds(by_key, store, recent)
    fetcher = Fetcher(settings.outbound)
    worker = new_worker_id()
    memory_limit = resources.get_limit(settings.engine.memory_mb)
    trained = TrainedWeights(settings.weights, store)
    loaded = ModelCache(discovered, settings.weights, memory_limit=memory_limit, trained=trained)
    gpu_fault = resources.find_gpu_fault()
    demanded = gpu_fault if settings.engine.device == resources.GPU else None
    setup = capabilities.plan_capabilities(offers, stages=stages, models=models, gpu_fault=demanded)
    draining = GracefulShutdown(shared, doorbell, settings.engine, traces)
    subscriptions = QueueSubscriptions(setup.serving)
    heartbeat = Heartbeat(
        beating,
        settings.engine,
        worker=worker,
        serving=setup.serving,
        threads=threads,
        draining=draining.started,
        on_hang=lambda: draining.drain_after_failure(heartbeat),
        on_announced=subscriptions.follow,
    )
    context = WorkerContext(
        engine=by_key,
        doorbell=doorbell,
        artifacts=ArtifactStore(store, recent, backgrounds, fetcher, decoder),
        signer=signer,
        catalog=discovered,
        models=loaded,
        heartbeat=heartbeat,
        counters=WorkerCounters(),
        stage_events=StageEvents(
            settings.broker, worker, max_attempts=settings.engine.max_attempts
        ),
        thread_share=ThreadShare(threads, list_slow=decoder.list_slow_tenants),
        large_photos=LargePhotos(memory_limit),
        batch_tracer=BatchTracer(
            traces, worker, on_gpu=discovered.on_gpu if gpu_fault is None else frozenset()
        ),
        settings=settings,
        worker=worker,
        serving=setup.serving,
        draining=draining.started,
        extra_models=discovered.extra,
    )
    turns = Turns(context, shared, threads, _IdleMemory(recent, decoder, loaded).give_back)
    listener = BellListener(
        settings.broker,
        doorbell,
        turns,
        subscriptions,
        worker=worker,
        serving=setup.serving,
        threads=threads,
    )
    weights_watch = WeightsWatch(context, offers, stages=stages, models=models, gpu_fault=demanded)
    collecting = (
        ExampleCollector(shared, store, context.artifacts) if settings.engine.collect else None
    )
    retention = GarbageCollector(
        shared,
        store,
        collecting=collecting,
        record_seconds=settings.keep.record_seconds,
        audit_seconds=settings.keep.audit_seconds,
    )
    pictures = IncomingPictures(Backends(shared, store), decoder)
    sweeper = Sweeper(
        shared,
        doorbell,
        settings.engine,
        counters=context.counters,
        retention=retention,
        pictures=pictures,
    )
    return _Parts(
        context,
        beating,
        decoder,
        setup,
        weights_watch,
        sweeper,
        retention,
        pictures,
        draining,
        turns,
        listener,
    )


def _run(run: Callable[[threading.Event], None], parts: _Parts, stopping: threading.Event) -> None:
    """Run a part until `stopping` is set; if the part gives up before, end the process."""
    try:
        run(stopping)
    finally:
        if not stopping.is_set():
            heartbeat = parts.context.heartbeat
            # Without a heartbeat, leases would run out during a drain: return them at once.
            is_heartbeat = run == heartbeat.run
            parts.draining.drain_after_failure(heartbeat, seconds=0 if is_heartbeat else None)


def _catch_stop_signals() -> "queue.SimpleQueue[int]":
    """Return a queue that SIGTERM and SIGINT are put into from now on."""
    # Unlike an Event, it can be written by a handler that interrupts a reader of the same thread.
    stop: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _: stop.put(received))
    return stop


def _is_stopped(stop: "queue.SimpleQueue[int]", *, seconds: float | None) -> bool:
    """Return whether a stop signal has come, after waiting for it; None: until one comes."""
    try:
        stop.get(timeout=seconds)
    except queue.Empty:
        return False
    return True
