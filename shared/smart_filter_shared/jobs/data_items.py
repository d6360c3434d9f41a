"""Data items: corrections made examples, for as long as somebody consents.

An item is one correction as training reads it: files in storage under keys of its job, which are
artifacts of that job, so that they go with it. It belongs to a part for ever: `frozen` items
are what models are judged by, and no model is trained on them. Photos that show one scene are in
one part.
"""

import datetime as dt
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, text

from smart_filter_shared.albums import ALIKE_WITHIN_BITS
from smart_filter_shared.cards import TaskName
from smart_filter_shared.ids import CorrectionId, JobId, Tenant
from smart_filter_shared.jobs import corrections, retention
from smart_filter_shared.jobs.corrections import Correction
from smart_filter_shared.jobs.retention import Keeping, Kind

Json = Mapping[str, Any]  # what a JSONB column holds

# Of ten photos so many are frozen.
FROZEN_OF_TEN: Final = 2
# Until its job is deleted; an interval has to have an end.
_FOR_EVER: Final = Keeping(100 * 366 * 86_400.0, 100 * 366 * 86_400.0)
_SIGNED: Final = 1 << 63


class Part(StrEnum):
    """What an item is for."""

    TRAIN = "train"
    FROZEN = "frozen"


@dataclass(frozen=True, slots=True)
class File:
    """A file of an item; sha256: of its bytes, lower-case hex."""

    key: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Example:
    """What a correction is for one task: files by name, and how many examples of what."""

    task: TaskName
    files: Mapping[str, File]
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Item:
    """An example as it is kept.

    photo: the digest of the photo.  provenance: as of the correction, and `digests` of the
    weights that it corrects.
    """

    example: Example
    correction_id: CorrectionId
    job_id: JobId
    tenant: Tenant
    part: Part
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
# So that two photos of one scene, collected at once, do not come into two parts.
_TAKE_TURNS = text("SELECT pg_advisory_xact_lock(hashtext('data_items'))")
_ALIKE = text("""
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
# In one statement: what a data set has taken in since this began is seen by what deletes.
_FORGET = text("""
    WITH gone AS (
        DELETE FROM data_items WHERE job_id = :job_id RETURNING task, versions
    ), named AS MATERIALIZED (
        SELECT gen_random_uuid() AS id, task, versions FROM gone
    )
    INSERT INTO data_removals (id, task, version, removed_at)
    SELECT id, task, version, statement_timestamp()
    FROM named, unnest(versions) AS version
""")


def uncollected(connection: Connection, *, most: int) -> list[Correction]:
    """Return corrections with consent that are no items yet, the oldest first."""
    rows = connection.execute(_UNCOLLECTED, {"most": most}).all()
    found = (corrections.find(connection, JobId(row.job_id), row.id) for row in rows)
    return [one for one in found if one is not None]


def write(
    connection: Connection,
    correction: Correction,
    examples: Sequence[Example],
    *,
    photo: str | None,
    fingerprint: int | None,
    digests: Json,
) -> bool:
    """Write down what a correction is, whose files are stored; False when it is not to be any more.

    photo: the digest of the photo, None when it is forgotten.  fingerprint: 64 bits, as
    `prepare` found them.  digests: of the weights that were corrected, by task.
    """
    if not corrections.hold(connection, correction.job_id):
        return False
    held = connection.execute(_COLLECT, {"id": correction.id}).one_or_none()
    if held is None:
        return False
    tenant = Tenant(held.tenant)
    connection.execute(_TAKE_TURNS)
    shown = photo or hashlib.sha256(correction.job_id.bytes).hexdigest()
    signed = None if fingerprint is None else (fingerprint ^ _SIGNED) - _SIGNED
    part = _part(connection, shown, signed)
    for example in examples:
        keys = [file.key for file in example.files.values()]
        kinds = dict.fromkeys(keys, Kind.RESULT)
        retention.record(connection, tenant, correction.job_id, kinds, _FOR_EVER)
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
                "keys": keys,
                "counts": json.dumps(dict(example.counts)),
                "provenance": json.dumps({**correction.provenance, "digests": dict(digests)}),
                "corrected_at": correction.created_at,
            },
        )
    return True


def miss(connection: Connection, correction: Correction) -> None:
    """Note that nothing can be made of a correction: what it is about is gone."""
    connection.execute(_COLLECT, {"id": correction.id})


def drawn_part(photo: str) -> Part:
    """Return the part of a photo that is like no other; always the same of the same digest."""
    drawn = int(hashlib.sha256(f"part {photo}".encode()).hexdigest(), 16) % 10
    return Part.FROZEN if drawn < FROZEN_OF_TEN else Part.TRAIN


def forget(connection: Connection, job_id: JobId) -> None:
    """Take what a job's corrections taught out of every data set; its files go as artifacts."""
    connection.execute(_FORGET, {"job_id": job_id})


def waiting(connection: Connection) -> int:
    """Return how many corrections with consent are no items yet."""
    query = text("SELECT count(*) FROM corrections WHERE consent AND collected_at IS NULL")
    return int(connection.execute(query).scalar_one())


def read(row: RowMapping) -> Item:
    """Return the item that a row of the table holds."""
    files = {name: File(**file) for name, file in row["files"].items()}
    return Item(
        example=Example(TaskName(row["task"]), files, row["counts"]),
        correction_id=CorrectionId(row["correction_id"]),
        job_id=JobId(row["job_id"]),
        tenant=Tenant(row["tenant"]),
        part=Part(row["part"]),
        photo=row["photo"],
        provenance=row["provenance"],
        corrected_at=row["corrected_at"],
    )


def _part(connection: Connection, photo: str, fingerprint: int | None) -> Part:
    """Return the part of what shows the same, else one by the photo's digest."""
    where = {"photo": photo, "fingerprint": fingerprint, "within": ALIKE_WITHIN_BITS}
    alike = connection.execute(_ALIKE, where).one_or_none()
    if alike is not None:
        return Part(alike.part)
    return drawn_part(photo)
