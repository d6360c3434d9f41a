"""What a worker does besides stages, on the bench's servers: sweeps, garbage, tenants' pictures."""

from typing import Any

from smart_filter_shared.artifacts.backends import Backends
from smart_filter_tests.bench import Bench
from smart_filter_tests.unlocked_decoders import UnlockedDecoders
from smart_filter_workers.maintenance.garbage_collector import GarbageCollector
from smart_filter_workers.maintenance.sweeper import Sweeper
from smart_filter_workers.runtime.counters import WorkerCounters
from smart_filter_workers.stock.ingest import Decoders, IncomingPictures


def collector(bench: Bench, **options: Any) -> GarbageCollector:  # noqa: ANN401 - its own
    return GarbageCollector(bench.worker_engine, bench.store, **options)


def incoming_pictures(bench: Bench, decoders: Decoders | None = None) -> IncomingPictures:
    servers = Backends(bench.worker_engine, bench.store)
    return IncomingPictures(servers, decoders or UnlockedDecoders())


def sweeper(bench: Bench, counters: WorkerCounters | None = None, **settings: float) -> Sweeper:
    """Make a sweeper with the bench's settings, except these."""
    return Sweeper(
        bench.worker_engine,
        bench.doorbell,
        bench.settings.engine.model_copy(update=settings),
        counters=counters or WorkerCounters(),
        retention=collector(bench),
        pictures=incoming_pictures(bench),
    )
