"""A worker process: Celery's threads pool, answering rings for the stages it serves."""

import contextlib
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import ModuleType

from celery import Celery, signals
from celery.exceptions import SecurityWarning
from kombu.entity import Queue
from sqlalchemy import Engine

from smart_filter_shared.db import sessions
from smart_filter_shared.doorbell import RING, Doorbell, queue_of
from smart_filter_shared.errors import TryAgain
from smart_filter_shared.ids import Capability, new_worker_id
from smart_filter_shared.jobs import models as model_table
from smart_filter_shared.jobs.presence import CELL
from smart_filter_shared.jobs.retention import Keeping
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.settings import Settings
from smart_filter_shared.storage.objects import ObjectStore
from smart_filter_shared.telemetry.logs import logger
from smart_filter_shared.telemetry.tracing import UNTOLD, Traces
from smart_filter_workers import catalogue, devices, memory, native_threads, runner, serving
from smart_filter_workers.artifacts import Artifacts
from smart_filter_workers.catalogue import Catalogue
from smart_filter_workers.draining import Draining
from smart_filter_workers.fetcher import Fetcher
from smart_filter_workers.hearing import OPTIONS, Hearing
from smart_filter_workers.heartbeat import Heartbeat
from smart_filter_workers.learning.collecting import Collecting
from smart_filter_workers.learning.trying import Trying
from smart_filter_workers.listening import Listening
from smart_filter_workers.loaded import LoadedModels
from smart_filter_workers.recent import Recent
from smart_filter_workers.retention import Retention
from smart_filter_workers.services import Services
from smart_filter_workers.serving import Setup
from smart_filter_workers.stock.room import StockRoom
from smart_filter_workers.sweeper import Sweeper
from smart_filter_workers.tally import Tally
from smart_filter_workers.trails import Trails
from smart_filter_workers.trained import TrainedWeights

# A 12 MP photo takes 36 MB decoded: room for the photos that two threads have under way.
_CACHE_BYTES = 96 * 1024 * 1024
# Of all threads: transactions are short beside what a stage takes. The heartbeat has a connection
# of its own, so that it waits for none of them.
_SHARED_CONNECTIONS = 2
_log = logger("worker")


def serve(
    settings: Settings,
    *,
    stages: Sequence[StageName],
    models: Sequence[str] = (),
    threads: int,
    traces: Traces = UNTOLD,
    extra_models: Iterable[ModuleType] = (),
) -> None:
    """Run a worker until SIGTERM or SIGINT; work under way is finished first.

    stages: what it serves.  models: which of their leading models; all when empty.
    threads: how many stages it runs at once, overlapping download, decoding and upload with
    the forward pass.  traces: where it tells what it does; closed in the end.
    When it can serve none of them it says so, `setup_failed`, takes no work, and waits to be
    told to stop.  Raises SetupFailed for names of no models, DatabaseUnavailable at the start.
    """
    memory.return_pictures()
    native_threads.one_per_call()
    known = catalogue.find(extra_models, research=settings.engine.research_weights)
    parts = _wire(settings, known, stages, models, threads=threads, traces=traces)
    services = parts.services
    stopping = threading.Event()
    beside: list[threading.Thread] = []

    def begin(name: str, run: Callable[[threading.Event], None]) -> None:
        beside.append(threading.Thread(target=_run, args=(run, parts, stopping), name=name))
        beside[-1].start()

    services.heartbeat.beat()
    begin("Heartbeat", services.heartbeat.run)
    try:
        parts.setup.load(services.models)
        with contextlib.suppress(TryAgain):  # the next beat says it
            services.heartbeat.announce()
        if not services.serving.able:
            _log.error("nothing to serve", failed=services.serving.failed)
            _wait_to_be_stopped()
            return
        begin("Sweeper", parts.sweeper.run)
        begin("Retention", parts.retention.run)
        begin("Clearing", parts.retention.run_slow)
        _log.info("worker ready", capabilities=services.serving.capabilities, threads=threads)
        _consume(settings, parts, threads)
    finally:
        stopping.set()
        for thread in beside:
            thread.join()
        services.heartbeat.leave()
        traces.close()
        for engine in (services.engine, parts.beating):
            engine.dispose()
        services.doorbell.close()


@dataclass(frozen=True, slots=True)
class _Parts:
    """What `serve` starts.  beating: the connection of the heartbeat."""

    services: Services
    beating: Engine
    setup: Setup
    sweeper: Sweeper
    retention: Retention
    draining: Draining
    listening: Listening


def _wire(
    settings: Settings,
    known: Catalogue,
    stages: Sequence[StageName],
    models: Sequence[str],
    *,
    threads: int,
    traces: Traces,
) -> _Parts:
    offers = [one for one in known.offers(settings.weights) if one.card.stage in stages]
    beating = sessions.engine(settings.database, connections=1)
    shared = sessions.engine(settings.database, connections=_SHARED_CONNECTIONS)
    by_key = sessions.by_key(shared)
    with sessions.transaction(shared) as connection:
        model_table.publish(connection, offers)
    doorbell = Doorbell(settings.broker)
    store = ObjectStore(settings.storage, connections=threads + 1)
    recent = Recent(_CACHE_BYTES)
    worker = new_worker_id()
    room = memory.room(settings.engine.memory_mb)
    trained = TrainedWeights(settings.weights, store)
    loaded = LoadedModels(known, settings.weights, room=room, trained=trained)
    gpu_fault = devices.gpu_fault()
    demanded = gpu_fault if settings.engine.device == devices.GPU else None
    setup = serving.plan(offers, stages=stages, models=models, gpu_fault=demanded)
    draining = Draining(shared, doorbell, settings.engine, traces)
    listening = Listening(setup.serving)
    heartbeat = Heartbeat(
        beating,
        settings.engine,
        worker=worker,
        serving=setup.serving,
        threads=threads,
        draining=draining.begun,
        broker_answers=doorbell.answers,
        on_hang=lambda: draining.after_failure(heartbeat),
        on_change=listening.follow,
    )
    services = Services(
        engine=by_key,
        doorbell=doorbell,
        artifacts=Artifacts(
            store, recent, StockRoom(by_key, store, recent), Fetcher(settings.outbound)
        ),
        catalogue=known,
        models=loaded,
        heartbeat=heartbeat,
        tally=Tally(),
        trails=Trails(traces, worker, on_gpu=known.on_gpu if gpu_fault is None else frozenset()),
        trying=Trying(by_key, loaded, settings=settings, extra_models=known.extra),
        settings=settings,
        keeping=Keeping(settings.keep.input_seconds, settings.keep.result_seconds),
        worker=worker,
        serving=setup.serving,
        draining=draining.begun,
        extra_models=known.extra,
    )
    collecting = Collecting(shared, store, services.artifacts) if settings.engine.collect else None
    retention = Retention(
        shared,
        store,
        cell=CELL,
        collecting=collecting,
        record_seconds=settings.keep.record_seconds,
    )
    sweeper = Sweeper(
        shared, doorbell, settings.engine, tally=services.tally, retention=retention, cell=CELL
    )
    return _Parts(services, beating, setup, sweeper, retention, draining, listening)


def _run(run: Callable[[threading.Event], None], parts: _Parts, stopping: threading.Event) -> None:
    """Run a part until told to stop; when it gives up, have the process end."""
    try:
        run(stopping)
    finally:
        if not stopping.is_set():
            heartbeat = parts.services.heartbeat
            # Without a heartbeat leases run out while it drains: what runs is handed back at once.
            is_heartbeat = run == heartbeat.run
            parts.draining.after_failure(heartbeat, seconds=0 if is_heartbeat else None)


def _wait_to_be_stopped() -> None:
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.set())
    told.wait()


def _consume(settings: Settings, parts: _Parts, threads: int) -> None:
    """Hand this thread to Celery until it is told to stop."""
    services = parts.services
    served = services.serving.able
    celery = _celery(settings, served)

    @celery.task(name=RING)  # type: ignore[untyped-decorator]  # Celery ships no types
    def ring(capability: str) -> None:
        if not services.serving.serves_all:  # it was told so before this was connected
            parts.listening.follow()
        runner.run(services, Capability(capability))

    def drain(**_: object) -> None:
        parts.draining.after_signal(services.heartbeat)

    signals.worker_shutting_down.connect(drain, weak=False)
    with warnings.catch_warnings():
        # As root, which is whom containers run as, it advises against it: for the sake of
        # pickled messages, and ours are JSON.
        warnings.simplefilter("ignore", SecurityWarning)
        worker = celery.Worker(
            pool="threads",
            concurrency=threads,
            hostname=f"{services.worker}@%h",
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
            loglevel="WARNING",
            quiet=True,
        )
    parts.listening.begin(worker, served)
    worker.start()
    if worker.exitcode:  # it could not go on, which it has logged
        sys.exit(worker.exitcode)


def _celery(settings: Settings, served: Sequence[Capability]) -> Celery:
    celery = Celery("smart-filter-worker", set_as_current=False)
    queues = [Queue(queue_of(one), routing_key=queue_of(one)) for one in served]
    celery.conf.update(
        broker_url=settings.broker.url.get_secret_value(),
        broker_transport=Hearing,
        result_backend=None,
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        task_queues=queues,
        task_default_queue=queues[0].name,
        task_create_missing_queues=False,
        # A ring counts as held until its work is done: no worker takes what it has no thread for.
        task_acks_late=True,
        worker_prefetch_multiplier=1,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            **OPTIONS,
            "socket_timeout": 5,
            "socket_connect_timeout": 2,
            "socket_keepalive": True,
            "health_check_interval": 15,
        },
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_send_task_events=False,
    )
    return celery
