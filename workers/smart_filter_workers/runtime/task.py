"""A task: one lease on its way from the claim to the completion."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from smart_filter_shared.artifacts.retention import ArtifactKind
from smart_filter_shared.errors import RowUnreadable
from smart_filter_shared.jobs.queries import JobRow
from smart_filter_shared.pipeline import StageName, TaskName
from smart_filter_shared.queue.heads import QuickOnly
from smart_filter_shared.queue.leases import ImportedPhoto, Lease, StageOutcome
from smart_filter_shared.recipe import BackgroundKind
from smart_filter_workers.artifacts.store import StoredResult
from smart_filter_workers.decoder.turns import Requester
from smart_filter_workers.results import PreparedPhoto
from smart_filter_workers.runtime.tracing import BatchTrace


@dataclass(slots=True, eq=False)
class Task:
    """One lease that this process holds, and what its steps have made so far.

    overdue_at: when its work exceeds the time limit, on the monotonic clock.
    row: its job; None when this version cannot read the job or the stage.
    only: the rows that its thread could claim; None: all.
    photo: the photo, if this stage has imported it.
    seconds: how long its code ran.
    busy_seconds: how long a run-ahead stage kept its thread.
    loading_seconds: its share of the time to load models, which the next batch does not need.
    fetching_seconds: how long fetches from addresses that its job names, or the composing of its
        take, have kept its thread.
    is_read_again: whether stages of its job are left to read its result after this batch.
    trouble: the error code, if the work did not succeed.
    lost: set when the lease no longer holds.
    run_ahead_of: the task whose lease covers this one; None if this process holds its own lease.
    """

    lease: Lease
    overdue_at: float
    row: JobRow | None = None
    only: QuickOnly | None = None
    photo: ImportedPhoto | None = None
    inputs: object = None
    result: object = None
    stored: StoredResult | None = None
    seconds: float = 0.0
    busy_seconds: float = 0.0
    loading_seconds: float = 0.0
    fetching_seconds: float = 0.0
    is_read_again: bool = True
    trouble: str = ""
    trail: BatchTrace = field(default_factory=BatchTrace)
    lost: threading.Event = field(default_factory=threading.Event)
    run_ahead_of: "Task | None" = None

    @property
    def job(self) -> JobRow:
        """The job.  Raises RowUnreadable when this version cannot read its rows."""
        if self.row is None:
            lease = self.lease
            raise RowUnreadable(f"{lease.stage} of job {lease.job_id} is of a later version")
        return self.row

    @property
    def requester(self) -> Requester:
        """For whom its pictures are decoded."""
        tenant = self.job.tenant
        must_be_quick = self.only is not None and tenant not in self.only.quick
        return Requester(tenant, self.lost, must_be_quick=must_be_quick)

    @property
    def artifacts(self) -> dict[str, ArtifactKind]:
        """All objects that this task has stored."""
        stored = {} if self.stored is None else dict(self.stored.artifacts)
        return stored if self.photo is None else {**stored, self.photo.key: ArtifactKind.PHOTO}

    @property
    def lengths(self) -> dict[str, int]:
        """The lengths of these objects in bytes, by key."""
        stored = {} if self.stored is None else dict(self.stored.lengths)
        return stored if self.photo is None else {**stored, self.photo.key: self.photo.length}

    @property
    def fetches_background(self) -> bool:
        """Whether its inputs include a background that is fetched from an address."""
        is_composed = self.lease.stage == StageName.COMPOSITE
        return is_composed and self.job.recipe.background.kind == BackgroundKind.URL

    def outcome(self, digests: Mapping[TaskName, str | None]) -> StageOutcome:
        """Return the outcome of the stage; digests: of the weights that ran, by task."""
        row = {} if self.stored is None else self.stored.row
        photo = self.photo
        if photo is not None and isinstance(self.result, PreparedPhoto):
            megapixels = self.result.width * self.result.height / 1_000_000
            photo = replace(photo, megapixels=megapixels)
        return StageOutcome(
            self.lease,
            {**row, "digests": digests},
            self.seconds,
            self.artifacts,
            photo,
            fetching_seconds=self.fetching_seconds,
            lengths=self.lengths,
            run_ahead_of=None if self.run_ahead_of is None else self.run_ahead_of.lease.stage,
        )

    @contextmanager
    def measure_fetch(self, is_fetching: bool) -> Iterator[None]:  # noqa: FBT001 - named by the method
        """Add the time that the block takes, however it ends, if it fetches from an address."""
        started = time.monotonic()
        try:
            yield
        finally:
            if is_fetching:
                self.fetching_seconds += time.monotonic() - started
