"""Training examples made from corrections with consent (table `data_items`).

An example is one correction in the form that training reads: files in the object store that are
artifacts of the corrected job, so they are deleted with it. Its split never changes: models are
evaluated on `frozen` examples and are never trained on them. Photos of one scene are in one split.
"""

import datetime as dt
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, text

from smart_filter_shared.albums import MAX_HAMMING_BITS
from smart_filter_shared.artifacts import retention
from smart_filter_shared.artifacts.retention import ArtifactKind, RetentionPolicy
from smart_filter_shared.feedback import corrections
from smart_filter_shared.feedback.corrections import Correction
from smart_filter_shared.ids import CorrectionId, JobId, Tenant
from smart_filter_shared.pipeline import TaskName

Json = Mapping[str, Any]  # what a JSONB column holds

# Photos in ten whose examples are frozen.
FROZEN_OF_TEN: Final = 2
# Files stay until their job is deleted. PostgreSQL needs a finite interval: a hundred years.
_KEEP_FOREVER: Final = RetentionPolicy(100 * 366 * 86_400.0, 100 * 366 * 86_400.0)
_SIGNED: Final = 1 << 63


class Split(StrEnum):
    """The use of an example: to train models, or to evaluate them."""

    TRAIN = "train"
    FROZEN = "frozen"


@dataclass(frozen=True, slots=True)
class ExampleFile:
    """A file of an example; sha256: of its bytes, lower-case hex."""

    key: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class ExampleContent:
    """The content of an example for one task: files by name, and number of examples by kind."""

    task: TaskName
    files: Mapping[str, ExampleFile]
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class TrainingExample:
    """A stored training example.

    photo: the digest of the photo.
    provenance: the correction's, plus `digests` of the corrected weights.
    """

    example: ExampleContent
    correction_id: CorrectionId
    job_id: JobId
    tenant: Tenant
    part: Split
    photo: str
    provenance: Json
    corrected_at: dt.datetime


_UNCOLLECTED = text("""
    SELECT id, job_id FROM corrections WHERE consent AND collected_at IS NULL
    ORDER BY id LIMIT :most
""")
_COLLECT = text("""
    UPDATE corrections SET collected_at = statement_timestamp()
    WHERE id = :id AND consent AND collected_at IS NULL RETURNING tenant
""")
# Serializes collection, so that two photos of one scene do not get different splits.
_LOCK = text("SELECT pg_advisory_xact_lock(hashtext('data_items'))")
_FIND_SIMILAR = text("""
    SELECT part FROM data_items
    WHERE photo = :photo OR bit_count(
        CAST(fingerprint # CAST(:fingerprint AS bigint) AS bit(64))
    ) <= :within
    ORDER BY correction_id LIMIT 1
""")
_WRITE = text("""
    INSERT INTO data_items (
        task, correction_id, job_id, tenant, part, photo, fingerprint, files, keys, counts,
        provenance, corrected_at
    ) VALUES (
        :task, :correction_id, :job_id, :tenant, :part, :photo, :fingerprint,
        CAST(:files AS jsonb), :keys, CAST(:counts AS jsonb), CAST(:provenance AS jsonb),
        :corrected_at
    )
""")
# One statement: DELETE re-reads the locked rows, so it sees versions that were added meanwhile.
_DELETE_FOR_JOB = text("""
    WITH gone AS (
        DELETE FROM data_items WHERE job_id = :job_id RETURNING task, versions
    ), named AS MATERIALIZED (
        SELECT gen_random_uuid() AS id, task, versions FROM gone
    )
    INSERT INTO data_removals (id, task, version, removed_at)
    SELECT id, task, version, statement_timestamp()
    FROM named, unnest(versions) AS version
""")


def list_uncollected(connection: Connection, *, most: int) -> list[Correction]:
    """Return corrections with consent that have not been collected, the oldest first."""
    rows = connection.execute(_UNCOLLECTED, {"most": most}).all()
    corrected = (corrections.find(connection, JobId(row.job_id), row.id) for row in rows)
    return [correction for correction in corrected if correction is not None]


def write(
    connection: Connection,
    correction: Correction,
    examples: Sequence[ExampleContent],
    *,
    photo: str | None,
    fingerprint: int | None,
    digests: Json,
) -> bool:
    """Write the examples of a correction, whose files are stored; return whether it was done.

    False when the job was deleted, the consent withdrawn, or the correction collected already.
    photo: the digest of the photo; None when it has expired.
    fingerprint: 64 bits, from `prepare`.
    digests: of the corrected weights, by task.
    """
    if not corrections.lock_job(connection, correction.job_id):
        return False
    held = connection.execute(_COLLECT, {"id": correction.id}).one_or_none()
    if held is None:
        return False
    tenant = Tenant(held.tenant)
    connection.execute(_LOCK)
    shown = photo or hashlib.sha256(correction.job_id.bytes).hexdigest()
    signed = None if fingerprint is None else (fingerprint ^ _SIGNED) - _SIGNED
    part = _find_split(connection, shown, signed)
    for example in examples:
        lengths = {file.key: file.bytes for file in example.files.values()}
        retention.record(
            *(connection, tenant, correction.job_id, lengths),
            kind=ArtifactKind.RESULT,
            retention=_KEEP_FOREVER,
        )
        files = {
            name: {"key": file.key, "sha256": file.sha256, "bytes": file.bytes}
            for name, file in example.files.items()
        }
        connection.execute(
            _WRITE,
            {
                "task": example.task,
                "correction_id": correction.id,
                "job_id": correction.job_id,
                "tenant": tenant,
                "part": part,
                "photo": shown,
                "fingerprint": signed,
                "files": json.dumps(files),
                "keys": list(lengths),
                "counts": json.dumps(dict(example.counts)),
                "provenance": json.dumps({**correction.provenance, "digests": dict(digests)}),
                "corrected_at": correction.created_at,
            },
        )
    return True


def mark_uncollectable(connection: Connection, correction: Correction) -> None:
    """Mark a correction as collected without an example: the corrected results are deleted."""
    connection.execute(_COLLECT, {"id": correction.id})


def choose_split(photo: str) -> Split:
    """Return the split of a photo without similar ones; it depends only on the digest."""
    drawn = int(hashlib.sha256(f"part {photo}".encode()).hexdigest(), 16) % 10
    return Split.FROZEN if drawn < FROZEN_OF_TEN else Split.TRAIN


def delete_for_job(connection: Connection, job_id: JobId) -> None:
    """Remove a job's examples from every dataset; their files are deleted as artifacts."""
    connection.execute(_DELETE_FOR_JOB, {"job_id": job_id})


def count_uncollected(connection: Connection) -> int:
    """Return the number of corrections with consent that have not been collected."""
    query = text("SELECT count(*) FROM corrections WHERE consent AND collected_at IS NULL")
    return int(connection.execute(query).scalar_one())


def read_example(row: RowMapping) -> TrainingExample:
    """Return the training example of a row."""
    files = {name: ExampleFile(**file) for name, file in row["files"].items()}
    return TrainingExample(
        example=ExampleContent(TaskName(row["task"]), files, row["counts"]),
        correction_id=CorrectionId(row["correction_id"]),
        job_id=JobId(row["job_id"]),
        tenant=Tenant(row["tenant"]),
        part=Split(row["part"]),
        photo=row["photo"],
        provenance=row["provenance"],
        corrected_at=row["corrected_at"],
    )


def _find_split(connection: Connection, photo: str, fingerprint: int | None) -> Split:
    """Return the split of a photo of the same scene, else a split by the photo's digest."""
    where = {"photo": photo, "fingerprint": fingerprint, "within": MAX_HAMMING_BITS}
    alike = connection.execute(_FIND_SIMILAR, where).one_or_none()
    if alike is not None:
        return Split(alike.part)
    return choose_split(photo)
