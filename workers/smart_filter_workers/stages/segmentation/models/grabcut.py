"""GrabCut: colors of person and background, learned from the photo itself.

Its seeds decide the result: a box, faces, another model's matte, or drawn strokes. It is better at
correcting a matte by hand than at making one on its own.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

import numpy as np

from smart_filter_shared.catalog import parameters as given
from smart_filter_shared.catalog.model_card import Commercial, ModelCard
from smart_filter_shared.catalog.parameters import Parameters
from smart_filter_shared.pipeline import TaskName
from smart_filter_workers.connected_parts import label_parts
from smart_filter_workers.opencv import cv2
from smart_filter_workers.resampling import shrink
from smart_filter_workers.results import Bools, Matte8, PreparedPhoto, Srgb8
from smart_filter_workers.stages.segmentation import seeds
from smart_filter_workers.stages.segmentation.mattes.edges import refine_edges
from smart_filter_workers.stages.segmentation.models.base import People, Segmenter, Step
from smart_filter_workers.stages.segmentation.seeds import (
    BOX_FORM,
    BOX_PATTERN,
    STROKES_FORM,
    STROKES_PATTERN,
    Seeds,
    Stroke,
    draw_strokes,
    parse_box,
    parse_strokes,
)


class Seed(StrEnum):
    """Source of the first guess."""

    AUTO = "auto"
    BOX = "box"
    FACES = "faces"
    MATTE = "matte"
    STROKES = "strokes"


CARD: Final = ModelCard(
    name="grabcut",
    version="1",
    task=TaskName.SEGMENTATION,
    family="grabcut",
    title="GrabCut, seeded by a box, faces, another model's matte or strokes",
    source="OpenCV; Rother, Kolmogorov & Blake 2004, GrabCut",
    license="Apache-2.0",
    data_terms="the terms of the model that makes the matte",
    commercial=Commercial.YES,
    # From a matte of selfie, mean IoU at one half: 41 photos in the wild, 55 of street
    # fashion, 62 portraits.
    quality={"iou_wild": 0.538, "iou_street": 0.946, "iou_portrait": 0.961},
    speed={"cpu_ms": 279.0, "peak_mb": 176.0},
    parameters=(
        given.choice("seed", Seed.AUTO, "Source of the first guess", choices=tuple(Seed)),
        given.text(
            "box",
            "",
            "Where to look: x,y,width,height in photo pixels",
            longest=24,
            pattern=BOX_PATTERN,
            form=BOX_FORM,
        ),
        given.text(
            "strokes",
            "",
            "Areas to keep and to remove: lines in photo pixels",
            longest=4000,
            pattern=STROKES_PATTERN,
            form=STROKES_FORM,
        ),
        given.integer("brush", 16, "Width of strokes, photo pixels", least=1, most=1000),
        given.choice(
            "matte_model", "selfie", "Model whose matte to start from", choices=("selfie", "people")
        ),
        given.integer("iterations", 5, "Rounds of learning and cutting", least=1, most=10),
    ),
    combines=True,
    explains=True,
)
LONGEST_SIDE_PX: Final = 640
# A box is the most specific; a matte cuts better than faces: 0.93 against 0.82 IoU on portraits.
AUTO_ORDER: Final = (Seed.BOX, Seed.MATTE, Seed.FACES)
# Two color models, each of five Gaussians: weight, mean and covariance.
MODEL_SHAPE: Final = (1, 65)
# Gray levels in the picture of seeds: person 255, maybe person 170, maybe background 85; background
# is 0.
LEVELS: Final = ((seeds.PERSON, 255), (seeds.MAYBE_PERSON, 170), (seeds.MAYBE_BACKGROUND, 85))


def load(weights: Path, others: Callable[[str], Segmenter]) -> "GrabCut":  # noqa: ARG001 - all models share one signature
    """Return the model; the model that makes the matte is loaded on first use."""
    return GrabCut(others)


@dataclass(frozen=True, slots=True)
class _Request:
    """The recipe's parameters, parsed once for each batch."""

    seed: Seed
    box: tuple[int, int, int, int] | None
    strokes: tuple[Stroke, ...]
    brush_px: int
    matte_model: str
    iterations: int


@dataclass(frozen=True, slots=True)
class GrabCut:
    """Segments by color.

    others: returns another model of the task by name.
    """

    others: Callable[[str], Segmenter]

    def __call__(self, batch: Sequence[PreparedPhoto], *, parameters: Parameters) -> list[People]:
        """Return the people of each picture; persons are not separated.

        Raises ValueError when box or strokes do not match their patterns.
        """
        asked = _Request(
            seed=Seed(given.str_of(parameters, "seed")),
            box=parse_box(given.str_of(parameters, "box")),
            strokes=parse_strokes(given.str_of(parameters, "strokes")),
            brush_px=given.int_of(parameters, "brush"),
            matte_model=given.str_of(parameters, "matte_model"),
            iterations=given.int_of(parameters, "iterations"),
        )
        return [self._people(photo, asked) for photo in batch]

    def _people(self, prepared: PreparedPhoto, asked: _Request) -> People:
        srgb = shrink(prepared.proxy_srgb, longest_side=LONGEST_SIDE_PX)
        size = srgb.shape[0], srgb.shape[1]
        # Without any seed the photo has no people.
        first = next(self._guesses(prepared, size, asked), np.zeros(size, np.uint8))
        keep, remove = draw_strokes(asked.strokes, prepared, size, brush_px=asked.brush_px)
        seeded = seeds.add_strokes(first, keep, remove)
        person = run_grabcut(srgb, seeded, iterations=asked.iterations)
        height, width = prepared.proxy_srgb.shape[:2]
        matte_01 = cv2.resize(person.astype(np.float32), (width, height))
        matte = refine_edges(np.asarray(matte_01, dtype=np.float32), prepared.proxy_srgb)
        return People(matte, persons=None, steps=_steps(srgb, seeded, person, matte))

    def _guesses(
        self, prepared: PreparedPhoto, size: tuple[int, int], asked: _Request
    ) -> Iterator[Seeds]:
        """Yield the available first guesses, the requested one first."""
        for seed in dict.fromkeys((asked.seed, *AUTO_ORDER)):
            guess = self._guess(seed, prepared, size, asked)
            if guess is not None and np.any(guess != seeds.BACKGROUND):
                yield guess

    def _guess(
        self, seed: Seed, prepared: PreparedPhoto, size: tuple[int, int], asked: _Request
    ) -> Seeds | None:
        match seed:
            case Seed.BOX if asked.box is not None:
                return seeds.from_box(asked.box, prepared, size)
            case Seed.FACES if prepared.proposals:
                return seeds.from_faces(prepared.proposals, prepared, size)
            case Seed.MATTE:
                (people,) = self.others(asked.matte_model)([prepared])
                return seeds.from_matte(people.matte, size)
            case Seed.STROKES if asked.strokes:
                return seeds.make_unknown(size)
            case _:
                return None


def run_grabcut(srgb: Srgb8, seeded: Seeds, *, iterations: int) -> Bools:
    """Return the pixels that show a person: (h, w) bool.

    srgb: (h, w, 3) uint8; seeded: its seeds.
    Source: Rother, Kolmogorov & Blake 2004, "GrabCut", section 3.
    """
    person = _is_person(seeded)
    if person.all() or not person.any():
        return person  # GrabCut needs both kinds of pixels
    # GrabCut initializes its colors with OpenCV's random state, which is kept for each thread.
    cv2.setRNGSeed(0)
    labels = seeded.copy()
    background_model, foreground_model = np.zeros(MODEL_SHAPE), np.zeros(MODEL_SHAPE)
    cv2.grabCut(
        srgb,
        labels,
        (0, 0, 1, 1),
        background_model,
        foreground_model,
        iterations,
        cv2.GC_INIT_WITH_MASK,
    )
    return _keep_touching(_is_person(labels), person)


def _keep_touching(is_person: Bools, guessed: Bools) -> Bools:
    """Return the parts of the result that touch the guess: colors recur far away."""
    labels, count = label_parts(is_person)
    is_kept = np.zeros(count, np.bool_)
    is_kept[labels[guessed]] = True
    is_kept[0] = False  # label 0 is everything outside the result
    return np.asarray(is_kept[labels], dtype=np.bool_)


def _is_person(seeded: Seeds) -> Bools:
    return np.isin(seeded, (seeds.PERSON, seeds.MAYBE_PERSON))


def _steps(srgb: Srgb8, seeded: Seeds, person: Bools, matte: Matte8) -> tuple[Step, ...]:
    shown = np.zeros(seeded.shape, np.uint8)
    for kind, level in LEVELS:
        shown[seeded == kind] = level
    return (
        Step("photo", srgb),
        Step("seeds", shown),
        Step("cut", np.where(person, np.uint8(255), np.uint8(0))),
        Step("edges refined", matte),
    )
