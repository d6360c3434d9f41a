"""Register trained weights: check the file, run it once, store it, and write its row."""

import datetime as dt
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Engine

from smart_filter_shared.catalog.model_card import ModelCard
from smart_filter_shared.db import sessions
from smart_filter_shared.errors import ModelNotLoaded, SetupFailed, VersionRefused
from smart_filter_shared.model_registry import promotion, weight_versions
from smart_filter_shared.model_registry.promotion import Metrics
from smart_filter_shared.model_registry.weight_versions import TrainingRecord, WeightVersion
from smart_filter_shared.pipeline import TaskName
from smart_filter_shared.storage import keys
from smart_filter_shared.storage.objects import ObjectStore
from smart_filter_workers.learning import smoke_test
from smart_filter_workers.models.cache import ModelCache
from smart_filter_workers.models.catalog import ModelCatalog
from smart_filter_workers.networks.runtimes import onnx_network
from smart_filter_workers.system import resources
from smart_filter_workers.weights.trained_weights import TrainedWeights

MAX_BYTES: Final = 400_000_000
_TYPE: Final = "application/octet-stream"


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
