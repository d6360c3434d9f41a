"""Weights that were trained, made known: looked at, run once, stored, written down."""

import datetime as dt
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Engine

from smart_filter_shared.cards import ModelCard, TaskName
from smart_filter_shared.db import sessions
from smart_filter_shared.errors import ModelNotLoaded, SetupFailed, VersionRefused
from smart_filter_shared.jobs import judging, versions
from smart_filter_shared.jobs.judging import Metrics
from smart_filter_shared.jobs.versions import Trained, Version
from smart_filter_shared.storage import keys
from smart_filter_shared.storage.objects import ObjectStore
from smart_filter_workers import memory
from smart_filter_workers.catalogue import Catalogue
from smart_filter_workers.learning import proving
from smart_filter_workers.loaded import LoadedModels
from smart_filter_workers.networks import onnx_session
from smart_filter_workers.trained import TrainedWeights

MOST_BYTES: Final = 400_000_000
_TYPE: Final = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Training:
    """How weights came about; as of `versions.Trained`."""

    metrics: Metrics
    trained_on: str
    trained_at: dt.datetime
    data_set: int | None = None
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where weights are registered: the servers, and what this machine knows of models.

    weights: the weights folder; the model's other files lie in it.
    """

    engine: Engine
    store: ObjectStore
    known: Catalogue
    weights: Path


def register(
    place: Place, content: bytes, *, task: TaskName, model: str, training: Training
) -> Version:
    """Register a file of weights as a candidate; once more it changes nothing.

    Raises VersionRefused, and TryAgain while servers are away.
    """
    card = _card(place, task, model)
    digest = hashlib.sha256(content).hexdigest()
    trained = Trained(
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
    judging.check(training.metrics, task)
    _run(place, card, content)
    with sessions.transaction(place.engine) as connection:
        versions.check(connection, trained)
    place.store.put(trained.key, content, length=len(content), media_type=_TYPE)
    with sessions.transaction(place.engine) as connection:
        return versions.register(connection, trained)


def ensure_stored(store: ObjectStore, version: Version) -> None:
    """Raise VersionRefused unless workers can fetch a version's file, TryAgain while none can."""
    if not store.has(version.trained.key):
        raise VersionRefused(
            f"the file of {version.digest} is in storage no more: register it again"
        )


def _card(place: Place, task: TaskName, model: str) -> ModelCard:
    file = place.known.files.get((task, model))
    if file is None or not file.CARD.learns:
        learning = sorted(f"{card.task}/{card.name}" for card in place.known.cards if card.learns)
        raise VersionRefused(
            f"{task}/{model} has no weights that are trained here; these have:"
            f" {', '.join(learning) or 'none'}"
        )
    return file.CARD


def _run(place: Place, card: ModelCard, content: bytes) -> None:
    """Load the model with these weights, as workers will, and run it.  Raises VersionRefused."""
    if not 0 < len(content) <= MOST_BYTES:
        raise VersionRefused(f"the file has {len(content)} bytes, expected 1 to {MOST_BYTES}")
    trained = TrainedWeights(place.weights, None)
    try:
        if card.learns.endswith(".onnx"):
            onnx_session.check(content)
        digests = {card.task: trained.keep(content)}
        loaded = LoadedModels(place.known, place.weights, room=memory.room(None), trained=trained)
        models = loaded.of({card.task: card.name}, {}, digests)
    except (ModelNotLoaded, SetupFailed) as error:
        raise VersionRefused(f"{card.name} does not load with this file: {error}") from error
    if card.learns.endswith(".onnx"):
        proving.check_numbers(content)
    proving.prove(card.task, models[card.task])
