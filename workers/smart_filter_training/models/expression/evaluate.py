"""How good an expression network is, by either label rule and by emotion, with intervals."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_training.models.expression import data as reading
from smart_filter_training.models.expression import operating_point, votes
from smart_filter_training.models.expression.data import Crops, Data
from smart_filter_training.models.expression.operating_point import Cuts
from smart_filter_workers.evaluation import intervals, metrics
from smart_filter_workers.evaluation.intervals import Figure
from smart_filter_workers.networks import expression
from smart_filter_workers.networks.expression import Answers, ExpressionNetwork
from smart_filter_workers.weights import own_file

Numbers = NDArray[np.float64]
Floats = NDArray[np.float32]
Network = Any  # keras ships no types

_BATCH: Final = 256
# Cuts chosen by fewer faces fit their noise: mild and moderate ones are 3 in 100 each.
FEWEST_TO_CHOOSE_BY: Final = 500
# "A smile" where at least half of the raters see happiness.
_HALF: Final = votes.RATERS // 2
# No share is taken to be smaller, so that its logarithm is finite.
_LEAST_SHARE: Final = 1e-6
# Of what a published notebook measured on, a third of the faces that do not smile was dropped.
_KEPT_OF_NONE: Final = 2 / 3
# What a crop's row of numbers holds.
_COLUMNS: Final = (
    *("truth", "level", "score", "seed_truth", "seed_level", "seed_score"),
    *("is_smile", "divergence", "emotion_right"),
)


def figures(network: Network, data: Data) -> dict[str, Figure]:
    """Return the figures on the validation split, at cuts that were chosen on it."""
    answers = answers_of(network, data.validation)
    return _figures(answers, data.validation, cuts(answers, data.validation))


def measured(file: Path, folder: Path) -> dict[str, Figure]:
    """Return the figures of an exported file on a folder of crops with votes.

    Raises FolderUnreadable, SetupFailed.
    """
    network = ExpressionNetwork(file.read_bytes())
    crops = reading.read_all(folder)
    return _figures(network(crops.crops), crops, network.cuts)


def answers_of(network: Network, crops: Crops) -> Answers:
    """Return what a network in training says of crops, as the product asks it."""

    def run(batch: Floats) -> Mapping[str, Floats]:
        said = network.predict(batch, batch_size=_BATCH, verbose=0)
        return {name: np.asarray(values) for name, values in said.items()}

    return expression.answers(run, crops.crops)


def cuts(answers: Answers, crops: Crops) -> dict[str, Cuts]:
    """Return the cuts of either label rule that suit these crops best.

    Too few crops to choose by keep those of the weights in the repository.
    """
    if len(crops.names) < FEWEST_TO_CHOOSE_BY:
        return ExpressionNetwork(own_file(expression.WEIGHTS.name).read_bytes()).cuts
    return {
        rule: operating_point.chosen(
            answers.score(rule), votes.levels(votes.smiling(crops.votes, rule))
        )
        for rule in votes.RULES
    }


def _figures(answers: Answers, crops: Crops, cuts: Mapping[str, Cuts]) -> dict[str, Figure]:
    return intervals.figures(_numbers(answers, crops, cuts), _computed)


def _numbers(answers: Answers, crops: Crops, cuts: Mapping[str, Cuts]) -> Numbers:
    columns: list[NDArray[Any]] = []
    for rule in votes.RULES:
        score = answers.score(rule)
        truth = votes.levels(votes.smiling(crops.votes, rule))
        columns += [truth, expression.levels(score, cuts[rule]), score]
    shares = votes.emotions(crops.votes)
    said = np.maximum(answers.emotion, _LEAST_SHARE)
    divergence = (shares * np.log(np.maximum(shares, _LEAST_SHARE) / said)).sum(axis=1)
    columns.append(votes.smiling(crops.votes, "happiness") >= _HALF)
    columns += [divergence, shares.argmax(axis=1) == said.argmax(axis=1)]
    return np.stack(columns, axis=1).astype(np.float64)


def _computed(numbers: Numbers, weights: Numbers) -> dict[str, float]:
    column = dict(zip(_COLUMNS, numbers.T, strict=True))
    kept = np.where(column["seed_truth"] == 0, weights * _KEPT_OF_NONE, weights)
    return {
        **_of_levels("", column["truth"], column["level"], weights),
        "auc": metrics.auc(column["score"], column["is_smile"] > 0, weights),
        **_of_levels("seed_", column["seed_truth"], column["seed_level"], weights),
        "seed_accuracy_two_thirds_of_none": metrics.accuracy(
            _confusion(column["seed_truth"], column["seed_level"], kept)
        ),
        "emotion_divergence": metrics.mean(column["divergence"], weights),
        "emotion_accuracy": metrics.mean(column["emotion_right"], weights),
    }


def _of_levels(prefix: str, truth: Numbers, found: Numbers, weights: Numbers) -> dict[str, float]:
    counts = _confusion(truth, found, weights)
    return {
        f"{prefix}accuracy": metrics.accuracy(counts),
        f"{prefix}macro_f1": metrics.macro_f1(counts),
        f"{prefix}mae_levels": metrics.mean_distance(counts),
    }


def _confusion(truth: Numbers, found: Numbers, weights: Numbers) -> Numbers:
    return metrics.confusion(truth, found, weights, operating_point.LEVELS)
