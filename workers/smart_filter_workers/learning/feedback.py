"""Prepare feedback for training: collect examples, build a data set, export it to a folder."""

import contextlib
from pathlib import Path

from sqlalchemy import Engine

from smart_filter_shared.config.settings import OutboundSettings
from smart_filter_shared.db import sessions
from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.feedback import datasets, examples
from smart_filter_shared.feedback.datasets import Dataset
from smart_filter_shared.pipeline import TaskName
from smart_filter_shared.storage.objects import ObjectStore
from smart_filter_workers.artifacts.store import ArtifactStore
from smart_filter_workers.decoder.pool import DecoderPool
from smart_filter_workers.fetcher import Fetcher
from smart_filter_workers.learning import dataset_export, manifests
from smart_filter_workers.learning.example_collector import ExampleCollector
from smart_filter_workers.stock.tenant_backgrounds import TenantBackgrounds
from smart_filter_workers.system.lru_cache import LruCache

_BATCH_SIZE = 20


def collect_examples(engine: Engine, store: ObjectStore) -> None:
    """Make examples of all corrections that have consent and are not collected yet.

    Workers also do this, a few corrections a second.  Raises TryAgain while servers are away.
    """
    nothing = LruCache(0)
    with contextlib.closing(DecoderPool()) as decoder:
        backgrounds = TenantBackgrounds(engine, store, nothing)
        # Corrected photos and results are in storage: nothing is fetched from the web.
        fetcher = Fetcher(OutboundSettings())
        artifacts = ArtifactStore(store, nothing, backgrounds, fetcher, decoder)
        collecting = ExampleCollector(engine, store, artifacts)
        with sessions.transaction(engine) as connection:
            left = examples.count_uncollected(connection)
        while left > 0 and collecting.collect(most=_BATCH_SIZE):
            left -= _BATCH_SIZE


def build_dataset(engine: Engine, store: ObjectStore, task: TaskName) -> Dataset | None:
    """Build a version of a task's data set from all examples; return it, or None without any.

    Raises TryAgain while servers are away: then a worker writes its manifest.
    """
    collect_examples(engine, store)
    with sessions.transaction(engine) as connection:
        built = datasets.build(connection, task)
    if built is None or built.manifest_digest is not None:
        return built
    manifests.write(engine, store, task, built.version)
    return latest_dataset(engine, task)


def latest_dataset(engine: Engine, task: TaskName) -> Dataset | None:
    """Return the latest version of a task's data set, or None if there is none."""
    with sessions.transaction(engine) as connection:
        return datasets.latest(connection, task)


def export_latest(engine: Engine, store: ObjectStore, task: TaskName, folder: Path) -> Dataset:
    """Write the latest version into a new folder, and return that version.

    Raises SetupFailed when there is none, and as `dataset_export.export_dataset` does.
    """
    dataset = latest_dataset(engine, task)
    if dataset is None:
        raise SetupFailed(f"no data set of {task} was built: `smart-filter feedback build {task}`")
    return dataset_export.export_dataset(engine, store, task, dataset.version, folder).data_set
