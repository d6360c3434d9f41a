"""Feedback for whoever trains: what there is of corrections, in a folder."""

from pathlib import Path

from sqlalchemy import Engine

from smart_filter_shared.cards import TaskName
from smart_filter_shared.db import sessions
from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.jobs import data_items, data_sets
from smart_filter_shared.jobs.data_sets import DataSet
from smart_filter_shared.settings import OutboundSettings
from smart_filter_shared.storage.objects import ObjectStore
from smart_filter_workers.artifacts import Artifacts
from smart_filter_workers.fetcher import Fetcher
from smart_filter_workers.learning import exporting, manifests
from smart_filter_workers.learning.collecting import Collecting
from smart_filter_workers.recent import Recent
from smart_filter_workers.stock.room import StockRoom

_AT_ONCE = 20


def collect(engine: Engine, store: ObjectStore) -> None:
    """Make examples of all corrections that have consent and are none yet.

    Workers do so by themselves, a few a second.  Raises TryAgain while servers are away.
    """
    nothing = Recent(0)
    room = StockRoom(engine, store, nothing)
    # What corrections are about lies in storage: nothing is fetched.
    artifacts = Artifacts(store, nothing, room, Fetcher(OutboundSettings()))
    collecting = Collecting(engine, store, artifacts)
    with sessions.transaction(engine) as connection:
        left = data_items.waiting(connection)
    while left > 0 and collecting.collect(most=_AT_ONCE):
        left -= _AT_ONCE


def build(engine: Engine, store: ObjectStore, task: TaskName) -> DataSet | None:
    """Return a version of a task's data set with all that there is; None when there is nothing.

    Raises TryAgain while servers are away: then a worker writes its manifest.
    """
    collect(engine, store)
    with sessions.transaction(engine) as connection:
        built = data_sets.build(connection, task)
    if built is None or built.manifest_digest is not None:
        return built
    manifests.write(engine, store, task, built.version)
    return latest(engine, task)


def latest(engine: Engine, task: TaskName) -> DataSet | None:
    """Return the latest version of a task's data set, or None when none was built."""
    with sessions.transaction(engine) as connection:
        return data_sets.latest(connection, task)


def export_latest(engine: Engine, store: ObjectStore, task: TaskName, folder: Path) -> DataSet:
    """Write the latest version into a new folder; return which one it is.

    Raises SetupFailed when none was built, and as `exporting.export` does.
    """
    found = latest(engine, task)
    if found is None:
        raise SetupFailed(f"no data set of {task} was built: `smart-filter feedback build {task}`")
    return exporting.export(engine, store, task, found.version, folder).data_set
