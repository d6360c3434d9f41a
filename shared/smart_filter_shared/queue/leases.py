"""Leases (the right to run one stage of one job), and the outcomes of stage runs."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NewType, TypeAlias

from smart_filter_shared.artifacts.retention import ArtifactKind
from smart_filter_shared.ids import BatchId, Capability, JobId, LeaseToken
from smart_filter_shared.pipeline import StageName

# JSON objects of the code that submits and runs the stages: Any, as the queue only stores them.
Payload: TypeAlias = Mapping[Any, Any]
# The models that a claimer runs stages with: JSON objects of task, name and fingerprint. A claim
# takes nothing while a task and name are published with another fingerprint.
VersionGuard = NewType("VersionGuard", str)
NO_GUARD = VersionGuard("[]")


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to run one stage of one job until the lease expires or is given back.

    token: fences every later transition.
    attempt: 1 for the first.
    releases: how often the stage was released because infrastructure failed.
    mark: the virtual time that the queue has reached with this claim (fair_queueing.py).
    models, parameters, digests: JSON objects of the row, by task, which the queue does not read:
        the model that runs a task, the parameters set for that model, and the digest of its trained
        weights.
    album: the batch that the job is ranked in, if any.
    job: the job's row as it was just before the claim, as text that the queue does not read.
    """

    job_id: JobId
    stage: StageName
    token: LeaseToken
    attempt: int
    releases: int
    mark: float
    capability: Capability
    models: Payload
    parameters: Payload
    album: BatchId | None = None
    digests: Payload = field(default_factory=dict)
    job: str = ""


@dataclass(frozen=True, slots=True)
class ImportedPhoto:
    """A photo that `prepare` has imported from an address or an upload, or composed.

    key: its object key.  digest: lower-case hex SHA-256 of its bytes.
    megapixels: by its header until `prepare` has decoded it.  length: in bytes.
    take: of a composed photo, as the job stores it.
    """

    key: str
    digest: str
    megapixels: float = 0.0
    length: int = 0
    take: Payload | None = None


@dataclass(frozen=True, slots=True)
class StageOutcome:
    """The outcome of a stage run that succeeded.

    result: JSON of numbers and artifact keys.
    seconds: how long the stage's code ran.
    artifacts: the keys that the run stored, each with its kind, which decides its TTL.
    photo: the job's photo, when this run has imported it.
    fetching_seconds: how long the thread was fetching addresses of the job; charged as well.
    lengths: of these objects in bytes, by key.
    run_ahead_of: the stage of the same job whose lease covers this run, which has no lease of its
        own; `lease` has the token of the covering lease. None: the stage was claimed.
    """

    lease: Lease
    result: Mapping[str, object]
    seconds: float
    artifacts: Mapping[str, ArtifactKind]
    photo: ImportedPhoto | None = None
    fetching_seconds: float = 0.0
    lengths: Mapping[str, int] = field(default_factory=dict)
    run_ahead_of: StageName | None = None


@dataclass(frozen=True, slots=True)
class CompleteResult:
    """The changes made by a completion.

    ready: one entry for each row made ready.  lost: leases that no longer hold.
    claimed: the leases of the stages that were claimed next.
    """

    ready: list[Capability]
    succeeded: list[JobId]
    lost: list[Lease]
    claimed: list[Lease] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a stage failed: a stable code, and a title and detail for people.

    document_report: what was checked, of a refused document's photo, as JSON.
    """

    code: str
    title: str
    detail: str
    document_report: Mapping[str, object] | None = None

    def as_json(self, stage: StageName | None) -> str:
        """Return the JSON of the job's `error`; with None, the SQL adds the stage."""
        error = {key: value for key, value in dataclasses.asdict(self).items() if value is not None}
        return json.dumps(error if stage is None else {**error, "stage": stage})


UNAVAILABLE = Failure(
    "unavailable",
    "The service could not finish the job",
    "storage or the database was unavailable for too long; submit the photo again",
)

UNREADABLE = Failure(
    "unavailable",
    "The service could not finish the job",
    "a later version of the service wrote this job, and no worker of that version ran it; submit "
    "the photo again",
)

DEADLINE_PASSED = Failure(
    "deadline",
    "Deadline passed",
    "the job's deadline passed while it was queued; submit it again with a longer deadline",
)


def as_arrays(leases: Sequence[Lease]) -> dict[str, object]:
    """Return leases as the parallel arrays of job ids, stages and tokens that the SQL takes."""
    return {
        "job_ids": [lease.job_id for lease in leases],
        "stages": [str(lease.stage) for lease in leases],
        "tokens": [lease.token for lease in leases],
    }
