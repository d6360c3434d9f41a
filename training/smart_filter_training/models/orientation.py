"""Orientation: train the network that says which way up a photo without a face stands.

It learns from upright photos alone: the network turns them itself. Data are upright photos; crops
without a face are cut out of them.
"""

import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from smart_filter_shared.errors import FolderUnreadable
from smart_filter_shared.pipeline import TaskName
from smart_filter_training import examples, onnx_export, preflight
from smart_filter_training.card import KERAS, TrainingCard
from smart_filter_training.evaluation import confidence_intervals, dataset_files, metrics
from smart_filter_training.evaluation.confidence_intervals import Figure
from smart_filter_training.examples import Data, Examples
from smart_filter_training.onnx_export import Exported
from smart_filter_training.preflight import Finding
from smart_filter_training.run_record import RunRecord
from smart_filter_workers.networks import orientation
from smart_filter_workers.networks.coordinates import Box
from smart_filter_workers.networks.orientation import (
    INPUT_NAME,
    QUARTER_TURNS,
    SIZE_PX,
    SceneNetwork,
    resize_scene,
)
from smart_filter_workers.networks.runtimes.cascades import Cascade, DetectionOptions
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Bytes, Doubles, Floats, Srgb8

# Keras ships no types.
Network = Any
Tensor = Any
Rng = np.random.Generator

CARD: Final = TrainingCard(
    TaskName.ORIENTATION,
    "scenes",
    "orientation.onnx",
    KERAS,
)
# Channels at 32, 16, 8 and 4 pixels; 113,000 parameters.
WIDTHS: Final = (12, 24, 48, 64)
# The orientation of many crops is ambiguous.
LABEL_SMOOTHING: Final = 0.1

# Side of the crops in memory: a little more than the network's input, to leave room for shifts.
SIDE_PX: Final = 80
MIN_PX: Final = 64
MIN_PHOTOS: Final = 20
# Faces are detected at this size, by OpenCV's cascade: it comes with the package.
_DETECTION_PX: Final = 480
_CASCADE: Final = "haarcascade_frontalface_alt2"
_DETECTION: Final = DetectionOptions(scale_factor=1.1, neighbors=3, least_px=24)
# How far hair, chin and neck reach beyond a face's box, in its widths and heights.
_ASIDE, _ABOVE, _BELOW = 0.4, 0.5, 0.35
# A crop's sides as shares of the photo's, their highest ratio, and the attempts for each crop.
_SIDE_SHARES: Final = (0.35, 1.0)
_MAX_SIDE_RATIO: Final = 2.0
_ATTEMPTS: Final = 12
# The folder with the photos of a data set that also has masks.
_IMAGES: Final = "images"

MIN_SIDE_SHARE: Final = 0.75
GAMMA: Final = 0.25
COLOR, BRIGHTNESS = (0.8, 1.2), (-25.0, 25.0)
GRAY_SHARE: Final = 0.15
BLURRED_SHARE, BLUR_PX = 0.2, (0.4, 1.2)

# The share of upright validation scenes that may be turned. The promise for photos is twice that,
# because photos differ more from the training photos than these scenes do.
_MAX_HARMED: Final = 0.005
_JUST_ABOVE: Final = 1e-4
_PREDICT_BATCH: Final = 64
# Scenes on which the exported network is compared.
_COMPARED: Final = 128


@dataclass(frozen=True, slots=True)
class Configuration:
    """The settings of a run; the defaults made the weights in the repository.

    crops: how many crops without a face are cut from each photo.  start: a file of Keras weights
    to start with, or "" for random ones.  half_precision: whether layers multiply in bfloat16.
    """

    seed: int = 0
    start: str = ""
    crops: int = 3
    epochs: int = 8
    batch_size: int = 32
    learning_rate: float = 3e-3
    weight_decay: float = 0.05
    dropout: float = 0.4
    half_precision: bool = True
    held_out_share: float = 0.15


def read_folder(folder: Path, configuration: Configuration) -> Data:
    """Read a folder: upright crops, (N, SIDE_PX, SIDE_PX, 3) uint8 sRGB, stretched.

    The name of a crop is its photo's path in the folder; all crops of a photo are on one side of
    the split.  The label is the turn that each needs, always 0.  Raises FolderUnreadable.
    """
    cascade = Cascade(_CASCADE)
    names: list[str] = []
    crops: list[Bytes] = []
    for path in list_photos(folder):
        name = str(path.relative_to(folder))
        cut = _cut_crops(name, dataset_files.read_photo(path).srgb, cascade, configuration)
        names += [name] * len(cut)
        crops += cut
    if not crops:
        raise FolderUnreadable(f"{folder} has no photo with room next to its faces")
    scenes = Examples(tuple(names), np.stack(crops), np.zeros(len(crops), np.int64))
    train_part, validation = examples.split(scenes, names, share=configuration.held_out_share)
    if not train_part.names or not validation.names:
        raise FolderUnreadable(f"{folder} has too few photos to train and to validate on")
    return Data(train_part, validation, preflight.compute_digest([scenes.pictures.tobytes()]))


def list_photos(folder: Path) -> list[Path]:
    """Return the photos of a folder, or of every folder `images` in it.

    Raises FolderUnreadable.
    """
    inner = sorted(path for path in folder.rglob(_IMAGES) if path.is_dir())
    return [path for place in (inner or [folder]) for path in dataset_files.list_pictures(place)]


def check_data(folder: Path, configuration: Configuration) -> Iterator[Finding]:
    """Find the problems of a folder; a program cannot check whether photos are upright."""
    try:
        paths = list_photos(folder)
    except FolderUnreadable as error:
        remedy = "put upright photos there, or into images/"
        yield preflight.describe_unreadable(str(folder), folder, error, remedy)
        return
    yield from preflight.check_class_sizes(
        {"photos": len(paths)}, where=str(folder), least=MIN_PHOTOS
    )
    cascade = Cascade(_CASCADE)
    names, hashes = [], []
    # The sides of the split that have a photo with room next to its faces.
    sides: set[bool] = set()
    for path in paths:
        name = str(path.relative_to(folder))
        try:
            srgb = dataset_files.read_photo(path).srgb
        except FolderUnreadable as error:
            yield preflight.describe_unreadable(name, path, error, "replace or remove the file")
            continue
        if min(srgb.shape[:2]) < MIN_PX:
            yield Finding(
                name,
                f"is {srgb.shape[1]}×{srgb.shape[0]} pixels, less than {MIN_PX}",
                "nothing: no crop of it is used",
                fatal=False,
            )
        side = bool(examples.hold_out([name], share=configuration.held_out_share)[0])
        if side not in sides and _cut_crops(name, srgb, cascade, configuration):
            sides.add(side)
        names.append(name)
        gray = cv2.cvtColor(srgb, cv2.COLOR_RGB2GRAY).astype(np.uint8)
        hashes.append(preflight.hash_picture(gray))
    validates = examples.hold_out(names, share=configuration.held_out_share)
    yield from preflight.check_leakage(hashes, names, validates)
    if len(paths) >= MIN_PHOTOS and len(sides) < 2:  # noqa: PLR2004 - both sides
        what = "has too few photos with room next to their faces to train and to validate on"
        yield Finding(str(folder), what, "add photos")


def is_clear_of(crop: Box, faces: list[Box]) -> bool:
    """Return whether a crop overlaps no head; boxes are left, top, right and bottom."""
    left, top, right, bottom = crop
    return all(
        right <= start or left >= end or bottom <= above or top >= below
        for start, above, end, below in (_enlarge_to_head(face) for face in faces)
    )


def augment(rng: Rng, scenes: Bytes) -> Floats:
    """Return scenes with random framing and light: (N, SIZE_PX, SIZE_PX, 3) float32 of 0..255.

    scenes: (N, H, H, 3) uint8 sRGB.  Half of them are mirrored; all stay upright.
    """
    return np.stack([_augment_scene(rng, scene) for scene in scenes])


def to_inputs(scenes: Bytes) -> Floats:
    """Return scenes as the network takes them: (N, SIZE_PX, SIZE_PX, 3) float32 of 0..255."""
    return np.stack([_resize(scene) for scene in scenes]).astype(np.float32)


def train(data: Data, configuration: Configuration, record: RunRecord) -> Network:
    """Train a network, or resume the record's run.

    Raises SetupFailed when the file to start with does not fit.
    """
    import keras  # noqa: PLC0415 - reading and checking data needs no framework

    from smart_filter_training import keras_learner  # noqa: PLC0415 - as above

    return keras_learner.train(
        keras_learner.start(build_network, configuration),
        data,
        configuration,
        record,
        augment=augment,
        to_inputs=to_inputs,
        to_targets=_to_targets,
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=LABEL_SMOOTHING),
    )


def build_network(configuration: Configuration) -> Network:
    """Return the untrained network: scenes to (N, QUARTER_TURNS), the probability of each turn.

    It takes (N, SIZE_PX, SIZE_PX, 3) float32 of 0..255 RGB.  The same layers score each of the
    four turns of a scene, so that they know all turns equally well and each photo teaches all four.
    """
    import keras  # noqa: PLC0415 - reading and checking data needs no framework

    from smart_filter_training import keras_learner  # noqa: PLC0415 - as above

    scene = keras.Input((SIZE_PX, SIZE_PX, 3), name=INPUT_NAME)
    # The scene turned counter-clockwise by 0, 1, 2 and 3 quarters.
    transposed = keras.ops.transpose(scene, (0, 2, 1, 3))
    turns = [
        scene,
        keras.ops.flip(transposed, axis=1),
        keras.ops.flip(scene, axis=(1, 2)),
        keras.ops.flip(transposed, axis=2),
    ]
    values = keras.layers.Concatenate(axis=0)(turns)
    values = keras.layers.Rescaling(1 / 127.5, offset=-1.0)(values)
    values = keras.layers.ReLU()(keras_learner.add_convolution(values, WIDTHS[0], strides=2))
    for width in WIDTHS[1:]:
        values = keras_learner.add_halving_block(values, width)
    # Flattened, not averaged: the place of the sky tells the orientation.
    values = keras.layers.Dropout(configuration.dropout)(keras.layers.Flatten()(values))
    scores = keras.layers.Dense(1, use_bias=False, dtype="float32")(values)
    by_turn = keras.ops.transpose(keras.ops.reshape(scores, (QUARTER_TURNS, -1)))
    return keras.Model(scene, keras.layers.Softmax(dtype="float32")(by_turn), name="orientation")


def compute_figures(network: Network, data: Data) -> dict[str, Figure]:
    """Return the figures on the validation split, at the threshold that is chosen on it."""
    shares = _predict(network, data)
    return _compute_figures(shares, choose_threshold(shares))


def measure(file: Path, folder: Path) -> dict[str, Figure]:
    """Return the figures of an exported file on upright photos, by its own threshold.

    Photos with faces count too.  Raises FolderUnreadable, SetupFailed.
    """
    network = SceneNetwork(file.read_bytes())
    photos = [dataset_files.read_photo(path).srgb for path in list_photos(folder)]
    shares = network(np.stack([resize_scene(srgb) for srgb in photos]))
    return _compute_figures(shares, network.sure_above)


def export(network: Network, data: Data, folder: Path) -> Exported:
    """Write the file with the threshold that suits it.  Raises SetupFailed."""
    from smart_filter_training import keras_learner  # noqa: PLC0415 - checks need no framework

    exact = keras_learner.to_full_precision(network)
    threshold = choose_threshold(_predict(exact, data))
    return onnx_export.to_onnx(
        exact,
        folder / CARD.file,
        inputs=to_inputs(data.validation.pictures[:_COMPARED]),
        metadata={orientation.THRESHOLD_KEY: json.dumps(threshold)},
    )


def choose_threshold(shares: Floats) -> float:
    """Return the least probability of a turn that is believed, so that few upright scenes turn.

    shares: (N, 4), the probability of each turn of upright scenes.
    """
    wrong = np.where(shares.argmax(axis=1) == 0, 0.0, shares.max(axis=1))
    surest_first = np.sort(wrong)[::-1]
    allowed = int(_MAX_HARMED * len(wrong))
    return float(min(1.0, surest_first[allowed] + _JUST_ABOVE))


def _cut_crops(
    name: str, srgb: Srgb8, cascade: Cascade, configuration: Configuration
) -> list[Bytes]:
    """Cut upright crops without a face out of a photo, as many as are configured or fit."""
    # The crops depend on the photo and the seed alone.
    rng = np.random.default_rng((configuration.seed, zlib.crc32(name.encode())))
    count = configuration.crops
    scale = min(1.0, _DETECTION_PX / max(srgb.shape[:2]))
    size = (max(1, round(srgb.shape[1] * scale)), max(1, round(srgb.shape[0] * scale)))
    small = np.asarray(cv2.resize(srgb, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    if min(size) < MIN_PX:
        return []
    gray = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    faces = list(cascade(gray, _DETECTION))
    crops: list[Bytes] = []
    for _ in range(_ATTEMPTS * count):
        if len(crops) == count:
            break
        width, height = (side * rng.uniform(*_SIDE_SHARES) for side in size)
        left, top = rng.uniform(0, size[0] - width), rng.uniform(0, size[1] - height)
        is_oblong = max(width, height) > _MAX_SIDE_RATIO * min(width, height)
        if is_oblong or not is_clear_of((left, top, left + width, top + height), faces):
            continue
        part = small[round(top) : round(top + height), round(left) : round(left + width)]
        resized = cv2.resize(part, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)
        crops.append(np.asarray(resized, dtype=np.uint8))
    return crops


def _enlarge_to_head(face: Box) -> Box:
    left, top, right, bottom = face
    width, height = right - left, bottom - top
    return (
        left - _ASIDE * width,
        top - _ABOVE * height,
        right + _ASIDE * width,
        bottom + _BELOW * height,
    )


def _augment_scene(rng: Rng, scene: Bytes) -> Floats:
    side = len(scene)
    width, height = (int(side * rng.uniform(MIN_SIDE_SHARE, 1)) for _ in range(2))
    left, top = int(rng.integers(0, side - width + 1)), int(rng.integers(0, side - height + 1))
    part = _resize(scene[top : top + height, left : left + width])
    if rng.random() < 1 / 2:
        part = np.ascontiguousarray(part[:, ::-1])
    if rng.random() < GRAY_SHARE:
        part = np.repeat(cv2.cvtColor(part, cv2.COLOR_RGB2GRAY)[..., np.newaxis], 3, axis=2)
    if rng.random() < BLURRED_SHARE:
        part = np.asarray(cv2.GaussianBlur(part, (0, 0), rng.uniform(*BLUR_PX)), dtype=np.uint8)
    table = 255 * (np.arange(256) / 255) ** np.exp(rng.normal(0, GAMMA))
    relit = table[part] * rng.uniform(*COLOR, 3) + rng.uniform(*BRIGHTNESS)
    return np.asarray(np.clip(relit, 0, 255), dtype=np.float32)


def _resize(scene: Bytes) -> Bytes:
    method = cv2.INTER_AREA if min(scene.shape[:2]) >= SIZE_PX else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(scene, (SIZE_PX, SIZE_PX), interpolation=method), dtype=np.uint8)


def _to_targets(scenes: Examples) -> Floats:
    """Return the targets of the network, (N, QUARTER_TURNS) float32: no turn is needed."""
    return np.asarray(np.eye(QUARTER_TURNS)[scenes.labels], dtype=np.float32)


def _predict(network: Network, data: Data) -> Floats:
    """Return the probability of each turn of validation scenes, (N, 4), from a network."""
    inputs = to_inputs(data.validation.pictures)
    return np.asarray(network.predict(inputs, batch_size=_PREDICT_BATCH, verbose=0), np.float32)


def _compute_figures(shares: Floats, threshold: float) -> dict[str, Figure]:
    best, surest = shares.argmax(axis=1), shares.max(axis=1)
    # The network treats all turns alike: a figure of upright scenes holds for all four turns.
    numbers = np.stack([best == 0, surest >= threshold], axis=1).astype(np.float64)
    return confidence_intervals.compute_figures(numbers, _figures)


def _figures(numbers: Doubles, weights: Doubles) -> Mapping[str, float]:
    right, sure = numbers.T
    return {
        "accuracy": metrics.weighted_mean(right, weights),
        "told": metrics.weighted_mean(sure, weights),
        "accuracy_told": metrics.weighted_mean(right, weights * sure),
        "harmed": metrics.weighted_mean((1 - right) * sure, weights),
    }
