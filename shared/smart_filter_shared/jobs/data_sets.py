"""Data sets: versions of what corrections have taught, each as it was when it was built.

A version never gains an item. It loses those whose jobs are deleted; that it did, and when, is
all that is kept of them. What it holds is told by its manifest, an object, which is written anew
from the rows whenever they have changed: see `stale`.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, select, text

from smart_filter_shared.cards import TaskName
from smart_filter_shared.db import model_tables
from smart_filter_shared.jobs import data_items
from smart_filter_shared.jobs.data_items import Item, Part

# What corrections teach.
TASKS = (TaskName.SEGMENTATION, TaskName.SMILE, TaskName.EYES)


@dataclass(frozen=True, slots=True)
class DataSet:
    """A version of a task's data set.

    items: how many it holds of each part.  counts: how many examples of what, of each part.
    removed: how many it held whose jobs are deleted.  parent: the version before.
    manifest_digest: of the manifest; None until it is written.
    """

    task: TaskName
    version: int
    parent: int | None
    created_at: dt.datetime
    items: Mapping[Part, int]
    counts: Mapping[Part, Mapping[str, int]]
    removed: int
    manifest_digest: str | None


@dataclass(frozen=True, slots=True)
class Claimed:
    """A version whose manifest this process alone writes, until the lease ends."""

    data_set: DataSet
    leased_until: dt.datetime


# Storing a manifest takes ten seconds at most: the time-out of one request to storage.
_LEASE_SECONDS: Final = 60.0
_CLAIM = text("""
    UPDATE data_sets
    SET leased_until = statement_timestamp() + make_interval(secs => :lease_seconds)
    WHERE task = :task AND version = :version
        AND (leased_until IS NULL OR leased_until <= statement_timestamp())
    RETURNING leased_until
""")
_TELL = text("""
    UPDATE data_sets SET
        manifest_digest = CASE WHEN leased_until = :leased_until THEN CAST(:digest AS text) END,
        removals_told = :removed,
        leased_until = CASE WHEN leased_until <> :leased_until THEN leased_until END
    WHERE task = :task AND version = :version
""")

_LISTED = text("""
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
_TAKE_TURNS = text("SELECT pg_advisory_xact_lock(hashtext('data_sets'), hashtext(:task))")
# A later matte of a photo counts in place of an earlier one; labels are of single faces.
_CHOSEN = text("""
    SELECT correction_id, versions FROM (
        SELECT DISTINCT ON (
            tenant, photo, CASE WHEN task <> 'segmentation' THEN correction_id END
        ) correction_id, versions
        FROM data_items WHERE task = :task
        ORDER BY tenant, photo, CASE WHEN task <> 'segmentation' THEN correction_id END,
            corrected_at DESC, correction_id DESC
    ) AS chosen
""")
_TAKE_IN = text("""
    UPDATE data_items SET versions = array_append(versions, CAST(:version AS int))
    WHERE task = :task AND correction_id = ANY(:ids)
""")
_STALE = text("""
    SELECT task, version FROM data_sets
    WHERE manifest_digest IS NULL OR removals_told < (
        SELECT count(*) FROM data_removals
        WHERE data_removals.task = data_sets.task AND data_removals.version = data_sets.version
    )
    ORDER BY created_at LIMIT :most
""")


def listed(
    connection: Connection, *, task: TaskName | None = None, version: int | None = None
) -> list[DataSet]:
    """Return data sets by task, the latest first."""
    rows = connection.execute(_LISTED, {"task": task, "version": version})
    return [_read(row) for row in rows.mappings()]


def latest(connection: Connection, task: TaskName) -> DataSet | None:
    """Return the latest version, or None when none was built."""
    found = listed(connection, task=task)
    return found[0] if found else None


def build(connection: Connection, task: TaskName) -> DataSet | None:
    """Return a version that holds all that there is now; None when there is nothing.

    It is the latest when that holds the very same.
    """
    connection.execute(_TAKE_TURNS, {"task": task})
    before = latest(connection, task)
    chosen = connection.execute(_CHOSEN, {"task": task}).all()
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
    connection.execute(_TAKE_IN, {"task": task, "version": version, "ids": ids})
    return latest(connection, task)


def items_of(connection: Connection, task: TaskName, version: int) -> list[Item]:
    """Return what a version holds, in the order in which it was corrected."""
    table = model_tables.data_items
    query = (
        select(table)
        .where(table.c.task == str(task), table.c.versions.contains([version]))
        .order_by(table.c.corrected_at, table.c.correction_id)
    )
    return [data_items.read(row) for row in connection.execute(query).mappings()]


def stale(connection: Connection, *, most: int) -> list[tuple[TaskName, int]]:
    """Return versions whose manifests are not written yet, or tell of what is removed since."""
    return [(TaskName(row.task), row.version) for row in connection.execute(_STALE, {"most": most})]


def claim(connection: Connection, task: TaskName, version: int) -> Claimed | None:
    """Claim the writing of a version's manifest; None while another process has claimed it.

    No other process stores an older manifest behind this one while the claim lasts.
    """
    row = connection.execute(
        _CLAIM, {"task": task, "version": version, "lease_seconds": _LEASE_SECONDS}
    ).one_or_none()
    if row is None:
        return None
    (found,) = listed(connection, task=task, version=version)
    return Claimed(found, row.leased_until)


def told(connection: Connection, claimed: Claimed, manifest_digest: str) -> None:
    """Note that the manifest of a version is written, as the version was when it was claimed.

    When the claim has ended meanwhile, another process may have stored its own before: the
    manifest is then written again.
    """
    data_set = claimed.data_set
    connection.execute(
        _TELL,
        {
            "task": data_set.task,
            "version": data_set.version,
            "digest": manifest_digest,
            "removed": data_set.removed,
            "leased_until": claimed.leased_until,
        },
    )


def _read(row: RowMapping) -> DataSet:
    items: Sequence[Mapping[str, Any]] = row["items"]
    counts: dict[Part, dict[str, int]] = {part: {} for part in Part}
    for item in items:
        for what, number in item["counts"].items():
            of_part = counts[Part(item["part"])]
            of_part[what] = of_part.get(what, 0) + number
    return DataSet(
        task=TaskName(row["task"]),
        version=row["version"],
        parent=row["parent"],
        created_at=row["created_at"],
        items={part: sum(item["part"] == part for item in items) for part in Part},
        counts=counts,
        removed=row["removed"],
        manifest_digest=row["manifest_digest"],
    )
