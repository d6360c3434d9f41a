"""Train the network of expressions."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.pipeline import TaskName
from smart_filter_training import onnx_export
from smart_filter_training.card import KERAS, TrainingCard
from smart_filter_training.evaluation import confidence_intervals, metrics
from smart_filter_training.evaluation.confidence_intervals import Figure
from smart_filter_training.examples import Data, Examples
from smart_filter_training.models.expression import votes
from smart_filter_training.onnx_export import Exported
from smart_filter_training.preflight import Finding
from smart_filter_training.run_record import RunRecord
from smart_filter_workers.networks.faces import expression
from smart_filter_workers.networks.faces.expression import ExpressionNetwork, ExpressionScores
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Bytes, Doubles, Floats
from smart_filter_workers.weights.packaged import bundled_path

Network = Any  # keras ships no types
Counts = NDArray[np.int64]
Rng = np.random.Generator
# The least scores of mild, moderate and huge smiles.
Thresholds = tuple[float, float, float]

CARD: Final = TrainingCard(
    TaskName.SMILE,
    "expression",
    "expression.onnx",
    KERAS,
    # Corrections are few, and correct the smile alone.
    fine_tuning={
        "start": "own",
        "known": "smile",
        "epochs": "8",
        "batch_size": "32",
        "learning_rate": "2e-4",
        "held_out_share": "0.2",
    },
)
OWN_WEIGHTS: Final = Path(__file__).parent / "expression.weights.h5"
# The outputs of the network with their weights in the loss. Both counts of smiles are similar.
LOSS_WEIGHTS: Final = {"emotion": 1.0, "smile": 0.5, "smile_or_surprise": 0.5}

# The error of a detector's square: pixels of 48, a factor, degrees.
SHIFT_PX: Final = 3.0
SCALE: Final = 0.14
TURN_DEGREES: Final = 14.0
SHEAR: Final = 0.08
# Light: a power and a factor, each by its distance from 1, and levels up or down.
GAMMA: Final = 0.4
CONTRAST: Final = 0.3
BRIGHTNESS: Final = 25.0
# Small faces are enlarged, compressed ones are blocky, and hands and hair cover some.
SMALL_SHARE, SMALL_PX = 0.15, (18, 40)
JPEG_SHARE, JPEG_QUALITY = 0.15, (15, 70)
COVERED_SHARE, COVERED_PX = 0.25, (6, 18)

# Fewer faces than this make thresholds that fit their noise: 3 in 100 each are mild and moderate.
MIN_TO_CHOOSE_THRESHOLDS: Final = 500
# The candidates are quantiles of the scores of all smiling faces; this is their number.
_CANDIDATES: Final = 40
# Bootstrap samples of the faces. On halves of the validation crops, thresholds that are the mean of
# those of a dozen samples gain 0.02 of macro F1 over one search, and lose no accuracy.
_SAMPLES: Final = 24
# The value of a point of macro F1 in points of accuracy. Accuracy alone is highest without any
# answer mild or moderate, 3 faces in 100 each; macro F1 alone gives these answers too often.
_F1_VALUE: Final = 2.0
# "A smile": at least half of the raters see happiness.
_HALF: Final = votes.RATERS // 2
# A lower bound of probabilities, so that their logarithm is finite.
_MIN_PROBABILITY: Final = 1e-6
# A published notebook measured without a third of the faces that do not smile.
_NOTEBOOK_SHARE: Final = 2 / 3
_PREDICT_BATCH: Final = 256
# Crops on which the exported network is compared.
_COMPARED: Final = 256
# The columns of a crop's numbers.
_COLUMNS: Final = (
    *("truth", "level", "score", "seed_truth", "seed_level", "seed_score"),
    *("is_smile", "divergence", "emotion_right"),
)


@dataclass(frozen=True, slots=True)
class Configuration:
    """The settings of a run; the defaults made the weights in the repository.

    architecture: `compact` or `efficientnet-b0`.  start: a file of Keras weights to start with,
    `own` for those in the repository, or "" for random ones.  known: `votes`, or `smile` when only
    the smile of each face is known: the network then keeps its other answers.
    half_precision: whether layers multiply in bfloat16.
    """

    seed: int = 0
    architecture: str = "compact"
    start: str = ""
    known: str = "votes"
    epochs: int = 28
    batch_size: int = 128
    learning_rate: float = 3e-3
    weight_decay: float = 0.02
    dropout: float = 0.3
    half_precision: bool = True
    held_out_share: float = 0.1


def read_folder(folder: Path, configuration: Configuration) -> Data:
    """Read a folder of crops with votes.  Raises FolderUnreadable."""
    return votes.read_votes(folder, held_out_share=configuration.held_out_share)


def check_data(folder: Path, configuration: Configuration) -> Iterator[Finding]:
    """Find the problems of a folder."""
    return votes.check_data(folder, held_out_share=configuration.held_out_share)


def augment(rng: Rng, crops: Bytes) -> Floats:
    """Return crops with random framing and light: (N, 48, 48, 1) float32 of 0..255.

    crops: (N, 48, 48) uint8 gray.
    """
    return np.stack([_augment_crop(rng, crop) for crop in crops])[..., np.newaxis]


def to_inputs(crops: Bytes) -> Floats:
    """Return crops as the network takes them: (N, 48, 48, 1) float32 of 0..255."""
    return crops[..., np.newaxis].astype(np.float32)


def train(data: Data, configuration: Configuration, record: RunRecord) -> Network:
    """Train a network, or resume the record's run.

    Raises SetupFailed when the configuration is wrong or the file to start with does not fit.
    """
    from smart_filter_training import keras_learner  # noqa: PLC0415 - checks need no framework

    network = keras_learner.start(
        partial(_build_network, record), configuration, trained=OWN_WEIGHTS
    )
    return keras_learner.train(
        network,
        data,
        configuration,
        record,
        augment=augment,
        to_inputs=to_inputs,
        to_targets=partial(_to_targets, network, configuration),
        loss=dict.fromkeys(LOSS_WEIGHTS, "categorical_crossentropy"),
        loss_weights=LOSS_WEIGHTS,
        metrics={"emotion": "accuracy"},
    )


def compute_figures(network: Network, data: Data) -> dict[str, Figure]:
    """Return the figures on the validation split, at thresholds that are chosen on it."""
    scores = _predict(network, data.validation)
    thresholds = _choose_thresholds(scores, data.validation)
    return _compute_figures(scores, data.validation, thresholds)


def measure(file: Path, folder: Path) -> dict[str, Figure]:
    """Return the figures of an exported file on a folder of crops with votes.

    Raises FolderUnreadable, SetupFailed.
    """
    network = ExpressionNetwork(file.read_bytes())
    crops = votes.read_crops(folder)
    return _compute_figures(network(crops.pictures), crops, network.cuts)


def export(network: Network, data: Data, folder: Path) -> Exported:
    """Write the file with the thresholds that suit it.  Raises SetupFailed."""
    from smart_filter_training import keras_learner  # noqa: PLC0415 - checks need no framework

    exact = keras_learner.to_full_precision(network)
    thresholds = _choose_thresholds(_predict(exact, data.validation), data.validation)
    return onnx_export.to_onnx(
        exact,
        folder / CARD.file,
        inputs=to_inputs(data.validation.pictures[:_COMPARED]),
        metadata={expression.THRESHOLDS_KEY: json.dumps(thresholds)},
    )


def choose_thresholds(scores: Floats, truth: Counts) -> Thresholds:
    """Return the thresholds that are best on average over bootstrap samples of the faces.

    scores: (N,) 0..1; truth: (N,) levels 0..3.
    Source: Breiman 1996, "Bagging predictors".
    """
    rng = np.random.default_rng(0)
    candidates = np.unique(np.quantile(scores[truth > 0], np.linspace(0, 1, _CANDIDATES)))
    samples = (rng.integers(0, len(scores), len(scores)) for _ in range(_SAMPLES))
    best = [_find_thresholds(scores[sample], truth[sample], candidates) for sample in samples]
    mild, moderate, huge = (float(threshold) for threshold in np.mean(best, axis=0))
    return mild, moderate, huge


def _find_thresholds(scores: Floats, truth: Counts, candidates: Floats) -> Floats:
    """Return the best three of the candidates, (3,) in rising order."""
    by_level = [np.sort(scores[truth == level]) for level in range(votes.LEVELS)]
    below = np.stack([np.searchsorted(level, candidates) for level in by_level], axis=1)
    totals = np.array([len(level) for level in by_level])
    places = np.arange(len(candidates))
    mild, moderate, huge = (axis.ravel() for axis in np.meshgrid(places, places, places))
    is_rising = (mild <= moderate) & (moderate <= huge)
    mild, moderate, huge = mild[is_rising], moderate[is_rising], huge[is_rising]
    # (combinations, truth, answer): the counts of answers by level.
    counts = np.stack(
        [
            below[mild],
            below[moderate] - below[mild],
            below[huge] - below[moderate],
            totals - below[huge],
        ],
        axis=2,
    )
    right = counts.diagonal(axis1=1, axis2=2)
    accuracy = right.sum(axis=1) / max(1, totals.sum())
    f1 = 2 * right / np.maximum(1, counts.sum(axis=1) + counts.sum(axis=2))
    best = int((accuracy + _F1_VALUE * f1.mean(axis=1)).argmax())
    return np.asarray(candidates[[mild[best], moderate[best], huge[best]]])


def _augment_crop(rng: Rng, crop: Bytes) -> Floats:
    crop = _shift(rng, crop)
    if rng.random() < SMALL_SHARE:
        crop = _shrink(rng, crop)
    if rng.random() < JPEG_SHARE:
        crop = _compress(rng, crop)
    relit = _relight(rng, crop)
    if rng.random() < COVERED_SHARE:
        _cover(rng, relit)
    return relit


def _shift(rng: Rng, crop: Bytes) -> Bytes:
    side = crop.shape[0]
    scale = np.exp(rng.uniform(-SCALE, SCALE))
    turn = np.radians(rng.uniform(-TURN_DEGREES, TURN_DEGREES))
    mirror = -1.0 if rng.random() < 1 / 2 else 1.0
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) * scale
    sheared = rotation @ np.array([[mirror, rng.uniform(-SHEAR, SHEAR)], [0.0, 1.0]])
    center = np.array([side / 2 - 0.5, side / 2 - 0.5])
    shift = rng.uniform(-SHIFT_PX, SHIFT_PX, 2)
    matrix = np.column_stack([sheared, center + shift - sheared @ center])
    shifted = cv2.warpAffine(
        crop, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(shifted, dtype=np.uint8)


def _shrink(rng: Rng, crop: Bytes) -> Bytes:
    side = int(rng.integers(*SMALL_PX))
    small = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, crop.shape, interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def _compress(rng: Rng, crop: Bytes) -> Bytes:
    quality = int(rng.integers(*JPEG_QUALITY))
    _, content = cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(content, cv2.IMREAD_GRAYSCALE), dtype=np.uint8)


def _relight(rng: Rng, crop: Bytes) -> Floats:
    gamma = np.exp(rng.uniform(-GAMMA, GAMMA))
    contrast = np.exp(rng.uniform(-CONTRAST, CONTRAST))
    brightness = rng.uniform(-BRIGHTNESS, BRIGHTNESS)
    levels = 255 * (np.arange(256) / 255) ** gamma
    table = np.clip((levels - 128) * contrast + 128 + brightness, 0, 255).astype(np.float32)
    return np.asarray(table[crop], dtype=np.float32)


def _cover(rng: Rng, crop: Floats) -> None:
    height, width = rng.integers(*COVERED_PX, 2)
    top, left = rng.integers(0, crop.shape[0] - height), rng.integers(0, crop.shape[1] - width)
    crop[top : top + height, left : left + width] = rng.uniform(0, 255)


def _build_network(record: RunRecord, configuration: Configuration) -> Network:
    # Reading and checking data needs no framework.
    from smart_filter_training.models.expression import network  # noqa: PLC0415

    if configuration.architecture == "compact":
        return network.build_compact(dropout=configuration.dropout)
    if configuration.architecture != "efficientnet-b0":
        raise SetupFailed(
            f"architecture is {configuration.architecture!r}: set compact or efficientnet-b0"
        )
    try:
        built = network.build_efficientnet_b0(dropout=configuration.dropout, weights="imagenet")
    except Exception as error:  # noqa: BLE001 - keras raises a bare Exception when a download fails
        record.note(notice=f"ImageNet's weights are not available, random weights instead: {error}")
        return network.build_efficientnet_b0(dropout=configuration.dropout, weights=None)
    record.note(notice="started with ImageNet's weights")
    return built


def _to_targets(
    network: Network, configuration: Configuration, crops: Examples
) -> dict[str, Floats]:
    """Return the targets of each output: the votes, or the answers that the network keeps.

    The shares of raters by emotion, (N, 8), and the count of 0 to 10 who saw a smile, (N, 11), by
    either rule.  Source of retention: Li & Hoiem 2016, "Learning without forgetting".
    """
    counts = np.eye(votes.RATERS + 1, dtype=np.float32)
    targets = {
        "emotion": votes.to_emotions(crops.labels),
        "smile": counts[votes.count_smiles(crops.labels, "happiness")],
        "smile_or_surprise": counts[votes.count_smiles(crops.labels, "happiness+surprise")],
    }
    if configuration.known == "votes":
        return targets
    if configuration.known != "smile" or not configuration.start:
        raise SetupFailed("known is votes, or smile for a network that has a start")
    answers = network.predict(to_inputs(crops.pictures), verbose=0)
    return {
        name: target if name == "smile" else np.asarray(answers[name])
        for name, target in targets.items()
    }


def _predict(network: Network, crops: Examples) -> ExpressionScores:
    """Return the scores of crops from a network in training, as the product computes them."""

    def run(batch: Floats) -> Mapping[str, Floats]:
        answers = network.predict(batch, batch_size=_PREDICT_BATCH, verbose=0)
        return {name: np.asarray(values) for name, values in answers.items()}

    return expression.score_crops(run, crops.pictures)


def _choose_thresholds(scores: ExpressionScores, crops: Examples) -> dict[str, Thresholds]:
    """Return the thresholds for these crops by label rule.

    With too few crops, those of the repository's weights.
    """
    if len(crops.names) < MIN_TO_CHOOSE_THRESHOLDS:
        return ExpressionNetwork(bundled_path(expression.WEIGHTS.name).read_bytes()).cuts
    return {
        rule: choose_thresholds(
            scores.score(rule), votes.levels(votes.count_smiles(crops.labels, rule))
        )
        for rule in votes.RULES
    }


def _compute_figures(
    scores: ExpressionScores, crops: Examples, thresholds: Mapping[str, Thresholds]
) -> dict[str, Figure]:
    columns: list[NDArray[Any]] = []
    for rule in votes.RULES:
        score = scores.score(rule)
        truth = votes.levels(votes.count_smiles(crops.labels, rule))
        columns += [truth, expression.to_levels(score, thresholds[rule]), score]
    shares = votes.to_emotions(crops.labels)
    predicted = np.maximum(scores.emotion, _MIN_PROBABILITY)
    divergence = (shares * np.log(np.maximum(shares, _MIN_PROBABILITY) / predicted)).sum(axis=1)
    columns.append(votes.count_smiles(crops.labels, "happiness") >= _HALF)
    columns += [divergence, shares.argmax(axis=1) == predicted.argmax(axis=1)]
    numbers = np.stack(columns, axis=1).astype(np.float64)
    return confidence_intervals.compute_figures(numbers, _figures)


def _figures(numbers: Doubles, weights: Doubles) -> dict[str, float]:
    column = dict(zip(_COLUMNS, numbers.T, strict=True))
    fewer = np.where(column["seed_truth"] == 0, weights * _NOTEBOOK_SHARE, weights)
    return {
        **_level_figures("", column["truth"], column["level"], weights),
        "auc": metrics.auc(column["score"], column["is_smile"] > 0, weights),
        **_level_figures("seed_", column["seed_truth"], column["seed_level"], weights),
        "seed_accuracy_two_thirds_of_none": metrics.accuracy(
            _count(column["seed_truth"], column["seed_level"], fewer)
        ),
        "emotion_divergence": metrics.weighted_mean(column["divergence"], weights),
        "emotion_accuracy": metrics.weighted_mean(column["emotion_right"], weights),
    }


def _level_figures(
    prefix: str, truth: Doubles, predicted: Doubles, weights: Doubles
) -> dict[str, float]:
    counts = _count(truth, predicted, weights)
    return {
        f"{prefix}accuracy": metrics.accuracy(counts),
        f"{prefix}macro_f1": metrics.macro_f1(counts),
        f"{prefix}mae_levels": metrics.mean_distance(counts),
    }


def _count(truth: Doubles, predicted: Doubles, weights: Doubles) -> Doubles:
    return metrics.confusion_matrix(truth, predicted, weights, votes.LEVELS)
