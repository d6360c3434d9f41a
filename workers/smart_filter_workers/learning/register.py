"""Register trained weights: check the file, run it on a drawn picture, store it, write its row.

A file that loads may still lack an output, or return only NaN; then every job would fail.
"""

import contextlib
import dataclasses
import datetime as dt
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
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
from smart_filter_shared.results import Face
from smart_filter_shared.storage import keys
from smart_filter_shared.storage.objects import ObjectStore
from smart_filter_workers.artifacts.store import ArtifactStore
from smart_filter_workers.decoder.pool import DecoderPool
from smart_filter_workers.fetcher import Fetcher
from smart_filter_workers.learning import dataset_export
from smart_filter_workers.learning.examples import ExampleCollector
from smart_filter_workers.models.cache import Model, ModelCache
from smart_filter_workers.models.catalog import ModelCatalog
from smart_filter_workers.networks.faces.face_mesh import (
    LEFT_EYE,
    MESH_POINTS,
    RIGHT_EYE,
    FaceMesh,
    FaceView,
    Mesh,
)
from smart_filter_workers.networks.runtimes import onnx_network
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import PreparedPhoto, Srgb8
from smart_filter_workers.stock.tenant_backgrounds import TenantBackgrounds
from smart_filter_workers.system import resources
from smart_filter_workers.system.lru_cache import LruCache
from smart_filter_workers.weights.trained_weights import TrainedWeights

MAX_BYTES: Final = 400_000_000
_TYPE: Final = "application/octet-stream"

_BATCH_SIZE = 20

_MAX_ERROR_LENGTH: Final = 300
_SKIN, _WHITE, _DARK = (205, 160, 135), (240, 240, 235), (40, 30, 25)
_EYE_PX: Final = 64
_WIDTH, _HEIGHT = 96, 128

# An eye fills a little over half of its crop. The square around it that the contours' network
# sees is 2.3 times as long as the eye, that is a third larger than the crop. The figures of the
# first model were measured in this way.
_EYE: Final = 0.58
_SQUARE: Final = 4 / 3
# Proportions of the face around the eyes, in distances of the eyes: height of the forehead and of
# the rest; positions of nose, mouth, chin, and of the corners of the mouth.
_ABOVE, _BELOW = 0.55, 1.05
_NOSE, _MOUTH, _CHIN = 0.55, 1.05, 1.5
_MOUTH_CORNER: Final = 0.42


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
        check_numbers(content)
    run_smoke_test(card.task, models[card.task])


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


def run_smoke_test(task: TaskName, model: Model) -> None:
    """Run a model on a drawn picture.  Raises VersionRefused when it fails or returns NaN."""
    try:
        # Mattes hold integers, which hide NaN.
        with np.errstate(invalid="raise"):
            answers = cast("Sequence[object]", model(*_sample_inputs(task)))
    except Exception as error:
        # A framework may raise anything.
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:_MAX_ERROR_LENGTH]
        raise VersionRefused(f"with this file it does not run: {reason}") from error
    if len(answers) != 1:
        raise VersionRefused(f"with this file it returns {len(answers)} results for one picture")
    if not _is_finite(answers[0]):
        raise VersionRefused("with this file it returns values that are not finite")


def check_numbers(content: bytes) -> None:
    """Raise VersionRefused when an ONNX network has weights that are NaN.

    An eye for which a network returns NaN counts as not visible, so answers do not show the fault.
    """
    onnx = onnx_network.load_onnx()
    graph = onnx.load_model_from_string(content).graph
    constants = [
        attribute.t
        for node in graph.node
        for attribute in node.attribute
        if attribute.HasField("t")
    ]
    for tensor in (*graph.initializer, *constants):
        numbers = onnx.numpy_helper.to_array(tensor)
        if numbers.dtype.kind == "f" and np.isnan(numbers).any():
            raise VersionRefused(f"weights {tensor.name!r} of this file are NaN")


def _sample_inputs(task: TaskName) -> tuple[Sequence[object], ...]:
    """Return the inputs of a task's models, for one drawn picture."""
    if task in {TaskName.SMILE, TaskName.EYES}:
        return ([build_face(_eye())],)
    person = _person()
    if task == TaskName.SEGMENTATION:
        return ([PreparedPhoto(_WIDTH, _HEIGHT, "png", proxy_srgb=person)],)
    return ([person], [()]) if task == TaskName.ORIENTATION else ([person],)


def _eye() -> Srgb8:
    """Draw an open eye."""
    picture = np.full((_EYE_PX, _EYE_PX, 3), _SKIN, np.uint8)
    middle = (_EYE_PX // 2, _EYE_PX // 2)
    cv2.ellipse(picture, middle, (18, 8), 0, 0, 360, _WHITE, cv2.FILLED)
    cv2.circle(picture, middle, 7, _DARK, cv2.FILLED)
    return picture


def _person() -> Srgb8:
    """Draw a head and shoulders."""
    picture = np.full((_HEIGHT, _WIDTH, 3), _WHITE, np.uint8)
    cv2.ellipse(picture, (_WIDTH // 2, _HEIGHT), (40, 50), 0, 0, 360, _DARK, cv2.FILLED)
    cv2.ellipse(picture, (_WIDTH // 2, _HEIGHT // 3), (20, 27), 0, 0, 360, _SKIN, cv2.FILLED)
    return picture


def _is_finite(value: Any) -> bool:  # noqa: ANN401 - models return many types
    if isinstance(value, float | np.floating):
        return math.isfinite(value)
    if isinstance(value, np.ndarray):
        return bool(np.isfinite(value).all())
    if dataclasses.is_dataclass(value):
        return all(_is_finite(getattr(value, field.name)) for field in dataclasses.fields(value))
    if isinstance(value, Mapping):
        return all(map(_is_finite, value.values()))
    return all(map(_is_finite, value)) if isinstance(value, list | tuple) else True


class KnownFace(FaceView):
    """A face with a known mesh, so that no network has to find it."""

    def __init__(self, picture: Srgb8, face: Face, mesh: Mesh) -> None:
        super().__init__(picture, face)
        self._given_mesh = mesh

    def mesh(self, network: FaceMesh) -> Mesh:
        """Return the known mesh."""
        del network
        return self._given_mesh


def build_face(crop: Srgb8) -> FaceView:
    """Return a face that has the crop as its right eye, and mirrored as its left eye.

    crop: (H, W, 3) uint8 sRGB.  The rest of the face repeats the edges of the crops.
    """
    height, width = crop.shape[:2]
    side = max(height, width)
    apart = round(_SQUARE * side)
    tile = _add_border(crop, apart - height, apart - width)
    band = np.hstack([tile, tile[:, ::-1]])
    above = round(_ABOVE * apart)
    picture = cv2.copyMakeBorder(band, above, round(_BELOW * apart), 0, 0, cv2.BORDER_REPLICATE)
    across = np.array([apart / 2, above + apart / 2], np.float32)
    eye, eyes = np.array([_EYE * side / 2, 0], np.float32), np.array([apart, 0], np.float32)
    middle = across + eyes / 2
    down, aside = np.array([0, apart], np.float32), np.array([_MOUTH_CORNER * apart, 0], np.float32)
    nose, mouth = middle + _NOSE * down, middle + _MOUTH * down
    points = np.tile(nose, (MESH_POINTS, 1))
    points[RIGHT_EYE[0]], points[RIGHT_EYE[1]] = across - eye, across + eye
    points[LEFT_EYE[0]], points[LEFT_EYE[1]] = across + eyes + eye, across + eyes - eye
    # Corners and lips of the mouth; chin, forehead and cheeks, by the numbers of the mesh.
    points[61], points[291] = mouth - aside, mouth + aside
    points[[0, 13, 14, 17]] = mouth
    points[152], points[10] = middle + _CHIN * down, middle - down
    points[234], points[454] = middle - eyes, middle + eyes
    landmarks = (across, across + eyes, nose, mouth - aside, mouth + aside)
    right_eye, left_eye, tip, right_corner, left_corner = (
        (float(x), float(y)) for x, y in landmarks
    )
    face = Face(
        box=(0.0, 0.0, float(picture.shape[1]), float(picture.shape[0])),
        score=1.0,
        landmarks=(right_eye, left_eye, tip, right_corner, left_corner),
    )
    return KnownFace(np.asarray(picture, dtype=np.uint8), face, Mesh(points, presence=1.0))


def _add_border(crop: Srgb8, down: int, across: int) -> Srgb8:
    """Return the crop with the given numbers of additional rows and columns, its edges repeated."""
    top, left = down // 2, across // 2
    border = cv2.copyMakeBorder(crop, top, down - top, left, across - left, cv2.BORDER_REPLICATE)
    return np.asarray(border, dtype=np.uint8)
