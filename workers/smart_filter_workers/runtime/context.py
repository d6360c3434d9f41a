"""The services of a worker process, passed on as one value."""

import threading
from dataclasses import dataclass

from sqlalchemy import Engine

from smart_filter_shared.config.settings import Settings
from smart_filter_shared.doorbell import Doorbell
from smart_filter_shared.ids import WorkerId
from smart_filter_workers.artifacts.content_credentials import CredentialSigner
from smart_filter_workers.artifacts.store import ArtifactStore
from smart_filter_workers.models.cache import ModelCache
from smart_filter_workers.models.catalog import ModelCatalog
from smart_filter_workers.runtime.bells.stage_events import StageEvents
from smart_filter_workers.runtime.capabilities import ServedCapabilities
from smart_filter_workers.runtime.claiming.large_photos import LargePhotos
from smart_filter_workers.runtime.claiming.thread_share import ThreadShare
from smart_filter_workers.runtime.counters import WorkerCounters
from smart_filter_workers.runtime.heartbeat import Heartbeat
from smart_filter_workers.runtime.tracing import BatchTracer


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """The services of a worker process.

    thread_share: which tenants its threads may claim for.
    large_photos: which threads may work on large photos.
    serving: the capabilities it claims from.  draining: set when it should claim no more.
    extra_models: modules with models besides those in the stages' own folders.
    """

    engine: Engine
    doorbell: Doorbell
    artifacts: ArtifactStore
    signer: CredentialSigner
    catalog: ModelCatalog
    models: ModelCache
    heartbeat: Heartbeat
    counters: WorkerCounters
    stage_events: StageEvents
    thread_share: ThreadShare
    large_photos: LargePhotos
    batch_tracer: BatchTracer
    settings: Settings
    worker: WorkerId
    serving: ServedCapabilities
    draining: threading.Event
    extra_models: tuple[str, ...]
