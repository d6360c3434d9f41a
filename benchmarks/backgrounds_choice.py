"""Choice of backgrounds: do people stand out from what `auto` chooses, and is there variety?

SMART_FILTER_EVAL_DATA=FOLDER python -m benchmarks.backgrounds_choice

FOLDER holds portrait/images and seg/images; the default models look at each photo, and a seed
is drawn for each, as at submission. Contrast is measured on drawings, not as `scoring` has it:
the mean distance in OKLab between each pixel of people near their outline and the drawn pixel
next to it outside. It is compared with the median of all designs behind the same people. Where
people melt tells more than the mean: the third of these pixels with the least distance.
"""

import dataclasses
import os
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks import figures
from smart_filter_shared import places
from smart_filter_shared.cards import TaskName
from smart_filter_shared.pipeline import PIPELINE, StageName
from smart_filter_shared.presets import PRESETS
from smart_filter_shared.recipe import Recipe
from smart_filter_workers import catalogue, images, memory, native_threads, stage_code, weights
from smart_filter_workers.backgrounds import choose, colours, library, moods, sitters
from smart_filter_workers.backgrounds.colours import Colours
from smart_filter_workers.evaluation import folders
from smart_filter_workers.loaded import LoadedModels
from smart_filter_workers.results import Chosen, Faces, Prepared, Segmented, Smiles

VARIABLE = "SMART_FILTER_EVAL_DATA"
FOLDERS = ("portrait", "seg")
NOBODY_BELOW = 0.005
LEAST_SHARE = 0.9
LEAST_DESIGNS = 20
MOST_MS = 10
# Contrast is measured at this size: grain is gone, dots and stars are not.
LONGEST_SIDE_PX = 128
BAND_SHARE = 0.03  # of the longer side
# Mean distance over the worst third below which people melt: a cream coat before a white wall.
MELTS_BELOW = 0.15
# All designs are drawn with so many seeds and in so many shapes only: a photo's own for each
# would take minutes, and moves their median by less than the photos differ.
SEEDS = 3
SHAPES = 12


@dataclass(frozen=True, slots=True)
class Looked:
    """A photo of somebody, and what the models found."""

    prepared: Prepared
    segmented: Segmented
    faces: Faces
    smiles: Smiles


@dataclass(frozen=True, slots=True)
class Judged:
    """What was chosen for a photo: for which mood, in how long, and how people stand out.

    contrast, median: of the chosen design and the median one, OKLab.  worst: of the chosen
    design, over the third of the outline where it is least.
    """

    chosen: Chosen
    mood: str
    ms: float
    contrast: float
    median: float
    worst: float

    @property
    def stands_out(self) -> bool:
        """Whether people stand out more than from the median design."""
        return self.contrast > self.median


def measure(folder: Path) -> list[figures.Figure]:
    """Choose for every photo of a folder that has people."""
    cv2.setNumThreads(1)
    native_threads.one_per_call()
    seeds = random.Random(5)
    judged = [_judged(photo, seeds.randrange(2**53)) for photo in _photos(folder)]
    by_mood: dict[str, list[Judged]] = defaultdict(list)
    for one in judged:
        by_mood[one.mood].append(one)
    used = Counter(one.chosen.name for one in judged)
    print(", ".join(f"{name} {count}" for name, count in used.most_common()), file=sys.stderr)
    figure = figures.Figure
    return [
        _share("people stand out more than from the median design", judged, LEAST_SHARE),
        *(_share(f"… {mood}", ones, None) for mood, ones in sorted(by_mood.items())),
        figure(
            name="designs used", unit="", samples=[len(used)], goal=LEAST_DESIGNS, kind="at least"
        ),
        figure(name="most photos with one design", unit="", samples=[max(used.values())]),
        figure(
            name=f"photos whose worst third is below {MELTS_BELOW}",
            unit="of 1",
            samples=[sum(one.worst < MELTS_BELOW for one in judged) / len(judged)],
        ),
        figure(name="worst third, chosen", unit="OKLab", samples=[one.worst for one in judged]),
        figure(name="contrast, chosen", unit="OKLab", samples=[one.contrast for one in judged]),
        figure(
            name="contrast, median design", unit="OKLab", samples=[one.median for one in judged]
        ),
        figure(
            name="looking and choosing",
            unit="ms",
            samples=[one.ms for one in judged],
            goal=MOST_MS,
        ),
    ]


def _share(name: str, judged: Sequence[Judged], goal: float | None) -> figures.Figure:
    share = sum(one.stands_out for one in judged) / len(judged)
    return figures.Figure(
        name=f"{name} ({len(judged)} photos)",
        unit="of 1",
        samples=[share],
        goal=goal,
        kind="at least",
    )


def _photos(folder: Path) -> list[Looked]:
    """Return what the default models find in each photo that has people."""
    shelf = places.data_folder() / "weights"
    weights.pull(shelf)
    known = catalogue.find()
    models = LoadedModels(known, shelf, room=memory.room(None))
    defaults: dict[StageName, dict[TaskName, str]] = defaultdict(dict)
    for card in known.cards:
        if card.default:
            defaults[card.stage][card.task] = card.name
    names = {
        StageName.PREPARE: "prepared",
        StageName.SEGMENTATION: "segmented",
        StageName.FACE: "faces",
        StageName.SMILE: "smiles",
    }
    found = []
    for path in (path for name in FOLDERS for path in folders.pictures(folder / name / "images")):
        made: dict[str, object] = {"photo": images.decode(path.read_bytes()), "recipe": Recipe()}
        for stage in PIPELINE:
            if stage.name in names:
                code = stage_code.of(stage.name)
                wanted = [field.name for field in dataclasses.fields(code.Inputs)]
                inputs = code.Inputs(**{name: made[name] for name in wanted})
                [made[names[stage.name]]] = code.run(models.of(defaults[stage.name], {}), [inputs])
        looked = Looked(**{name: made[name] for name in names.values()})  # type: ignore[arg-type]  # by their names
        if looked.segmented.coverage >= NOBODY_BELOW:
            found.append(looked)
    return found


def _judged(photo: Looked, seed: int) -> Judged:
    began = time.thread_time()
    matte = photo.segmented.matte
    faces = photo.faces.faces
    feeling = moods.read(
        photo.smiles,
        people=photo.segmented.persons or max(1, len(faces)),
        sizes=[face.box[2] * face.box[3] for face in faces],
    )
    seen = sitters.look_at(
        photo.prepared.proxy_srgb,
        matte,
        faces,
        scale=photo.prepared.width / matte.shape[1],
    )
    chosen = choose.choose(feeling, seen, seed=seed)
    took = (time.thread_time() - began) * 1000

    scale = LONGEST_SIDE_PX / max(matte.shape)
    size = max(1, round(matte.shape[1] * scale)), max(1, round(matte.shape[0] * scale))
    people, at = _across(photo, size)
    width, height = size
    own = _lab(library.draw_anew(str(chosen.name), seed=seed, width=width, height=height))
    shape = round(np.log2(width / height) * SHAPES / 2)
    others = [
        float(
            np.linalg.norm(
                people - _resized(one.name, seed % SEEDS, shape, size)[at], axis=-1
            ).mean()
        )
        for one in PRESETS
    ]
    apart = np.sort(np.linalg.norm(people - own[at], axis=-1))
    return Judged(
        chosen,
        feeling.mood,
        took,
        contrast=float(apart.mean()),
        median=float(np.median(others)),
        worst=float(apart[: max(1, len(apart) // 3)].mean()),
    )


def _across(
    photo: Looked, size: tuple[int, int]
) -> tuple[Colours, tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Return the colours of people near their outline, (N, 3) OKLab, and the pixels beside them.

    Of these, rows and columns: the nearest to each that is outside.
    """
    matte = cv2.resize(photo.segmented.matte, size, interpolation=cv2.INTER_AREA)
    srgb = cv2.resize(photo.prepared.proxy_srgb, size, interpolation=cv2.INTER_AREA)
    outside = (matte <= 30).astype(np.uint8)  # noqa: PLR2004 - hardly anybody
    away, labels = cv2.distanceTransformWithLabels(
        1 - outside, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    band = (matte >= 220) & (away <= BAND_SHARE * max(size))  # noqa: PLR2004 - hardly anything else
    rows, columns = np.nonzero(outside)
    nearest = np.zeros(labels.max() + 1, np.int64)
    nearest[labels[rows, columns]] = np.arange(len(rows))
    found = nearest[labels[band]]
    return _lab(np.asarray(srgb, np.uint8))[band], (rows[found], columns[found])


def _resized(name: str, seed: int, shape: int, size: tuple[int, int]) -> Colours:
    lab = cv2.resize(_drawn(name, seed, shape), size, interpolation=cv2.INTER_AREA)
    return np.asarray(lab, np.float32)


@cache
def _drawn(name: str, seed: int, shape: int) -> Colours:
    """Return a design in a shape, half a step of log2(width / height) · SHAPES."""
    ratio = 2.0 ** (2 * shape / SHAPES)
    width = round(LONGEST_SIDE_PX * min(1.0, ratio))
    height = round(LONGEST_SIDE_PX * min(1.0, 1 / ratio))
    return _lab(library.draw_anew(name, seed=seed, width=width, height=height))


def _lab(srgb: NDArray[np.uint8]) -> Colours:
    return colours.oklab(colours.light_of(srgb))


if __name__ == "__main__":
    figures.tell(measure(Path(os.environ[VARIABLE])))
