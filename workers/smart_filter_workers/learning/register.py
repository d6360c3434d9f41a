"""Register trained weights: check the file, run it once, store it, and write its row.

Prepare feedback for training: collect examples, build a data set, export it to a folder.
"""

import contextlib
import datetime as dt
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Engine

from smart_filter_shared.catalog.model_card import ModelCard
from smart_filter_shared.config.settings import OutboundSettings
from smart_filter_shared.db import sessions
from smart_filter_shared.errors import ModelNotLoaded, SetupFailed, VersionRefused
from smart_filter_shared.feedback import datasets, examples
from smart_filter_shared.feedback.datasets import Dataset
from smart_filter_shared.model_registry import promotion, weight_versions
from smart_filter_shared.model_registry.promotion import Metrics
from smart_filter_shared.model_registry.weight_versions import TrainingRecord, WeightVersion
from smart_filter_shared.pipeline import TaskName
from smart_filter_shared.storage import keys
from smart_filter_shared.storage.objects import ObjectStore
from smart_filter_workers.artifacts.store import ArtifactStore
from smart_filter_workers.decoder.pool import DecoderPool
from smart_filter_workers.fetcher import Fetcher
from smart_filter_workers.learning import dataset_export, smoke_test
from smart_filter_workers.learning.examples import ExampleCollector
from smart_filter_workers.models.cache import ModelCache
from smart_filter_workers.models.catalog import ModelCatalog
from smart_filter_workers.networks.runtimes import onnx_network
from smart_filter_workers.stock.tenant_backgrounds import TenantBackgrounds
from smart_filter_workers.system import resources
from smart_filter_workers.system.lru_cache import LruCache
from smart_filter_workers.weights.trained_weights import TrainedWeights

MAX_BYTES: Final = 400_000_000
_TYPE: Final = "application/octet-stream"

_BATCH_SIZE = 20


@dataclass(frozen=True, slots=True)
class TrainingInfo:
    """The origin of weights; see `weight_versions.TrainingRecord`."""

    metrics: Metrics
    trained_on: str
    trained_at: dt.datetime
    data_set: int | None = None
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class RegistrationContext:
    """The servers, and the models that this machine knows.

    weights: the weights folder; the model's other files are in it.
    """

    engine: Engine
    store: ObjectStore
    catalog: ModelCatalog
    weights: Path


def register_weights(
    place: RegistrationContext,
    content: bytes,
    *,
    task: TaskName,
    model: str,
    training: TrainingInfo,
) -> WeightVersion:
    """Register a file of weights as a candidate and return its version; repeatable.

    Raises VersionRefused, and TryAgain while servers are away.
    """
    card = _card(place, task, model)
    digest = hashlib.sha256(content).hexdigest()
    trained = TrainingRecord(
        task=task,
        model=model,
        digest=digest,
        key=keys.weights(digest),
        metrics=training.metrics,
        parent=training.parent,
        data_set=training.data_set,
        trained_on=training.trained_on,
        trained_at=training.trained_at,
    )
    promotion.check_metrics(training.metrics, task)
    _run(place, card, content)
    with sessions.transaction(place.engine) as connection:
        weight_versions.check(connection, trained)
    place.store.put(trained.key, content, length=len(content), media_type=_TYPE)
    with sessions.transaction(place.engine) as connection:
        return weight_versions.register(connection, trained)


def ensure_stored(store: ObjectStore, version: WeightVersion) -> None:
    """Raise VersionRefused unless a version's file is in storage, TryAgain if storage is away."""
    if not store.has(version.trained.key):
        raise VersionRefused(
            f"the file of {version.digest} is no longer in storage: register it again"
        )


def _card(place: RegistrationContext, task: TaskName, model: str) -> ModelCard:
    file = place.catalog.files.get((task, model))
    if file is None or not file.CARD.learns:
        learning = sorted(f"{card.task}/{card.name}" for card in place.catalog.cards if card.learns)
        raise VersionRefused(
            f"{task}/{model} has no weights that are trained here; these have:"
            f" {', '.join(learning) or 'none'}"
        )
    return file.CARD


def _run(place: RegistrationContext, card: ModelCard, content: bytes) -> None:
    """Load the model with these weights as a worker would, and run it.  Raises VersionRefused."""
    if not 0 < len(content) <= MAX_BYTES:
        raise VersionRefused(f"the file has {len(content)} bytes, expected 1 to {MAX_BYTES}")
    trained = TrainedWeights(place.weights, None)
    try:
        if card.learns.endswith(".onnx"):
            onnx_network.check_network(content)
        digests = {card.task: trained.keep(content)}
        loaded = ModelCache(
            place.catalog, place.weights, memory_limit=resources.get_limit(None), trained=trained
        )
        models = loaded.for_stage({card.task: card.name}, {}, digests)
    except (ModelNotLoaded, SetupFailed) as error:
        raise VersionRefused(f"{card.name} does not load with this file: {error}") from error
    if card.learns.endswith(".onnx"):
        smoke_test.check_numbers(content)
    smoke_test.run_smoke_test(card.task, models[card.task])


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
    dataset_export.write(engine, store, task, built.version)
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
