"""A worker of the face stage in the test's own thread, whose model finds no face."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType

import numpy as np

from smart_filter_shared.catalog.model_card import ModelCard
from smart_filter_shared.config.settings import Settings
from smart_filter_shared.ids import JobId, Tenant
from smart_filter_shared.jobs.photo_queue import WORKER
from smart_filter_shared.pipeline import LEADING_TASK
from smart_filter_shared.queue.leases import StageOutcome
from smart_filter_shared.recipe import Output, Recipe
from smart_filter_shared.results import Face
from smart_filter_shared.telemetry.tracing import NULL_TRACES
from smart_filter_tests.bench import TENANT, Bench
from smart_filter_tests.stages import FACE, PREPARE
from smart_filter_workers import process as worker_process
from smart_filter_workers.artifacts.content_credentials import CredentialSigner
from smart_filter_workers.models import catalog
from smart_filter_workers.results import PreparedPhoto, Srgb8
from smart_filter_workers.runtime.bells.listener import BellListener
from smart_filter_workers.runtime.context import WorkerContext
from smart_filter_workers.runtime.turns import Turns


@dataclasses.dataclass(slots=True)
class FaceWorker:
    """meanwhile: functions that the next runs of the model call, the last one first.

    turns, listener: neither polls nor listens before the test starts it.
    """

    bench: Bench
    context: WorkerContext
    turns: Turns
    listener: BellListener
    meanwhile: list[Callable[[], None]]

    def submit(self, *, tenant: Tenant = TENANT) -> JobId:
        """Write a job whose photo is prepared and whose face stage is ready."""
        job_id = self.bench.submit(Recipe(outputs=(Output.FACES,)), tenant=tenant)
        lease = self.bench.claim_one(PREPARE)
        result = PreparedPhoto(8, 8, "jpg", proxy_srgb=np.zeros((8, 8, 3), np.uint8))
        job = self.bench.job(job_id, tenant=tenant)
        kept = self.context.artifacts.store(job, lease, result)
        done = StageOutcome(lease, {**kept.row, "digests": {}}, 0.1, kept.artifacts)
        self.bench.work(WORKER.complete, [done])
        return job_id


@contextmanager
def start(
    bench: Bench, *, threads: int = 1, settings: Settings | None = None
) -> Iterator[FaceWorker]:
    """Wire a worker as its process does, whose threads are the test's.

    threads: how many may call its runner.  settings: of the process; None: the bench's.
    """
    meanwhile: list[Callable[[], None]] = []
    parts = worker_process._wire(  # noqa: SLF001 - a worker whose parts the test starts
        settings or bench.settings,
        catalog.discover_models([_finds_no_face(meanwhile)]),
        [FACE],
        ["bench"],
        signer=CredentialSigner(bench.settings.provenance),
        threads=threads,
        traces=NULL_TRACES,
    )
    parts.setup.load(parts.context.models)
    try:
        yield FaceWorker(bench, parts.context, parts.turns, parts.listener, meanwhile)
    finally:
        parts.listener.stop()
        parts.turns.close()
        for engine in (parts.context.engine, parts.beating):
            engine.dispose()
        parts.context.doorbell.close()


def _finds_no_face(meanwhile: list[Callable[[], None]]) -> ModuleType:
    def no_face(batch: Sequence[Srgb8], _proposals: object) -> list[tuple[Face, ...]]:
        if meanwhile:
            meanwhile.pop()()
        return [() for _ in batch]

    made = ModuleType("finds_no_face")
    card = ModelCard(
        name="bench",
        version="1",
        task=LEADING_TASK[FACE],
        family="bench",
        title="Finds no face",
        source="the tests",
        license="Apache-2.0",
        data_terms="",
    )
    vars(made).update(CARD=card, load=lambda _: no_face)
    return made
