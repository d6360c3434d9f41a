"""Measure the checks of photos for documents against labels, and where heads are put.

SMART_FILTER_EVAL_DATA=FOLDER python -m benchmarks.documents [WEIGHTS]

`documents.csv` labels 60 of the training photos in the folder `train` next to FOLDER, by looking
at the faces alone: good, bad, between both, or unseen. A check is right about a bad face when it
does not pass, and about a good one when it does not fail. The top of a head is compared with the
masks of the portraits in FOLDER.
"""

import csv
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from benchmarks.edges_of_photos import VARIABLE
from smart_filter_shared.config.paths import data_folder
from smart_filter_shared.recipe import Recipe
from smart_filter_shared.recipe.fields import parse
from smart_filter_wire.document_report import CheckVerdict, DocumentCheck
from smart_filter_workers import images
from smart_filter_workers.in_process import InProcess, Results
from smart_filter_workers.results import CompositeResult

LABELS: Final = Path(__file__).with_suffix(".csv")
_CHECKS: Final = ("roll", "yaw", "pitch", "eyes", "mouth", "even_light")
_HALF: Final = 127


def main(weights: Path, measure: Path) -> None:
    """Print precision and recall of each check, and the errors of the top of the head."""
    stages = InProcess(weights)
    recipe = replace(parse({"document": "japan"}, offered=stages.offered), seed=1)
    with LABELS.open(encoding="utf-8") as file:
        labels = {row["photo"]: row for row in csv.DictReader(file)}
    verdicts: dict[str, dict[str, CheckVerdict]] = {}
    for path in sorted((measure.parent / "train").rglob("images/*")):
        if path.name in labels:
            report = _run(stages, path, recipe)
            verdicts[path.name] = {check.name: check.verdict for check in report}
    print(f"{len(verdicts)} of {len(labels)} labeled photos")
    for check in _CHECKS:
        pairs = [(labels[name][check], seen.get(check)) for name, seen in verdicts.items()]
        bad = [verdict for label, verdict in pairs if label in {"bad", "unseen"}]
        good = [verdict for label, verdict in pairs if label == "good"]
        noticed = sum(verdict != CheckVerdict.PASS for verdict in bad)
        failed = sum(verdict == CheckVerdict.FAIL for verdict in good)
        failed_bad = sum(verdict == CheckVerdict.FAIL for verdict in bad)
        right = failed_bad / max(1, failed_bad + failed)
        passed = sum(verdict == CheckVerdict.PASS for verdict in good)
        print(
            f"{check:11} bad noticed {noticed} of {len(bad)}, good passed {passed} and failed"
            f" {failed} of {len(good)}; precision of `fail` {right:.2f}"
        )
    errors = [abs(error) for error in _errors_of_heads(stages, measure, recipe)]
    within = np.mean(np.array(errors) <= 0.02) if errors else 0.0  # noqa: PLR2004 - of the height
    print(f"{len(errors)} heads: top within 2 % of the picture's height for {within:.0%}")
    if errors:
        print("median and 90th percentile", *np.round(np.quantile(errors, (0.5, 0.9)), 4))


def _run(stages: InProcess, path: Path, recipe: Recipe) -> Sequence[DocumentCheck]:
    return _checks_of(_results(stages, path, recipe).composited)


def _checks_of(made: CompositeResult | None) -> Sequence[DocumentCheck]:
    return () if made is None or made.document_report is None else made.document_report.checks


def _results(stages: InProcess, path: Path, recipe: Recipe) -> Results:
    return stages.run(images.decode(path.read_bytes()), recipe)


def _errors_of_heads(stages: InProcess, measure: Path, recipe: Recipe) -> Iterator[float]:
    """Yield how far the top of each head is from where its mask says, in heights of the picture."""
    document = recipe.framing.document
    assert document is not None
    for path in sorted((measure / "portrait/images").iterdir()):
        results = _results(stages, path, recipe)
        made, faces, smiles = results.composited, results.faces, results.smiles
        mask = cv2.imread(str((measure / "portrait/masks" / path.name).with_suffix(".png")), 0)
        if made is None or made.frame is None or not faces or not smiles or mask is None:
            continue
        if len(faces.faces) != 1 or smiles.qualities[0].head is None:
            continue
        x, y, width, height = faces.faces[0].box
        scale = mask.shape[1] / results.prepared.width
        columns = mask[:, max(0, int(x * scale)) : int((x + width) * scale) + 1]
        empty = np.flatnonzero(~(columns[: int((y + height / 2) * scale)] > _HALF).any(axis=1))
        truth = float(empty[-1] + 1) / scale if empty.size else 0.0
        room = next(check for check in _checks_of(made) if check.name == "room_above")
        top_px = float((room.measured or "nan").split()[0]) * made.frame.height / document.size[1]
        yield (top_px - made.frame.place((0, truth))[1]) / made.frame.height


if __name__ == "__main__":
    main(
        Path(sys.argv[1]) if sys.argv[1:] else data_folder() / "weights",
        Path(os.environ[VARIABLE]),
    )
