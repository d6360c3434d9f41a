"""Dataset versions: the training examples of a task, as they were when the version was built.

A version never gains an example. It loses the examples of deleted jobs; only the fact and the
time of the removal are kept. The content of a version is listed in its manifest, an object that is
rewritten from the rows whenever they have changed (`list_stale`).
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, text

from smart_filter_shared.feedback import examples
from smart_filter_shared.feedback.examples import Split, TrainingExample
from smart_filter_shared.pipeline import TaskName

# The tasks that have datasets of corrections.
TASKS = (TaskName.SEGMENTATION, TaskName.SMILE, TaskName.EYES)


@dataclass(frozen=True, slots=True)
class Dataset:
    """A version of a task's dataset.

    items: number of training examples by split.
    counts: by split, the number of examples of each kind.
    removed: number of removed examples, whose jobs were deleted.
    parent: the version before.
    manifest_digest: of the manifest; None until it is written.
    """

    task: TaskName
    version: int
    parent: int | None
    created_at: dt.datetime
    items: Mapping[Split, int]
    counts: Mapping[Split, Mapping[str, int]]
    removed: int
    manifest_digest: str | None


@dataclass(frozen=True, slots=True)
class ManifestClaim:
    """The exclusive right to write the manifest of a version until the lease ends."""

    data_set: Dataset
    leased_until: dt.datetime


# Longer than storing a manifest takes: one storage request times out after ten seconds.
_LEASE_SECONDS: Final = 60.0
_CLAIM = text("""
    UPDATE data_sets
    SET leased_until = statement_timestamp() + make_interval(secs => :lease_seconds)
    WHERE task = :task AND version = :version
        AND (leased_until IS NULL OR leased_until <= statement_timestamp())
    RETURNING leased_until
""")
_RECORD_MANIFEST = text("""
    UPDATE data_sets SET
        manifest_digest = CASE WHEN leased_until = :leased_until THEN CAST(:digest AS text) END,
        removals_told = :removed,
        leased_until = CASE WHEN leased_until <> :leased_until THEN leased_until END
    WHERE task = :task AND version = :version
""")

_LIST = text("""
    SELECT data_sets.*, (
        SELECT count(*) FROM data_removals
        WHERE data_removals.task = data_sets.task AND data_removals.version = data_sets.version
    ) AS removed, (
        SELECT coalesce(json_agg(json_build_object('part', part, 'counts', counts)), '[]')
        FROM data_items
        WHERE data_items.task = data_sets.task AND data_sets.version = ANY(versions)
    ) AS items
    FROM data_sets
    WHERE (CAST(:task AS text) IS NULL OR task = :task)
        AND (CAST(:version AS int) IS NULL OR version = :version)
    ORDER BY task, version DESC
""")
_LOCK = text("SELECT pg_advisory_xact_lock(hashtext('data_sets'), hashtext(:task))")
# Only the latest matte of a photo is used; labels concern single faces, so all of them are used.
_SELECT_EXAMPLES = text("""
    SELECT correction_id, versions FROM (
        SELECT DISTINCT ON (
            tenant, photo, CASE WHEN task <> 'segmentation' THEN correction_id END
        ) correction_id, versions
        FROM data_items WHERE task = :task
        ORDER BY tenant, photo, CASE WHEN task <> 'segmentation' THEN correction_id END,
            corrected_at DESC, correction_id DESC
    ) AS chosen
""")
_ADD_EXAMPLES = text("""
    UPDATE data_items SET versions = array_append(versions, CAST(:version AS int))
    WHERE task = :task AND correction_id = ANY(:ids)
""")
_LIST_EXAMPLES = text("""
    SELECT * FROM data_items
    WHERE task = :task AND versions @> ARRAY[CAST(:version AS integer)]
    ORDER BY corrected_at, correction_id
""")
_LIST_STALE = text("""
    SELECT task, version FROM data_sets
    WHERE manifest_digest IS NULL OR removals_told < (
        SELECT count(*) FROM data_removals
        WHERE data_removals.task = data_sets.task AND data_removals.version = data_sets.version
    )
    ORDER BY created_at LIMIT :most
""")


def list_datasets(
    connection: Connection, *, task: TaskName | None = None, version: int | None = None
) -> list[Dataset]:
    """Return dataset versions ordered by task, the latest first."""
    rows = connection.execute(_LIST, {"task": task, "version": version})
    return [_read_dataset(row) for row in rows.mappings()]


def latest(connection: Connection, task: TaskName) -> Dataset | None:
    """Return the latest dataset version of a task, or None when none was built."""
    datasets = list_datasets(connection, task=task)
    return datasets[0] if datasets else None


def build(connection: Connection, task: TaskName) -> Dataset | None:
    """Build and return a version of all current examples; None when there are none.

    Returns the latest version when it already has exactly these examples.
    """
    connection.execute(_LOCK, {"task": task})
    before = latest(connection, task)
    chosen = connection.execute(_SELECT_EXAMPLES, {"task": task}).all()
    if not chosen:
        return None
    if (
        before is not None
        and sum(before.items.values()) == len(chosen)
        and all(before.version in row.versions for row in chosen)
    ):
        return before
    version = 1 if before is None else before.version + 1
    connection.execute(
        text("""
            INSERT INTO data_sets (task, version, parent, created_at)
            VALUES (:task, :version, :parent, statement_timestamp())
        """),
        {"task": task, "version": version, "parent": None if before is None else before.version},
    )
    ids = [row.correction_id for row in chosen]
    connection.execute(_ADD_EXAMPLES, {"task": task, "version": version, "ids": ids})
    return latest(connection, task)


def list_examples(connection: Connection, task: TaskName, version: int) -> list[TrainingExample]:
    """Return the training examples of a version, ordered by the time of their correction."""
    rows = connection.execute(_LIST_EXAMPLES, {"task": task, "version": version})
    return [examples.read_example(row) for row in rows.mappings()]


def list_stale(connection: Connection, *, most: int) -> list[tuple[TaskName, int]]:
    """Return versions whose manifest is missing, or lists examples that were removed since."""
    return [
        (TaskName(row.task), row.version) for row in connection.execute(_LIST_STALE, {"most": most})
    ]


def claim_manifest(connection: Connection, task: TaskName, version: int) -> ManifestClaim | None:
    """Claim the right to write a version's manifest; None while another process has it.

    While the claim lasts, no other process can overwrite the manifest with an older one.
    """
    row = connection.execute(
        _CLAIM, {"task": task, "version": version, "lease_seconds": _LEASE_SECONDS}
    ).one_or_none()
    if row is None:
        return None
    (dataset,) = list_datasets(connection, task=task, version=version)
    return ManifestClaim(dataset, row.leased_until)


def record_manifest(connection: Connection, claimed: ManifestClaim, manifest_digest: str) -> None:
    """Record that the manifest of a version was written, with the content at the claim.

    When the claim ended before, another process may have stored its manifest too: the version then
    stays stale, and its manifest is written again.
    """
    data_set = claimed.data_set
    connection.execute(
        _RECORD_MANIFEST,
        {
            "task": data_set.task,
            "version": data_set.version,
            "digest": manifest_digest,
            "removed": data_set.removed,
            "leased_until": claimed.leased_until,
        },
    )


def _read_dataset(row: RowMapping) -> Dataset:
    items: Sequence[Mapping[str, Any]] = row["items"]
    counts: dict[Split, dict[str, int]] = {part: {} for part in Split}
    for item in items:
        for what, number in item["counts"].items():
            of_part = counts[Split(item["part"])]
            of_part[what] = of_part.get(what, 0) + number
    return Dataset(
        task=TaskName(row["task"]),
        version=row["version"],
        parent=row["parent"],
        created_at=row["created_at"],
        items={part: sum(item["part"] == part for item in items) for part in Split},
        counts=counts,
        removed=row["removed"],
        manifest_digest=row["manifest_digest"],
    )
