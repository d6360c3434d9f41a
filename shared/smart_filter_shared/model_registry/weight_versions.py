"""Versions of models' weights: register, promote and roll back.

    candidate ──▶ live ──▶ retired       at most one live per model; without one it runs its own
                   ▲──────────┘          weights

The object store holds the file under its digest (storage/keys.py). The weights of a job's stages
are written when the job is submitted, so moving a version changes no existing job. Moves of one
model's versions are serialized by the lock of its row in `models`.
"""

import dataclasses
import datetime as dt
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, text

from smart_filter_shared.errors import VersionRefused
from smart_filter_shared.model_registry import promotion
from smart_filter_shared.pipeline import TaskName
from smart_filter_wire.words import VersionState

# Leading hex digits of a digest that are needed to find a version.
MIN_DIGITS: Final = 8
_DIGITS: Final = re.compile("[0-9a-f]{8,64}")
_DIGEST: Final = re.compile("[0-9a-f]{64}")
# Range of the integer column that holds a dataset version.
_MAX_VERSION: Final = 2**31 - 1

Metrics = Mapping[str, Any]  # the JSONB form of promotion.py


@dataclass(frozen=True, slots=True)
class TrainingRecord:
    """Trained weights and how they were made.

    digest: lower-case hex SHA-256 of the file; the object store holds it under `key`.
    metrics: its measured metrics, in the form of promotion.py.
    parent: the weights that training started from; None: the model's own, or none.
    data_set: the version of its task's dataset that it was trained on; None: no dataset.
    trained_on: the training data, in words.
    trained_at: when training began to read the data.
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
class WeightVersion:
    """A weight version with its state.

    replaced: the weights that it replaced; None: the model's own.
    deletions: number of photos deleted since that it, or one of its ancestors, was trained on.
    """

    trained: TrainingRecord
    state: VersionState
    created_at: dt.datetime
    moved_at: dt.datetime
    replaced: str | None
    deletions: int

    @property
    def digest(self) -> str:
        """The digest of its file."""
        return self.trained.digest


# deletions counts, for a version and all its ancestors, the photos removed since each was trained.
_LIST = text("""
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


def list_versions(
    connection: Connection,
    *,
    task: TaskName | None = None,
    model: str | None = None,
    digits: str = "",
) -> list[WeightVersion]:
    """Return versions ordered by task and model, the latest first.

    digits: the leading hex digits of their digests.
    """
    where = {"task": task, "model": model, "digits": digits}
    return [_read_version(row) for row in connection.execute(_LIST, where)]


def find(connection: Connection, digits: str) -> WeightVersion:
    """Return the version whose digest begins with these digits.

    Raises VersionRefused when no version, or more than one, does.
    """
    if len(digits) < MIN_DIGITS:
        raise VersionRefused(f"{digits!r} is too short: give {MIN_DIGITS} digits or more")
    if _DIGITS.fullmatch(digits) is None:
        raise VersionRefused(f"{digits!r:.80} is not a digest: give its first digits, 0-9 and a-f")
    versions = list_versions(connection, digits=digits)
    if not versions:
        raise VersionRefused(f"no version begins with {digits}: see `smart-filter models versions`")
    if len(versions) > 1:
        raise VersionRefused(f"{len(versions)} versions begin with {digits}: give more digits")
    return versions[0]


def find_live(connection: Connection, task: TaskName, model: str) -> WeightVersion | None:
    """Return the live version of a model; None: it runs with its own weights."""
    versions = list_versions(connection, task=task, model=model)
    return next((version for version in versions if version.state == VersionState.LIVE), None)


def check(connection: Connection, trained: TrainingRecord) -> None:
    """Make the checks of `register` before anything is stored.

    Raises VersionRefused for a model that was never published or has no trainable weights, for
    weights of another model or of unknown origin, and for unreadable metrics.
    """
    promotion.check_metrics(trained.metrics, trained.task)
    if not trained.trained_on.isprintable():
        raise VersionRefused("trained_on has unprintable characters: give one line of text")
    card = _lock_model(connection, trained.task, trained.model)
    if not card.get("learns"):
        raise VersionRefused(f"{trained.task}/{trained.model} has no trainable weights")
    if trained.digest in {file["sha256"] for file in card["weights"]}:
        raise VersionRefused(f"these are the original weights of {trained.model}")
    _check_origin(connection, trained, card)
    for before in list_versions(connection, digits=trained.digest):
        _check_owner(trained, before.trained)


_REGISTER = text("""
    INSERT INTO model_versions (
        digest, task, model, key, state, metrics, parent, data_set, trained_on, trained_at,
        created_at, moved_at
    ) VALUES (
        :digest, :task, :model, :key, 'candidate', CAST(:metrics AS jsonb), :parent, :data_set,
        :trained_on, :trained_at, statement_timestamp(), statement_timestamp()
    )
    ON CONFLICT DO NOTHING
""")


def register(connection: Connection, trained: TrainingRecord) -> WeightVersion:
    """Register a candidate whose file is stored, and return it; a second call changes nothing.

    Raises VersionRefused as `check` does.
    """
    check(connection, trained)
    connection.execute(
        _REGISTER, {**dataclasses.asdict(trained), "metrics": json.dumps(dict(trained.metrics))}
    )
    (version,) = list_versions(connection, digits=trained.digest)
    # Another process may have registered them for another model a moment ago.
    _check_owner(trained, version.trained)
    return version


def promote(connection: Connection, digits: str, *, anyway: bool = False) -> WeightVersion:
    """Make weights live in place of the current ones; return the version.

    anyway: even when they were not compared with the live weights, or are worse.
    Raises VersionRefused.
    """
    version = _find_locked(connection, digits)
    if version.state == VersionState.LIVE:
        raise VersionRefused(f"{version.digest} is live already")
    task, model = version.trained.task, version.trained.model
    before = find_live(connection, task, model)
    worse = promotion.find_regression(
        version.trained.metrics, task, None if before is None else before.digest
    )
    if worse is not None and not anyway:
        raise VersionRefused(f"{worse}; --anyway promotes it nevertheless")
    if before is not None:
        _move(connection, before.digest, VersionState.RETIRED)
    _move(connection, version.digest, VersionState.LIVE)
    replaced = None if before is None else before.digest
    _replace(connection, version.digest, replaced)
    return find(connection, version.digest)


def rollback(
    connection: Connection, task: TaskName, model: str
) -> tuple[WeightVersion, str | None]:
    """Replace a model's live version by the weights that it replaced.

    Returns the former live version, and the digest of the new one; None: the model's own weights.
    Raises VersionRefused when the model already runs with its own.
    """
    _lock_model(connection, task, model)
    now = find_live(connection, task, model)
    if now is None:
        raise VersionRefused(f"{task}/{model} already runs with its original weights")
    _move(connection, now.digest, VersionState.RETIRED)
    # Cleared, or repeated rollbacks would go back and forth between two versions.
    _replace(connection, now.digest, None)
    if now.replaced is not None:
        _move(connection, now.replaced, VersionState.LIVE)
    return now, now.replaced


def unreferenced(connection: Connection, stored: list[str]) -> list[str]:
    """Return the keys that no version names."""
    rows = connection.execute(
        text("""
            SELECT key FROM unnest(CAST(:keys AS text[])) AS stored (key)
            WHERE NOT EXISTS (SELECT FROM model_versions WHERE model_versions.key = stored.key)
        """),
        {"keys": stored},
    )
    return [row.key for row in rows]


def _check_owner(trained: TrainingRecord, before: TrainingRecord) -> None:
    if (before.task, before.model) != (trained.task, trained.model):
        raise VersionRefused(f"these are weights of {before.task}/{before.model}")


def _check_origin(connection: Connection, trained: TrainingRecord, card: Mapping[str, Any]) -> None:
    """Raise VersionRefused for an unknown dataset or parent: `deletions` is counted by them."""
    if trained.data_set is not None:
        fits = 0 < trained.data_set <= _MAX_VERSION
        if not fits or not connection.scalar(
            text("SELECT true FROM data_sets WHERE task = :task AND version = :version"),
            {"task": trained.task, "version": trained.data_set},
        ):
            raise VersionRefused(f"there is no data set {trained.task} {trained.data_set}")
    digests = {file["sha256"] for file in card["weights"]}
    if trained.parent is not None and trained.parent not in digests:
        if _DIGEST.fullmatch(trained.parent) is None:
            raise VersionRefused(
                f"the parent {trained.parent!r:.80} is not a digest of 64 hex digits"
            )
        if not list_versions(connection, task=trained.task, digits=trained.parent):
            raise VersionRefused(f"the parent {trained.parent} was never registered")


def _find_locked(connection: Connection, digits: str) -> WeightVersion:
    """Return a version, locked against other moves until this transaction ends."""
    version = find(connection, digits)
    _lock_model(connection, version.trained.task, version.trained.model)
    return find(connection, version.digest)


# Every move of a model's versions holds this lock until its transaction ends.
_LOCK_MODEL = text("SELECT card FROM models WHERE task = :task AND name = :model FOR NO KEY UPDATE")


def _lock_model(connection: Connection, task: TaskName, model: str) -> Mapping[str, Any]:
    row = connection.execute(_LOCK_MODEL, {"task": task, "model": model}).one_or_none()
    if row is None:
        raise VersionRefused(f"no worker has ever offered {task}/{model}: see `models list --all`")
    card: Mapping[str, Any] = row.card
    return card


_MOVE = text("""
    UPDATE model_versions SET state = :state, moved_at = statement_timestamp()
    WHERE digest = :digest
""")


def _move(connection: Connection, digest: str, state: VersionState) -> None:
    connection.execute(_MOVE, {"digest": digest, "state": state})


def _replace(connection: Connection, digest: str, replaced: str | None) -> None:
    connection.execute(
        text("UPDATE model_versions SET replaced = :replaced WHERE digest = :digest"),
        {"digest": digest, "replaced": replaced},
    )


def _read_version(row: Row[Any]) -> WeightVersion:
    trained = {field.name: getattr(row, field.name) for field in dataclasses.fields(TrainingRecord)}
    return WeightVersion(
        trained=TrainingRecord(**{**trained, "task": TaskName(row.task)}),
        state=VersionState(row.state),
        created_at=row.created_at,
        moved_at=row.moved_at,
        replaced=row.replaced,
        deletions=row.deletions,
    )
