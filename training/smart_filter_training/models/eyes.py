"""Eyes: train the network that says whether an eye is open, on small gray patches.

Data are crops of single eyes in the folders open/ and closed/.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
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
from smart_filter_workers.networks.coordinates import Square
from smart_filter_workers.networks.faces import eyes
from smart_filter_workers.networks.faces.eyes import (
    INPUT_NAME,
    PATCH_PX,
    EyePatchNetwork,
    EyeThresholds,
)
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Bools, Bytes, Doubles, Floats
from smart_filter_workers.weights.packaged import bundled_path

Network = Any  # keras ships no types
Rng = np.random.Generator

CARD: Final = TrainingCard(
    TaskName.EYES,
    "lids",
    "eyes.onnx",
    KERAS,
    # Corrections are few.
    fine_tuning={
        "start": "own",
        "epochs": "8",
        "batch_size": "32",
        "learning_rate": "2e-4",
        "held_out_share": "0.2",
    },
)
OWN_WEIGHTS: Final = Path(__file__).parent / "eyes.weights.h5"
# Channels at 32, 16, 8 and 4 pixels; 219,000 parameters.
WIDTHS: Final = (16, 32, 64, 96)
# Some crops are in the wrong class, and some are ambiguous: no target is surer than this allows.
LABEL_SMOOTHING: Final = 0.04

# Name of the folder, and whether its eyes are open.
CLASSES: Final = (("closed", False), ("open", True))
# Side of the crops in memory: one and a half patches, to leave room for shifts.
SIDE_PX: Final = 48
# A smaller crop shows no lids; a crop with a larger ratio of its sides shows no single eye.
MIN_PX: Final = 12
_MAX_SIDE_RATIO: Final = 2.5
# Crops with only a number: neighbors show the two eyes of one photo.
_NEIGHBORS: Final = 10
# A class with fewer crops cannot be on both sides of the split.
_MIN_PER_CLASS: Final = 2
_TOO_FEW: Final = "has too few open or closed eyes to train and to validate on"

# How far a face mesh, or the author of a data set, misses an eye: deviations in sides of the crop,
# in radians, and of the logarithm of the side.
SHIFT_ACROSS, SHIFT_DOWN, TURN, SCALE = 0.04, 0.05, 0.11, 0.09
# Small faces are enlarged.
SMALL_SHARE, SMALL_PX = 0.25, (12, 32)
BLURRED_SHARE, BLUR_PX = 0.2, (0.4, 1.5)
SHAKEN_SHARE, SHAKE_PX = 0.1, 5
GAMMA_SHARE, GAMMA = 0.5, 0.35
SIDE_LIGHT_SHARE, SIDE_LIGHT = 0.4, 0.8
CONTRAST, BRIGHTNESS = (0.6, 1.3), (-0.15, 0.15)
# Glasses shine; their rims, and hair, are dark.
SHINE_SHARE, SHINE_WIDTH, SHINE = 0.1, (0.03, 0.2), (0.2, 0.8)
RIM_SHARE, RIM_WIDTH, RIM = 0.1, (0.02, 0.06), (0.3, 0.9)
NOISE_SHARE, NOISE = 0.4, (0.005, 0.04)

# Fewer crops than this make thresholds that fit their noise.
MIN_TO_CHOOSE_THRESHOLDS: Final = 200
# The share of open eyes that may be called shut; between the two thresholds an eye is unknown.
_OPEN_CALLED_SHUT: Final = 0.005
_PREDICT_BATCH: Final = 256
# Crops on which the exported network is compared.
_COMPARED: Final = 256


@dataclass(frozen=True, slots=True)
class Configuration:
    """The settings of a run; the defaults made the weights in the repository.

    only: learn from one source, the text before the first _ in the names of its files, such as
    cew; "" for all.  start: a file of Keras weights to start with, `own` for those in the
    repository, or "" for random ones.
    half_precision: whether layers multiply in bfloat16.
    """

    seed: int = 0
    only: str = ""
    start: str = ""
    epochs: int = 36
    batch_size: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 0.02
    dropout: float = 0.3
    half_precision: bool = True
    held_out_share: float = 0.12


def read_folder(folder: Path, configuration: Configuration) -> Data:
    """Read a folder; the label is whether the eye is open, (N,) bool.

    Both eyes of a photo are on one side of the split.  Raises FolderUnreadable.
    """
    crops = read_crops(folder, only=configuration.only)
    train_part, validation = _split(crops, configuration)
    if not _has_both_classes(train_part) or not _has_both_classes(validation):
        raise FolderUnreadable(f"{folder} {_TOO_FEW}")
    digest = preflight.compute_digest([crops.pictures.tobytes(), crops.labels.tobytes()])
    return Data(train_part, validation, digest)


def read_crops(folder: Path, *, only: str = "") -> Examples:
    """Read all crops, (N, SIDE_PX, SIDE_PX) uint8 gray, or those of the source `only`.

    Raises FolderUnreadable.
    """
    names, crops, is_open = [], [], []
    for name, opened in CLASSES:
        for path in _list_crops(folder / name, only):
            names.append(f"{name}/{path.name}")
            crops.append(_to_gray_square(dataset_files.read_photo(path).srgb))
            is_open.append(opened)
    if not names:
        raise FolderUnreadable(f"{folder} has no files {only}_*")
    return Examples(tuple(names), np.stack(crops), np.array(is_open))


def check_data(folder: Path, configuration: Configuration) -> Iterator[Finding]:
    """Find the problems of a folder."""
    crops: list[tuple[str, bool, Bytes]] = []
    for name, opened in CLASSES:
        try:
            paths = _list_crops(folder / name, configuration.only)
        except FolderUnreadable as error:
            remedy = "put crops of eyes into open and closed"
            yield preflight.describe_unreadable(str(folder / name), folder / name, error, remedy)
            continue
        yield from preflight.check_class_sizes(
            {f"{name} eyes": len(paths)}, where=str(folder / name), least=_MIN_PER_CLASS
        )
        for path in paths:
            try:
                srgb = dataset_files.read_photo(path).srgb
            except FolderUnreadable as error:
                remedy = "replace or remove the file"
                yield preflight.describe_unreadable(f"{name}/{path.name}", path, error, remedy)
                continue
            yield from _check_size(f"{name}/{path.name}", srgb.shape[0], srgb.shape[1])
            crops.append((f"{name}/{path.name}", opened, _to_gray_square(srgb)))
    yield from _check_look_alikes(crops, configuration)
    yield from _check_split(crops, folder, configuration)


def group_of(name: str) -> str:
    """Return the person or photo of a crop, as far as its file name says.

    CEW has names like NAME_0001_L and closed_eye_0001.jpg_face_1_L.  Crops that are only numbered
    are neighbors of others of the same photo.
    """
    stem = name.rpartition("/")[2].rpartition(".")[0]
    start, _, end = stem.rpartition("_")
    if end.isdigit():
        return f"{start}{int(end) // _NEIGHBORS}"
    if "_face_" in start:
        return start.partition(".")[0]
    person, _, photo = start.rpartition("_")
    return (person if photo.isdigit() else start) or stem


def augment(rng: Rng, crops: Bytes) -> Floats:
    """Return crops with random framing and light: (N, SIZE_PX, SIZE_PX, 1) float32 in 0..1.

    crops: (N, H, H) uint8 gray.  Half of them are mirrored: eyes come from both sides.
    """
    return np.stack([_augment_crop(rng, crop) for crop in crops])[..., np.newaxis]


def to_inputs(crops: Bytes) -> Floats:
    """Return whole crops as the network takes them: (N, SIZE_PX, SIZE_PX, 1) float32 in 0..1."""
    side = crops.shape[1]
    whole = Square(center=(side / 2, side / 2), side=float(side), angle=0.0)
    return np.stack([whole.cut(crop, PATCH_PX) for crop in crops])[..., np.newaxis]


def train(data: Data, configuration: Configuration, record: RunRecord) -> Network:
    """Train a network, or resume the record's run.

    Raises SetupFailed when the file to start with does not fit.
    """
    import keras  # noqa: PLC0415 - reading and checking data needs no framework

    from smart_filter_training import keras_learner  # noqa: PLC0415 - as above

    return keras_learner.train(
        keras_learner.start(build_network, configuration, trained=OWN_WEIGHTS),
        data,
        configuration,
        record,
        augment=augment,
        to_inputs=to_inputs,
        to_targets=_to_targets,
        loss=keras.losses.BinaryCrossentropy(label_smoothing=LABEL_SMOOTHING),
    )


def build_network(configuration: Configuration) -> Network:
    """Return the untrained network: (N, SIZE_PX, SIZE_PX, 1) in 0..1 to (N, 1), how open.

    It normalizes each patch to mean 0 and deviation 1, so that light and exposure count little.
    """
    import keras  # noqa: PLC0415 - reading and checking data needs no framework

    from smart_filter_training import keras_learner  # noqa: PLC0415 - as above

    patch = keras.Input((PATCH_PX, PATCH_PX, 1), name=INPUT_NAME)
    values = keras.layers.LayerNormalization(
        axis=[1, 2, 3], center=False, scale=False, epsilon=1e-3, dtype="float32"
    )(patch)
    values = keras.layers.ReLU()(keras_learner.add_convolution(values, WIDTHS[0]))
    for width in WIDTHS[1:]:
        values = keras_learner.add_halving_block(values, width)
    values = keras.layers.Dropout(configuration.dropout)(
        keras.layers.GlobalAveragePooling2D()(values)
    )
    # In full precision: the loss takes the logarithm of values near 0 and 1.
    is_open = keras.layers.Dense(1, activation="sigmoid", dtype="float32")(values)
    return keras.Model(patch, is_open, name="eyes")


def compute_figures(network: Network, data: Data) -> dict[str, Figure]:
    """Return the figures on the validation split, at thresholds that are chosen on it."""
    openness = _predict(network, data.validation)
    thresholds = _choose_thresholds(openness, data.validation)
    return _compute_figures(openness, data.validation, thresholds)


def measure(file: Path, folder: Path) -> dict[str, Figure]:
    """Return the figures of an exported file on a folder of crops, by its own thresholds.

    Raises FolderUnreadable, SetupFailed.
    """
    network = EyePatchNetwork(file.read_bytes())
    crops = read_crops(folder)
    openness = network(to_inputs(crops.pictures)[..., 0])
    return _compute_figures(openness, crops, network.cuts)


def export(network: Network, data: Data, folder: Path) -> Exported:
    """Write the file with the thresholds that suit it.  Raises SetupFailed."""
    from smart_filter_training import keras_learner  # noqa: PLC0415 - checks need no framework

    exact = keras_learner.to_full_precision(network)
    thresholds = _choose_thresholds(_predict(exact, data.validation), data.validation)
    return onnx_export.to_onnx(
        exact,
        folder / CARD.file,
        inputs=to_inputs(data.validation.pictures[:_COMPARED]),
        metadata={eyes.THRESHOLDS_KEY: json.dumps(asdict(thresholds))},
    )


def choose_thresholds(openness: Floats, is_open: Bools) -> EyeThresholds:
    """Return the thresholds that suit crops: openness (N,) in 0..1, is_open (N,) bool.

    Open: the value with the most right answers, in the middle of the longest such stretch.
    Shut: as high as hardly any open eye lies below, and at most the other threshold.
    """
    edges = np.concatenate([[0.0], np.unique(openness), [1.0]]).astype(np.float64)
    middles = (edges[:-1] + edges[1:]) / 2
    right = np.array([((openness > middle) == is_open).sum() for middle in middles])
    widths = np.where(right == right.max(), edges[1:] - edges[:-1], -1)
    open_above = float(middles[int(widths.argmax())])
    lowest = float(np.quantile(openness[is_open], _OPEN_CALLED_SHUT, method="lower"))
    return EyeThresholds(shut_below=min(lowest, open_above), open_above=open_above)


def _list_crops(folder: Path, only: str) -> list[Path]:
    paths = dataset_files.list_pictures(folder)
    return [path for path in paths if not only or dataset_files.group_prefix(path.name) == only]


def _split(crops: Examples, configuration: Configuration) -> tuple[Examples, Examples]:
    """Split crops by photo; crops that look the same are on one side."""
    groups = examples.group_look_alikes([group_of(name) for name in crops.names], crops.pictures)
    return examples.split(crops, groups, share=configuration.held_out_share)


def _check_look_alikes(
    crops: list[tuple[str, bool, Bytes]], configuration: Configuration
) -> Iterator[Finding]:
    """Find crops that occur twice: as open and as closed, or with different groups."""
    if not crops:
        return
    names = [name for name, _, _ in crops]
    hashes = [preflight.hash_picture(crop) for _, _, crop in crops]
    first: dict[int, tuple[str, bool]] = {}
    for (name, opened, _), code in zip(crops, hashes, strict=True):
        other, other_opened = first.setdefault(code, (name, opened))
        if opened != other_opened:
            yield Finding(name, f"looks like {other}", "remove the one that is in the wrong class")
    groups = [group_of(name) for name in names]
    validates = examples.hold_out(groups, share=configuration.held_out_share)
    for finding in preflight.check_leakage(hashes, names, validates):
        yield Finding(
            finding.where, finding.what, "nothing: a run puts both on one side", fatal=False
        )


def _check_split(
    labeled: list[tuple[str, bool, Bytes]], folder: Path, configuration: Configuration
) -> Iterator[Finding]:
    """Find that a side of the split lacks a class; another check finds a missing class."""
    names, is_open, pictures = zip(*labeled, strict=True) if labeled else ((), (), ())
    if not _MIN_PER_CLASS <= sum(is_open) <= len(labeled) - _MIN_PER_CLASS:
        return
    crops = Examples(names, np.stack(pictures), np.array(is_open))
    if not all(_has_both_classes(part) for part in _split(crops, configuration)):
        yield Finding(str(folder), _TOO_FEW, "add eyes of other people")


def _check_size(name: str, height: int, width: int) -> Iterator[Finding]:
    if min(height, width) < MIN_PX:
        yield Finding(
            name,
            f"is {width}×{height} pixels, less than {MIN_PX} show no lids",
            "remove the file",
        )
    elif max(height, width) > _MAX_SIDE_RATIO * min(height, width):
        yield Finding(
            name,
            f"is {width}×{height} pixels, not a crop of one eye",
            "cut squares around single eyes",
        )


def _to_gray_square(srgb: Bytes) -> Bytes:
    """Return the whole of a crop as (SIDE_PX, SIDE_PX) uint8 gray, its shorter edges repeated."""
    height, width = srgb.shape[:2]
    square = Square(center=(width / 2, height / 2), side=float(max(height, width)), angle=0.0)
    gray = cv2.cvtColor(square.cut(srgb, SIDE_PX), cv2.COLOR_RGB2GRAY)
    return np.asarray(np.rint(gray * 255), dtype=np.uint8)


def _has_both_classes(crops: Examples) -> bool:
    return bool(crops.labels.any() and not crops.labels.all())


def _augment_crop(rng: Rng, crop: Bytes) -> Floats:
    if rng.random() < SMALL_SHARE:
        side = int(rng.integers(*SMALL_PX))
        crop = np.asarray(cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
    if rng.random() < 1 / 2:
        crop = np.ascontiguousarray(crop[:, ::-1])
    patch = _cover(rng, _relight(rng, _blur(rng, _shift(rng, crop))))
    if rng.random() < NOISE_SHARE:
        patch = patch + rng.normal(0, rng.uniform(*NOISE), patch.shape).astype(np.float32)
    return np.asarray(np.clip(patch, 0, 1), dtype=np.float32)


def _shift(rng: Rng, crop: Bytes) -> Floats:
    side = len(crop)
    square = Square(
        center=(
            side * (0.5 + float(rng.normal(0, SHIFT_ACROSS))),
            side * (0.5 + float(rng.normal(0, SHIFT_DOWN))),
        ),
        side=side * float(np.exp(rng.normal(0, SCALE))),
        angle=float(rng.normal(0, TURN)),
    )
    return square.cut(crop, PATCH_PX)


def _blur(rng: Rng, patch: Floats) -> Floats:
    """Put some patches out of focus, and shake some."""
    if rng.random() < BLURRED_SHARE:
        patch = np.asarray(cv2.GaussianBlur(patch, (0, 0), rng.uniform(*BLUR_PX)), np.float32)
    if rng.random() < SHAKEN_SHARE:
        shape = (1, SHAKE_PX) if rng.random() < 1 / 2 else (SHAKE_PX, 1)
        patch = np.asarray(cv2.blur(patch, shape), np.float32)
    return patch


def _relight(rng: Rng, patch: Floats) -> Floats:
    """Change the light of a patch: its curve, from one side, and as a whole."""
    if rng.random() < GAMMA_SHARE:
        patch = np.asarray(patch ** np.exp(rng.normal(0, GAMMA)), np.float32)
    if rng.random() < SIDE_LIGHT_SHARE:
        patch = patch * (1 + rng.uniform(0, SIDE_LIGHT) * _distances(rng.uniform(0, 2 * np.pi)))
    return np.asarray(patch * rng.uniform(*CONTRAST) + rng.uniform(*BRIGHTNESS), np.float32)


def _cover(rng: Rng, patch: Floats) -> Floats:
    """Put some patches behind shining glass, and some behind a rim or a strand of hair."""
    if rng.random() < SHINE_SHARE:
        patch = patch + (1 - patch) * _draw_line(rng, SHINE_WIDTH) * rng.uniform(*SHINE)
    if rng.random() < RIM_SHARE:
        patch = patch * (1 - _draw_line(rng, RIM_WIDTH) * rng.uniform(*RIM))
    return patch


def _draw_line(rng: Rng, width: tuple[float, float]) -> Floats:
    """Return the coverage of each pixel by a soft line: (SIZE_PX, SIZE_PX) float32 in 0..1."""
    distance = np.abs(_distances(rng.uniform(0, np.pi)) - rng.uniform(-0.4, 0.4))
    return np.asarray(np.clip(1 - (distance / rng.uniform(*width)) ** 2, 0, 1), np.float32)


def _distances(angle: float) -> Floats:
    """Return the distance of each pixel from the middle along a direction, in sides."""
    rows, columns = (np.mgrid[0:PATCH_PX, 0:PATCH_PX].astype(np.float32) + 0.5) / PATCH_PX - 0.5
    return np.asarray(np.cos(angle) * columns + np.sin(angle) * rows, np.float32)


def _to_targets(crops: Examples) -> Floats:
    """Return the targets of the network: (N, 1) float32, 1 open."""
    return crops.labels.astype(np.float32)[:, np.newaxis]


def _predict(network: Network, crops: Examples) -> Floats:
    """Return how open eyes are for a network in training, (N,), as the product computes it."""
    patches = to_inputs(crops.pictures)
    views = (patches, patches[:, :, ::-1])
    openness = [network.predict(view, batch_size=_PREDICT_BATCH, verbose=0)[:, 0] for view in views]
    return np.asarray(np.mean(openness, axis=0), dtype=np.float32)


def _choose_thresholds(openness: Floats, crops: Examples) -> EyeThresholds:
    """Return the thresholds for these crops; with too few, those of the repository's weights."""
    if len(crops.names) < MIN_TO_CHOOSE_THRESHOLDS:
        return EyePatchNetwork(bundled_path(eyes.PATCH_WEIGHTS.name).read_bytes()).cuts
    return choose_thresholds(openness, crops.labels)


def _compute_figures(
    openness: Floats, crops: Examples, thresholds: EyeThresholds
) -> dict[str, Figure]:
    called = np.where(
        openness > thresholds.open_above, 1.0, np.where(openness < thresholds.shut_below, 0.0, 0.5)
    )
    numbers = np.stack([crops.labels, openness, called], axis=1).astype(np.float64)
    return confidence_intervals.compute_figures(numbers, _figures)


def _figures(numbers: Doubles, weights: Doubles) -> Mapping[str, float]:
    is_open, openness, called = numbers.T
    is_known = (called != 0.5).astype(np.float64)  # noqa: PLR2004 - neither 0 nor 1
    return {
        # Unknown counts as not open, as it does in a rating.
        "accuracy": metrics.weighted_mean(((called == 1) == is_open).astype(np.float64), weights),
        "accuracy_told": metrics.weighted_mean(
            (called == is_open).astype(np.float64), weights * is_known
        ),
        "told": metrics.weighted_mean(is_known, weights),
        "auc": metrics.auc(openness, is_open > 0, weights),
    }
