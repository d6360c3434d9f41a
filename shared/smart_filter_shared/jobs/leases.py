"""Leases: the right to run one stage of one job, and what is done under it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from smart_filter_shared.cards import TaskName
from smart_filter_shared.ids import BatchId, Capability, JobId, LeaseToken
from smart_filter_shared.jobs.retention import Kind
from smart_filter_shared.parameters import Parameters
from smart_filter_shared.pipeline import StageName


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to run one stage of one job until it is lost or given back.

    token: fences every later transition.  attempt: 1 for the first.  releases: how often
    the stage was handed back because infrastructure failed.
    mark: how far in virtual time its claim shows the queue to have come (fairness.py).
    models, parameters: by task, which model runs it and what was set for that model.
    digests: by task, the trained weights that a model runs with, of those that have any.
    shadows: by task, the weights that are tried beside them.
    album: the batch that the job is ranked in, if any.
    unreadable: what of its row this version cannot read, which is left out then; "": nothing.
    """

    job_id: JobId
    stage: StageName
    token: LeaseToken
    attempt: int
    releases: int
    mark: float
    capability: Capability
    models: Mapping[TaskName, str]
    parameters: Mapping[TaskName, Parameters]
    album: BatchId | None = None
    digests: Mapping[TaskName, str] = field(default_factory=dict)
    shadows: Mapping[TaskName, str] = field(default_factory=dict)
    unreadable: str = ""


@dataclass(frozen=True, slots=True)
class Brought:
    """A photo that `prepare` has brought from elsewhere.

    key: where it lies now.  digest: lower-case hex SHA-256 of its bytes.
    """

    key: str
    digest: str
    megapixels: float


@dataclass(frozen=True, slots=True)
class Done:
    """What a stage run ended with.

    result: JSON of numbers and of artifacts' keys; seconds: how long the stage's code ran.
    artifacts: the keys that it stored, and how long each kind is kept.
    photo: the job's, when the stage has brought it.
    fetching_seconds: how long addresses that the job names kept the thread; charged as well.
    """

    lease: Lease
    result: Mapping[str, object]
    seconds: float
    artifacts: Mapping[str, Kind]
    photo: Brought | None = None
    fetching_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Completion:
    """What a completion changed.

    ready: one entry for each row made ready.  lost: leases that somebody else has by now.
    """

    ready: list[Capability]
    succeeded: list[JobId]
    lost: list[Lease]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why something failed: a stable code, and a detail for people."""

    code: str
    title: str
    detail: str

    def as_json(self, stage: StageName | None) -> str:
        """Return it as the job's `error`; without a stage, to be completed by a statement."""
        told = {"code": self.code, "title": self.title, "detail": self.detail}
        return json.dumps(told if stage is None else {**told, "stage": stage})


UNAVAILABLE = Failure(
    "unavailable",
    "The service could not finish",
    "storage or database stayed away for too long; submit the photo again",
)

UNREADABLE = Failure(
    "unavailable",
    "The service could not finish",
    "a later version of the service wrote this job, and none of its workers took it; submit the "
    "photo again",
)

LATE = Failure(
    "deadline",
    "It could not be done in time",
    "its deadline passed while it waited; submit it again with a longer one",
)


def named(leases: Sequence[Lease]) -> dict[str, object]:
    """Return leases as the parallel arrays that the statements take."""
    return {
        "job_ids": [lease.job_id for lease in leases],
        "stages": [str(lease.stage) for lease in leases],
        "tokens": [lease.token for lease in leases],
    }
