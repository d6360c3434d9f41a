"""Choices of many photos: a query of a tenant's photos, on which actions work in steps.

A photo is a job with all jobs derived from it. A choice stores which photos it means, not a list of
them: each step reads the next ones. Photos that come later are no part of it.

A deletion marks the jobs, so that no reader finds them. The garbage collector removes them when
`UNDO_SECONDS` are over; until then the deletion can be undone.
"""

import datetime as dt
import json
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, text

from smart_filter_shared.db.rows import read_row
from smart_filter_shared.ids import BatchId, JobId, Tenant
from smart_filter_shared.jobs.photo_queue import CLIENT
from smart_filter_shared.jobs.queries import IS_UNCOMPOSED

# Bounds the time of a step, which reads some columns of this number of the newest jobs.
MAX_JOBS: Final = 20_000
# Photos that a choice names one by one, so that its body stays small; others are named by a query.
MAX_NAMED: Final = 800
# How long a deletion can be undone.
UNDO_SECONDS: Final = 60.0
# How long a choice is kept: an action on all of its photos ends within that.
KEPT_HOURS: Final = 24
# Choices of a tenant: a studio makes one for each action, and each may name 1,600 photos.
MAX_CHOICES: Final = 100


class PhotoState(StrEnum):
    """The state of a photo's version."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    UNFINISHED = "unfinished"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The photos that a choice means.

    all: the photos of the tenant, without those of albums that have no picture; with a state, those
        whose newest version has it, and with a name, those whose names contain it.
    photos: jobs whose photos are chosen too, in this version instead of the newest.
    but: jobs whose photos are not chosen.
    """

    all: bool
    state: PhotoState | None = None
    name: str | None = None
    photos: tuple[JobId, ...] = ()
    but: tuple[JobId, ...] = ()


@dataclass(frozen=True, slots=True)
class Choice:
    """A stored choice.  delete_at: when what it has deleted is removed; None: it has not."""

    id: uuid.UUID
    tenant: Tenant
    wanted: Wanted
    made_at: dt.datetime
    delete_at: dt.datetime | None


@dataclass(frozen=True, slots=True)
class ChosenPhoto:
    """A photo of a choice.

    place: its id in the studio, by which photos are listed; those added together keep their order.
    shown: the version that actions work on.
    versions: all jobs, newest first.
    mark: the id that the studio knows the photo by.
    is_made: whether the version shown was made after the choice.
    """

    place: JobId
    shown: JobId
    versions: tuple[JobId, ...]
    name: str | None
    mark: str
    is_made: bool


@dataclass(frozen=True, slots=True)
class Counts:
    """Numbers of a choice.

    photos, jobs: without and with all versions.  pictures: photos with a finished picture.
    unfinished, failed: photos whose version shown is so.
    making: unfinished photos whose version shown was made after the choice.
    """

    photos: int
    jobs: int
    pictures: int
    unfinished: int
    failed: int
    making: int


_INSERT = text("""
    INSERT INTO choices (id, tenant, wanted, made_at)
    VALUES (:id, :tenant, CAST(:wanted AS jsonb), statement_timestamp())
""")
_DELETE_OLDER = text("""
    DELETE FROM choices WHERE tenant = :tenant AND delete_at IS NULL AND made_at <= (
        SELECT made_at FROM choices WHERE tenant = :tenant
        ORDER BY made_at DESC OFFSET :most LIMIT 1
    )
""")
_FIND = text("SELECT * FROM choices WHERE id = :id AND tenant = :tenant")
# Tables of this transaction's own have no statistics: nested loops would take their square.
_PLAN = text("SELECT set_config('enable_nestloop', 'off', true)")
# A derived job whose parent was deleted begins a photo of its own. A derived job that was canceled
# has no picture to show: its photo shows the version before.
_CHOSEN: Final = f"""
    WITH RECURSIVE mine AS MATERIALIZED (
        SELECT id, parent_id, created_at, metadata->>'studio' AS mark,
            coalesce(outcome = 'canceled' AND parent_id IS NOT NULL, false) AS is_withdrawn,
            jsonb_build_object(
            'id', id, 'state', coalesce(outcome, 'unfinished'),
            'name', coalesce(metadata->>'name', photo_name), 'is_uncomposed', {IS_UNCOMPOSED},
            'is_pictured', outcome = 'succeeded' AND expired_at IS NULL
                AND recipe->'outputs' ? 'image' AND NOT {IS_UNCOMPOSED}
        ) AS job
        FROM jobs WHERE tenant = :tenant AND deleted_by IS NULL ORDER BY id DESC LIMIT {MAX_JOBS}
    ), family AS (
        SELECT mine.id, mine.id AS root
        FROM mine LEFT JOIN mine AS parents ON parents.id = mine.parent_id
        WHERE parents.id IS NULL
        UNION ALL
        SELECT mine.id, family.root FROM family JOIN mine ON mine.parent_id = family.id
    ), photos AS (
        SELECT root, (array_agg(mark) FILTER (WHERE id = root))[1] AS mark,
            array_agg(id ORDER BY id DESC) AS versions,
            (array_agg(job ORDER BY is_withdrawn, id DESC))[1] AS newest,
            (array_agg(job ORDER BY is_withdrawn, id DESC)
                FILTER (WHERE created_at <= :made_at))[1] AS former,
            (array_agg(job) FILTER (WHERE id = ANY(CAST(:photos AS uuid[]))))[1] AS named
        FROM family JOIN mine USING (id) GROUP BY root
    ), chosen AS (
        SELECT root, mark, versions, newest <> former AS is_made,
            CASE WHEN newest <> former THEN newest ELSE coalesce(named, former) END AS job
        FROM photos
        WHERE former IS NOT NULL AND NOT versions && CAST(:but AS uuid[])
            AND (named IS NOT NULL OR (
                :all AND NOT CAST(former->>'is_uncomposed' AS boolean)
                AND (CAST(:state AS text) IS NULL OR former->>'state' = :state)
                AND (CAST(:name AS text) IS NULL
                    OR strpos(lower(former->>'name'), lower(:name)) > 0)
            ))
    ), marked AS (
        SELECT root, versions, is_made, CAST(job->>'id' AS uuid) AS shown, job->>'name' AS name,
            job->>'state' AS state, CAST(job->>'is_pictured' AS boolean) AS is_pictured,
            CASE WHEN mark ~ '^[0-9a-f]{{32}}$' THEN mark ELSE CAST(root AS text) END AS mark
        FROM chosen
    ), shown AS (
        SELECT *, CAST(CASE row_number() OVER (PARTITION BY mark ORDER BY root)
            WHEN 1 THEN mark ELSE CAST(root AS text) END AS uuid) AS place
        FROM marked
    )
"""  # noqa: S608 - SQL of our own
_COUNT = text(f"""
    {_CHOSEN}
    SELECT count(*) AS photos, coalesce(sum(cardinality(versions)), 0) AS jobs,
        count(*) FILTER (WHERE is_pictured) AS pictures,
        count(*) FILTER (WHERE state = 'unfinished') AS unfinished,
        count(*) FILTER (WHERE state = 'failed') AS failed,
        count(*) FILTER (WHERE state = 'unfinished' AND is_made) AS making
    FROM shown
""")  # noqa: S608 - SQL of our own
# Newest first, as the sheet shows them.
_LIST = text(f"""
    {_CHOSEN}
    SELECT * FROM shown
    WHERE (CAST(:after AS uuid) IS NULL OR place < :after) AND (NOT :pictured OR is_pictured)
        AND (CAST(:of_state AS text) IS NULL OR state = :of_state)
    ORDER BY place DESC LIMIT :most
""")  # noqa: S608 - SQL of our own
_MARK = text("""
    UPDATE jobs SET deleted_by = :id
    WHERE id = ANY(:jobs) AND tenant = :tenant AND deleted_by IS NULL
""")
_DELETE_LATER = text("""
    UPDATE choices SET delete_at = statement_timestamp() + make_interval(secs => :seconds)
    WHERE id = :id RETURNING delete_at
""")
# A deletion whose minute is over is not undone, even if nothing is removed yet.
_KEEP = text("""
    UPDATE choices SET delete_at = NULL
    WHERE id = :id AND tenant = :tenant AND delete_at > statement_timestamp()
    RETURNING id
""")
_UNMARK = text("UPDATE jobs SET deleted_by = NULL WHERE deleted_by = :id RETURNING id")
_UNMARK_BATCH = text("""
    UPDATE jobs SET deleted_by = NULL
    WHERE batch_id = :batch_id AND tenant = :tenant AND deleted_by IS NOT NULL
""")
_UNMARK_SOME = text("UPDATE jobs SET deleted_by = NULL WHERE id = ANY(:ids)")
_FIND_DUE = text("""
    SELECT id, tenant FROM choices WHERE delete_at <= statement_timestamp()
    ORDER BY delete_at LIMIT 1 FOR UPDATE SKIP LOCKED
""")
_FIND_MARKED = text("SELECT id FROM jobs WHERE deleted_by = :id ORDER BY id LIMIT :most")
_REMOVE = text("DELETE FROM choices WHERE id = :id")
_DELETE_OLD = text("""
    DELETE FROM choices WHERE id IN (
        SELECT id FROM choices
        WHERE made_at < statement_timestamp() - make_interval(hours => :hours)
            AND delete_at IS NULL
        ORDER BY made_at LIMIT :most
    )
""")


def create(connection: Connection, choice_id: uuid.UUID, tenant: Tenant, wanted: Wanted) -> Choice:
    """Store a choice, delete the tenant's oldest ones over MAX_CHOICES, and return it."""
    connection.execute(_DELETE_OLDER, {"tenant": tenant, "most": MAX_CHOICES - 1})
    stored = {
        "all": wanted.all,
        "state": wanted.state,
        "name": wanted.name,
        "photos": [str(job_id) for job_id in wanted.photos],
        "but": [str(job_id) for job_id in wanted.but],
    }
    row = {"id": choice_id, "tenant": tenant, "wanted": json.dumps(stored)}
    connection.execute(_INSERT, row)
    choice = find(connection, choice_id, tenant)
    assert choice is not None, "this transaction wrote it"
    return choice


def find(connection: Connection, choice_id: uuid.UUID, tenant: Tenant) -> Choice | None:
    """Return a tenant's choice, or None when the tenant has no such choice."""
    row = connection.execute(_FIND, {"id": choice_id, "tenant": tenant}).one_or_none()
    return None if row is None else read_row(Choice, row, wanted=_read_wanted(row.wanted))


def count_photos(connection: Connection, choice: Choice) -> Counts:
    """Return the numbers of a choice now."""
    connection.execute(_PLAN)
    return read_row(Counts, connection.execute(_COUNT, _parameters(choice)).one())


def list_photos(
    connection: Connection,
    choice: Choice,
    *,
    after: JobId | None = None,
    most: int,
    pictured: bool = False,
    state: PhotoState | None = None,
) -> list[ChosenPhoto]:
    """Return the next photos of a choice, newest first, after the photo whose place is `after`.

    pictured: only those with a finished picture.  state: only those whose version shown has it.
    """
    which = {"after": after, "most": most, "pictured": pictured, "of_state": state}
    connection.execute(_PLAN)
    rows = connection.execute(_LIST, {**_parameters(choice), **which})
    return [read_row(ChosenPhoto, row, versions=tuple(row.versions)) for row in rows]


def mark_deleted(
    connection: Connection, choice: Choice, job_ids: Collection[JobId]
) -> dt.datetime | None:
    """Hide jobs from readers; return when they are removed, None if the choice has hidden none."""
    if not job_ids:
        return choice.delete_at
    where = {"id": choice.id, "tenant": choice.tenant, "jobs": list(job_ids)}
    # The choice is locked first, as by the others.
    later = connection.execute(_DELETE_LATER, {**where, "seconds": UNDO_SECONDS})
    connection.execute(_MARK, where)
    moment: dt.datetime = later.scalar_one()
    return moment


def restore(connection: Connection, choice: Choice) -> Sequence[JobId] | None:
    """Undo the deletion; return the restored jobs, or None when it is too late."""
    where = {"id": choice.id, "tenant": choice.tenant}
    if connection.execute(_KEEP, where).one_or_none() is None:
        return None
    return connection.execute(_UNMARK, where).scalars().all()


def give_up_batch(connection: Connection, batch_id: BatchId, tenant: Tenant) -> None:
    """Take a batch that is deleted, with its jobs, out of all deletions that can be undone."""
    connection.execute(_UNMARK_BATCH, {"batch_id": batch_id, "tenant": tenant})


def remove_deleted(connection: Connection, *, most: int) -> int:
    """Delete jobs whose deletion can no longer be undone; return how many."""
    due = connection.execute(_FIND_DUE).one_or_none()
    if due is None:
        return 0
    rows = connection.execute(_FIND_MARKED, {"id": due.id, "most": most}).all()
    ids = [row.id for row in rows]
    connection.execute(_UNMARK_SOME, {"ids": ids})  # transitions find no deleted job
    for row in rows:
        CLIENT.delete(connection, JobId(row.id), Tenant(due.tenant))
    if not rows:
        connection.execute(_REMOVE, {"id": due.id})
    return len(rows)


def delete_old(connection: Connection, *, most: int) -> int:
    """Delete choices of yesterday, at most `most`; return their number."""
    return connection.execute(_DELETE_OLD, {"most": most, "hours": KEPT_HOURS}).rowcount


def _parameters(choice: Choice) -> dict[str, object]:
    wanted = choice.wanted
    return {
        "tenant": choice.tenant,
        "made_at": choice.made_at,
        "all": wanted.all,
        "state": wanted.state,
        "name": wanted.name,
        "photos": list(wanted.photos),
        "but": list(wanted.but),
    }


def _read_wanted(stored: dict[str, Any]) -> Wanted:
    def jobs(ids: Sequence[str]) -> tuple[JobId, ...]:
        return tuple(JobId(uuid.UUID(id_)) for id_ in ids)

    state = stored["state"]
    return Wanted(
        all=stored["all"],
        state=None if state is None else PhotoState(state),
        name=stored["name"],
        photos=jobs(stored["photos"]),
        but=jobs(stored["but"]),
    )
