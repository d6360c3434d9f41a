"""Measure the checks of photos for documents against labels, and where heads are put.

SMART_FILTER_EVAL_DATA=FOLDER python -m benchmarks.documents [WEIGHTS]

`documents.csv` labels 60 of the training photos in the folder `train` next to FOLDER, by looking
at the photos and at the pictures made: good, bad, between both, or unseen. A check is right about
a bad photo when it does not pass, and about a good one when it does not fail. Faults that few of
them have are made. `document_heads.csv` has the rows of hair, eyes and chin marked by hand in
portraits of FOLDER, whose masks reach up to 10 pixels above the hair. `document_crowns.csv` has the
row of the skull's top, marked by hand in training portraits of bald and short-haired people.
"""

import csv
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from benchmarks.edges_of_photos import VARIABLE
from smart_filter_shared.config.paths import data_folder
from smart_filter_shared.recipe import Background, BackgroundKind, Recipe
from smart_filter_shared.recipe.fields import parse
from smart_filter_wire.printability import CheckVerdict, DocumentCheck
from smart_filter_workers import images
from smart_filter_workers.in_process import InProcess, Results
from smart_filter_workers.results import Srgb8
from smart_filter_workers.stages.composite.document import head_frame

LABELS: Final = Path(__file__).with_suffix(".csv")
HEADS: Final = Path(__file__).with_name("document_heads.csv")
CROWNS: Final = Path(__file__).with_name("document_crowns.csv")
# Returns a photo, (h, w, 3) uint8, with a fault, from the photo and the people's matte.
_Make = Callable[[Srgb8, np.ndarray], Srgb8]
_HALF: Final = 127
_WALL: Final = 232
# Checks by which a photo must not be bad for faults to be made in it.
_WHOLE: Final = ("exposure", "sharpness", "head_inside", "shoulders_inside")


def main(weights: Path, measure: Path) -> None:
    """Print precision and recall of each check, and the errors of heads."""
    stages = InProcess(weights)
    recipe = replace(parse({"document": "japan"}, offered=stages.offered), seed=1)
    document = recipe.framing.document
    assert document
    # The hair counts, as its top is marked.
    with_hair = replace(recipe.framing, document=replace(document, hair=True))
    recipe = replace(recipe, framing=with_hair)
    keep = replace(recipe, background=Background(BackgroundKind.KEEP))
    labels = _read(LABELS)
    paths = {path.name: path for path in (measure.parent / "train").rglob("images/*")}
    photos = {name: images.decode(paths[name].read_bytes()) for name in labels}
    drawn, kept = (
        {name: _verdicts(stages.run(photo, asked)) for name, photo in photos.items()}
        for asked in (recipe, keep)
    )
    for check in next(iter(labels.values())).keys() - {"photo", "headwear"}:
        _print_check(check, labels, kept if check == "background" else drawn)
    good = [
        name
        for name, label in labels.items()
        if all(label[check] != "bad" for check in _WHOLE) and label["compression"] == "good"
    ]
    for fault, (check, make) in _FAULTS.items():
        counts: Counter[str] = Counter()
        for name in good:
            mask = paths[name].parents[1] / "masks" / f"{paths[name].stem}.png"
            # Photos of faces alone have no mask.
            if mask.exists():
                made = make(np.array(photos[name].srgb), np.asarray(cv2.imread(str(mask), 0)))
                _, file = cv2.imencode(".png", made[..., ::-1])
                asked = keep if check == "background" else recipe
                seen = _verdicts(stages.run(images.decode(file.tobytes()), asked))
                counts[str(seen.get(check))] += 1
        print(f"{fault:24} {check:12} {dict(counts)}")
    _print_heads(stages, measure / "portrait", recipe)
    _print_crowns(stages, paths, recipe)


def _read(file: Path) -> Mapping[str, Mapping[str, str]]:
    with file.open(encoding="utf-8") as lines:
        return {row["photo"]: row for row in csv.DictReader(lines)}


def _checks_of(results: Results) -> Sequence[DocumentCheck]:
    made = results.composited
    return () if made is None or made.document_report is None else made.document_report.checks


def _verdicts(results: Results) -> Mapping[str, CheckVerdict]:
    return {check.name: check.verdict for check in _checks_of(results)}


def _print_check(
    check: str,
    labels: Mapping[str, Mapping[str, str]],
    verdicts: Mapping[str, Mapping[str, CheckVerdict]],
) -> None:
    pairs = [(labels[name][check], seen.get(check)) for name, seen in verdicts.items()]
    bad = [verdict for label, verdict in pairs if label in {"bad", "unseen"}]
    good = [verdict for label, verdict in pairs if label == "good"]
    failed_bad, failed = bad.count(CheckVerdict.FAIL), good.count(CheckVerdict.FAIL)
    noticed = len(bad) - bad.count(CheckVerdict.PASS)
    right = failed_bad / max(1, failed_bad + failed)
    print(
        f"{check:16} bad noticed {noticed} of {len(bad)}, good passed"
        f" {good.count(CheckVerdict.PASS)} and failed {failed} of {len(good)};"
        f" precision of `fail` {right:.2f} ({failed_bad + failed})"
    )


def _compress(quality: int) -> _Make:
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    return lambda srgb, _: np.asarray(
        cv2.imdecode(cv2.imencode(".jpg", srgb, options)[1], 1), np.uint8
    )


def _enlarge(times: float) -> _Make:
    return lambda srgb, _: np.asarray(
        cv2.resize(srgb, None, None, times, times, cv2.INTER_CUBIC), np.uint8
    )


def _expose(gain: float) -> _Make:
    return lambda srgb, _: np.clip(srgb * gain, 0, 255).astype(np.uint8)


def _cut_head(slope: float) -> _Make:
    """Return what puts a white bar over the top of a head."""

    def make(srgb: Srgb8, matte: np.ndarray) -> Srgb8:
        rows, columns = np.nonzero(matte > _HALF)
        row, column = np.indices(matte.shape)
        line = rows[0] + 0.08 * np.ptp(rows) + slope * (column - columns[0])
        return np.where((row < line)[..., np.newaxis], np.uint8(255), srgb)

    return make


def _stand_at_wall(shadow: float, darker: float = 0.0) -> _Make:
    """Return what puts people before a wall.  darker: how much its right end is than its left."""

    def make(srgb: Srgb8, matte: np.ndarray) -> Srgb8:
        height, width = matte.shape
        cover = cv2.GaussianBlur(matte.astype(np.float32) / 255, (0, 0), 0.7)[..., np.newaxis]
        moved = np.roll(cover, (height // 50, width // 14), axis=(0, 1))
        fallen = cv2.GaussianBlur(moved, (0, 0), 0.02 * width)
        light = (1 - shadow * fallen) * (1 - darker * np.linspace(0, 1, width))
        wall = (_WALL * light)[..., np.newaxis]
        mixed = cover * srgb + (1 - cover) * wall
        return np.asarray(mixed, np.uint8)

    return make


_FAULTS: Final[Mapping[str, tuple[str, _Make]]] = {
    **{f"JPEG of quality {each}": ("compression", _compress(each)) for each in (50, 25, 10)},
    **{f"enlarged {each} times": ("detail", _enlarge(each)) for each in (1, 1.5, 2, 3)},
    "blur, 1 % of the width": (
        "sharpness",
        lambda srgb, _: np.asarray(cv2.GaussianBlur(srgb, (0, 0), 0.01 * srgb.shape[1]), np.uint8),
    ),
    "a fifth of the light": ("exposure", _expose(0.2)),
    "three times the light": ("exposure", _expose(3.0)),
    "head cut": ("head_inside", _cut_head(0.0)),
    "head cut, slanted": ("head_inside", _cut_head(0.6)),
    "plain wall": ("background", _stand_at_wall(0.0)),
    "shadow, 15 % darker": ("background", _stand_at_wall(0.15)),
    "shadow, 40 % darker": ("background", _stand_at_wall(0.4)),
    "wall, one end 30 % darker": ("background", _stand_at_wall(0.0, 0.3)),
}


def _print_heads(stages: InProcess, portraits: Path, recipe: Recipe) -> None:
    errors = np.array(list(_errors_of_heads(stages, portraits, recipe)))
    limits = {"top of the hair": 0.02, "eyes": 0.01, "chin": 0.02, "head's height": 0.02}
    for (name, limit), column in zip(limits.items(), errors.T, strict=True):
        size = np.abs(column)
        print(
            f"{name:16} median {np.median(size):.4f}, bias {np.median(column):+.4f}, 90 %"
            f" {np.quantile(size, 0.9):.4f}, within {limit:.0%}: {np.mean(size <= limit):.0%}"
            f" of {len(size)}"
        )


def _errors_of_heads(
    stages: InProcess, portraits: Path, recipe: Recipe
) -> Iterator[Sequence[float]]:
    """Yield how far a head's parts are from the truth on a picture, in heights of the picture."""
    document = recipe.framing.document
    assert document
    for name, marks in _read(HEADS).items():
        results = stages.run(images.decode((portraits / "images" / name).read_bytes()), recipe)
        made, smiles = results.composited, results.smiles
        assert made is not None
        assert smiles is not None
        head, frame = smiles.qualities[0].head, made.frame
        assert head
        assert frame
        rows = (*map(float, list(marks.values())[1:]), head.eyes[1], head.chin[1])
        top, eyes, chin, *at = (frame.place((0, row))[1] / frame.height for row in rows)
        room = next(each for each in _checks_of(results) if each.name == "room_above")
        at_top = float((room.measured or "nan").split()[0]) / document.size[1]
        tall = (at[1] - at_top) - (chin - top)
        yield at_top - top, at[0] - eyes, at[1] - chin, tall


def _print_crowns(stages: InProcess, paths: Mapping[str, Path], recipe: Recipe) -> None:
    """Print how far estimates of the skull's top are from the truth, in heights of the head."""
    rows = []
    hidden = 0
    for name, marks in _read(CROWNS).items():
        photo = images.decode(paths[name].read_bytes())
        results = stages.run(photo, recipe)
        assert results.faces
        assert results.smiles
        index, face = max(enumerate(results.faces.faces), key=lambda each: each[1].box[2])
        head = results.smiles.qualities[index].head
        if head is None:
            continue
        assert results.segmented
        span = head_frame.measure_span(face, head, results.segmented.matte, photo.srgb.shape[1])
        crown = float(marks["crown"])
        is_hidden = span.thickness > head_frame.HIDDEN_FROM
        hidden += is_hidden
        share = span.thickness / (1 + span.thickness)
        proportion = span.hair + share * (span.chin - span.hair)
        tops = (span.hair, proportion, np.nan if is_hidden else span.skull)
        rows.append([(crown - top) / (span.chin - crown) for top in tops])
    print(f"hair hides the crown: {hidden} of {len(rows)}")
    for name, column in zip(
        ("top of the hair", "by proportion", "estimate"),
        np.array(rows).T,
        strict=True,
    ):
        errors = column[~np.isnan(column)]
        size = np.abs(errors)
        print(
            f"{name:16} bias {np.median(errors):+.3f}, median {np.median(size):.3f}, 90 %"
            f" {np.quantile(size, 0.9):.3f}, most {size.max():.3f} of {size.size}"
        )


if __name__ == "__main__":
    main(
        Path(sys.argv[1]) if sys.argv[1:] else data_folder() / "weights",
        Path(os.environ[VARIABLE]),
    )
