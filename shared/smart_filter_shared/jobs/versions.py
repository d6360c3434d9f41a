"""Versions of models' weights: registered, tried in shadow, made live, and taken back.

            ┌────────────▶ live ◀────────┐          one live and one shadow a model at most;
    candidate ─▶ shadow ──▶│             │          no live one: the model runs its own weights
            ▲─────┘        └──▶ retired ─┘

The file lies in storage under its digest (storage/keys.py). Which weights a job's stages run is
written when it is submitted, so that moving a version changes no job that is there already. Moves
of one model's versions take turns by the lock of its card.
"""

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, func, select, text
from sqlalchemy.dialects.postgresql import insert

from smart_filter_shared.cards import TaskName
from smart_filter_shared.db import model_tables
from smart_filter_shared.errors import VersionRefused
from smart_filter_shared.jobs import judging

# A digest is asked for by so many of its digits at least.
SHORTEST_DIGITS: Final = 8
_DIGITS: Final = re.compile("[0-9a-f]{8,64}")
_DIGEST: Final = re.compile("[0-9a-f]{64}")
# What the column of a data set's version holds.
_MOST_VERSIONS: Final = 2**31 - 1

Metrics = Mapping[str, Any]  # as judging.py reads it; a JSONB column holds it


class VersionState(StrEnum):
    """Where a version stands."""

    CANDIDATE = "candidate"
    SHADOW = "shadow"
    LIVE = "live"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class Trained:
    """Weights that were trained.

    digest: lower-case hex SHA-256 of the file; it lies in storage under `key`.
    metrics: how good it is, as judging.py reads them.  parent: the weights that training began
    with; None: the model's own, or none.  data_set: which version of its task's data set it was
    trained on; None: on none.  trained_on: on what, in words.  trained_at: when it began to read.
    """

    task: TaskName
    model: str
    digest: str
    key: str
    metrics: Metrics
    parent: str | None
    data_set: int | None
    trained_on: str
    trained_at: dt.datetime


@dataclass(frozen=True, slots=True)
class Version:
    """A version as it stands; share: of how many jobs it is tried, as a shadow.

    replaced: the weights that it took the place of; None: the model's own.
    deletions: how many photos that it, or what it began with, was trained on are deleted since.
    """

    trained: Trained
    state: VersionState
    share: float | None
    created_at: dt.datetime
    moved_at: dt.datetime
    replaced: str | None
    deletions: int

    @property
    def digest(self) -> str:
        """Of its file."""
        return self.trained.digest


# Of itself and all that it was fine-tuned from, the photos that were there when each was trained.
_LISTED = text("""
    WITH RECURSIVE line AS (
        SELECT digest AS heir, digest, task, parent, data_set, trained_at FROM model_versions
        UNION
        SELECT line.heir, older.digest, older.task, older.parent, older.data_set, older.trained_at
        FROM line JOIN model_versions AS older ON older.digest = line.parent
    ), gone AS (
        SELECT heir, count(DISTINCT data_removals.id) AS deletions
        FROM line JOIN data_removals ON data_removals.task = line.task
            AND data_removals.version = line.data_set
            AND data_removals.removed_at >= line.trained_at
        GROUP BY heir
    )
    SELECT model_versions.*, coalesce(gone.deletions, 0) AS deletions
    FROM model_versions LEFT JOIN gone ON gone.heir = model_versions.digest
    WHERE (CAST(:task AS text) IS NULL OR task = :task)
        AND (CAST(:model AS text) IS NULL OR model = :model)
        AND starts_with(digest, CAST(:digits AS text))
    ORDER BY task, model, created_at DESC, digest
""")
# Whoever moves a model's versions has this until the end.
_HOLD = text("SELECT card FROM models WHERE task = :task AND name = :model FOR NO KEY UPDATE")
_MOVE = text("""
    UPDATE model_versions SET state = :state, share = :share, moved_at = statement_timestamp()
    WHERE digest = :digest
""")


def listed(
    connection: Connection,
    *,
    task: TaskName | None = None,
    model: str | None = None,
    digits: str = "",
) -> list[Version]:
    """Return versions by task and model, the latest first.

    digits: what their digests begin with.
    """
    where = {"task": task, "model": model, "digits": digits}
    return [_read(row) for row in connection.execute(_LISTED, where).mappings()]


def find(connection: Connection, digits: str) -> Version:
    """Return the version whose digest begins so.  Raises VersionRefused when none or several do."""
    if len(digits) < SHORTEST_DIGITS:
        raise VersionRefused(f"{digits!r} is too short: give {SHORTEST_DIGITS} digits or more")
    if _DIGITS.fullmatch(digits) is None:
        raise VersionRefused(f"{digits!r:.80} is no digest: give its first digits, 0-9 and a-f")
    found = listed(connection, digits=digits)
    if not found:
        raise VersionRefused(f"no version begins with {digits}: see `smart-filter models versions`")
    if len(found) > 1:
        raise VersionRefused(f"{len(found)} versions begin with {digits}: give more digits")
    return found[0]


def live(connection: Connection, task: TaskName, model: str) -> Version | None:
    """Return what a model runs with; None: with its own weights."""
    return _in_state(connection, task, model, VersionState.LIVE)


def check(connection: Connection, trained: Trained) -> None:
    """Refuse what `register` would, before anything is stored.

    Raises VersionRefused for a model that nobody has published or that learns nothing, for
    weights that are another's or came from nowhere, and for metrics that cannot be read.
    """
    judging.check(trained.metrics, trained.task)
    if not trained.trained_on.isprintable():
        raise VersionRefused("what it was trained on cannot be printed: say it in one line")
    card = _hold(connection, trained.task, trained.model)
    if not card.get("learns"):
        raise VersionRefused(f"{trained.task}/{trained.model} has no weights that are trained here")
    if trained.digest in {file["sha256"] for file in card["weights"]}:
        raise VersionRefused(f"these are the weights that {trained.model} came with")
    _check_origin(connection, trained, card)
    for before in listed(connection, digits=trained.digest):
        _check_owner(trained, before.trained)


def register(connection: Connection, trained: Trained) -> Version:
    """Write a candidate down, whose file is stored; once more it changes nothing.

    Raises VersionRefused as `check` does.
    """
    check(connection, trained)
    now = func.statement_timestamp()
    row = insert(model_tables.model_versions).values(
        digest=trained.digest,
        task=str(trained.task),
        model=trained.model,
        key=trained.key,
        state=str(VersionState.CANDIDATE),
        metrics=dict(trained.metrics),
        parent=trained.parent,
        data_set=trained.data_set,
        trained_on=trained.trained_on,
        trained_at=trained.trained_at,
        created_at=now,
        moved_at=now,
    )
    connection.execute(row.on_conflict_do_nothing())
    (version,) = listed(connection, digits=trained.digest)
    # Somebody may have registered them for another model a moment ago.
    _check_owner(trained, version.trained)
    return version


def shadow(connection: Connection, digits: str, *, share: float) -> Version:
    """Let weights be tried on a share of jobs, 0 to 1; 0: on none any more.

    What was tried before becomes a candidate again.  Raises VersionRefused.
    """
    if not 0 <= share <= 1:
        raise VersionRefused(f"a share of jobs is 0 to 1, not {share:g}")
    version = _held(connection, digits)
    task, model = version.trained.task, version.trained.model
    if version.state == VersionState.LIVE:
        raise VersionRefused(f"{version.digest} is live: it is compared with itself")
    if share == 0 and version.state != VersionState.SHADOW:
        raise VersionRefused(f"{version.digest} is tried on no job: its state is {version.state}")
    before = _in_state(connection, task, model, VersionState.SHADOW)
    if before is not None:
        _move(connection, before.digest, VersionState.CANDIDATE)
    if share > 0:
        _move(connection, version.digest, VersionState.SHADOW, share=share)
    return find(connection, version.digest)


def promote(connection: Connection, digits: str, *, anyway: bool = False) -> Version:
    """Let a model run with these weights from now on, in place of those that it runs with.

    anyway: though it was not compared with those, or is worse.  Raises VersionRefused.
    """
    version = _held(connection, digits)
    if version.state == VersionState.LIVE:
        raise VersionRefused(f"{version.digest} is live already")
    task, model = version.trained.task, version.trained.model
    before = live(connection, task, model)
    worse = judging.worse(version.trained.metrics, task, None if before is None else before.digest)
    if worse is not None and not anyway:
        raise VersionRefused(f"{worse}; --anyway promotes it all the same")
    if before is not None:
        _move(connection, before.digest, VersionState.RETIRED)
    _move(connection, version.digest, VersionState.LIVE)
    replaced = None if before is None else before.digest
    _replace(connection, version.digest, replaced)
    return find(connection, version.digest)


def rollback(connection: Connection, task: TaskName, model: str) -> tuple[Version, str | None]:
    """Let a model run with what the live version took the place of.

    Returns what was live, and the digest of what is now; None: the model's own weights.
    Raises VersionRefused when it runs with its own.
    """
    _hold(connection, task, model)
    now = live(connection, task, model)
    if now is None:
        raise VersionRefused(f"{task}/{model} runs with the weights that it came with")
    _move(connection, now.digest, VersionState.RETIRED)
    # Else going back and forth would never come to an end.
    _replace(connection, now.digest, None)
    if now.replaced is not None:
        _move(connection, now.replaced, VersionState.LIVE)
    return now, now.replaced


def unnamed(connection: Connection, stored: list[str]) -> list[str]:
    """Return those of the keys that no version names."""
    rows = connection.execute(
        text("""
            SELECT key FROM unnest(CAST(:keys AS text[])) AS stored (key)
            WHERE NOT EXISTS (SELECT FROM model_versions WHERE model_versions.key = stored.key)
        """),
        {"keys": stored},
    )
    return [row.key for row in rows]


def _check_owner(trained: Trained, before: Trained) -> None:
    if (before.task, before.model) != (trained.task, trained.model):
        raise VersionRefused(f"these are weights of {before.task}/{before.model}")


def _check_origin(connection: Connection, trained: Trained, card: Mapping[str, Any]) -> None:
    """Refuse what names a data set or a parent that there is not: deletions go by them."""
    if trained.data_set is not None:
        table = model_tables.data_sets
        where = (table.c.task == str(trained.task)) & (table.c.version == trained.data_set)
        fits = 0 < trained.data_set <= _MOST_VERSIONS
        if not fits or connection.execute(select(table).where(where)).one_or_none() is None:
            raise VersionRefused(f"there is no data set {trained.task} {trained.data_set}")
    own = {file["sha256"] for file in card["weights"]}
    if trained.parent is not None and trained.parent not in own:
        if _DIGEST.fullmatch(trained.parent) is None:
            raise VersionRefused(f"the parent {trained.parent!r:.80} is no digest of 64 digits")
        found = listed(connection, task=trained.task, digits=trained.parent)
        if trained.parent not in {one.digest for one in found}:
            raise VersionRefused(f"the parent {trained.parent} was never registered")


def _held(connection: Connection, digits: str) -> Version:
    """Return a version that nobody else moves until this transaction ends."""
    version = find(connection, digits)
    _hold(connection, version.trained.task, version.trained.model)
    return find(connection, version.digest)


def _hold(connection: Connection, task: TaskName, model: str) -> Mapping[str, Any]:
    found = connection.execute(_HOLD, {"task": task, "model": model}).one_or_none()
    if found is None:
        raise VersionRefused(f"no worker has ever offered {task}/{model}: see `models list --all`")
    card: Mapping[str, Any] = found.card
    return card


def _in_state(
    connection: Connection, task: TaskName, model: str, state: VersionState
) -> Version | None:
    versions = listed(connection, task=task, model=model)
    return next((one for one in versions if one.state == state), None)


def _move(
    connection: Connection, digest: str, state: VersionState, *, share: float | None = None
) -> None:
    connection.execute(_MOVE, {"digest": digest, "state": state, "share": share})


def _replace(connection: Connection, digest: str, replaced: str | None) -> None:
    table = model_tables.model_versions
    connection.execute(table.update().where(table.c.digest == digest).values(replaced=replaced))


def _read(row: RowMapping) -> Version:
    trained = Trained(
        task=TaskName(row["task"]),
        model=row["model"],
        digest=row["digest"],
        key=row["key"],
        metrics=row["metrics"],
        parent=row["parent"],
        data_set=row["data_set"],
        trained_on=row["trained_on"],
        trained_at=row["trained_at"],
    )
    return Version(
        trained=trained,
        state=VersionState(row["state"]),
        share=row["share"],
        created_at=row["created_at"],
        moved_at=row["moved_at"],
        replaced=row["replaced"],
        deletions=row["deletions"],
    )
