"""What a worker process works with, as one value that is passed on."""

import threading
from dataclasses import dataclass

from sqlalchemy import Engine

from smart_filter_shared.doorbell import Doorbell
from smart_filter_shared.ids import WorkerId
from smart_filter_shared.jobs.retention import Keeping
from smart_filter_shared.settings import Settings
from smart_filter_workers.artifacts import Artifacts
from smart_filter_workers.catalogue import Catalogue
from smart_filter_workers.heartbeat import Heartbeat
from smart_filter_workers.learning.trying import Trying
from smart_filter_workers.loaded import LoadedModels
from smart_filter_workers.serving import Serving
from smart_filter_workers.tally import Tally
from smart_filter_workers.trails import Trails


@dataclass(frozen=True, slots=True)
class Services:
    """What a worker process works with.

    trying: weights that are tried beside those that count.
    serving: the capabilities it claims from.  draining: set when it should claim no more.
    extra_models: modules with models beside those of the stages' own folders.
    """

    engine: Engine
    doorbell: Doorbell
    artifacts: Artifacts
    catalogue: Catalogue
    models: LoadedModels
    heartbeat: Heartbeat
    tally: Tally
    trails: Trails
    trying: Trying
    settings: Settings
    keeping: Keeping
    worker: WorkerId
    serving: Serving
    draining: threading.Event
    extra_models: tuple[str, ...]
