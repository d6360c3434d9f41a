"""A trained detector as the two files that the product lets in, and whether they say the same."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from smart_filter_shared.errors import SetupFailed
from smart_filter_training.annotations import pictures
from smart_filter_training.annotations.marks import Marked
from smart_filter_training.detectors import weights
from smart_filter_training.detectors.configuration import built
from smart_filter_training.detectors.training import Detector
from smart_filter_workers import foreign_file
from smart_filter_workers.networks.detectron2 import building, checkpoints
from smart_filter_workers.networks.detectron2.predictor import Instance, Options, Predictor

# How far an exported network's boxes, as shares of a picture, and scores may be off.
PARITY: Final = 1e-3
MOST_COMPARED: Final = 8
# Low enough that networks which have hardly learnt answer something to compare.
_SCORE: Final = 0.05


def export(
    detector: Detector, judged: Sequence[Marked], folder: Path, *, stem: str
) -> tuple[tuple[Path, Path], float]:
    """Write a configuration and its weights; return both files, and the largest difference.

    judged: pictures that the files' network and the trained one must answer alike.
    Raises SetupFailed when they do not.
    """
    config, arrays = folder / f"{stem}.yaml", folder / f"{stem}.npz"
    folder.mkdir(parents=True, exist_ok=True)
    config.write_text(detector.text, encoding="utf-8")
    weights.write(detector.built, arrays)
    labels = detector.built.classes.things
    again = built(config.read_text(encoding="utf-8"), labels)
    building.fill(again, checkpoints.parsed(foreign_file.content(arrays), arrays.name))
    trained, exported = Predictor(detector.built), Predictor(again)
    options = Options(threshold=_SCORE)
    worst = 0.0
    for picture in judged[:MOST_COMPARED]:
        srgb = pictures.load(picture)
        (one,), (other,) = (predictor([srgb], labels, options) for predictor in (trained, exported))
        worst = max(worst, _difference(one.instances, other.instances, max(srgb.shape)))
    if worst > PARITY:
        raise SetupFailed(
            f"{arrays.name} answers {worst:.2g} unlike the network that was trained; at most"
            f" {PARITY} is tolerated"
        )
    return (config, arrays), worst


def _difference(one: Sequence[Instance], other: Sequence[Instance], side_px: int) -> float:
    """Return the largest difference of scores, and of boxes as shares of a picture's side."""
    if len(one) != len(other):
        return 1.0
    rows = [
        np.array([(*(side / side_px for side in seen.box), seen.score) for seen in instances])
        for instances in (one, other)
    ]
    return float(np.abs(rows[0] - rows[1]).max(initial=0.0))
