"""Measure the strokes of a job's corrections in `composite`, in the worst allowed cases.

`python -m benchmarks.strokes`: one process. Each printed line has the photo's side, the number of
strokes, points of each, their width in pixels of the photo, and seconds of processor time.
"""

import time

import numpy as np

from smart_filter_shared.feedback.corrections import MAX_POINTS_DRAWN
from smart_filter_shared.recipe import Background, BackgroundKind, Recipe
from smart_filter_workers.results import MatteDrawing, Photo, PreparedPhoto, Segmentation, Stroke
from smart_filter_workers.stages.composite.apply_corrections import correct_matte
from smart_filter_workers.stages.composite.inputs import Inputs
from smart_filter_workers.stages.prepare.stage import PROXY_LONGEST_SIDE_PX

# The photo's side, strokes, points of each, width in pixels of the photo.
_CASES = (
    (7000, 200, 100, 2000.0),
    (1024, 200, 100, 2000.0),
    (1024, 3200, 6, 2000.0),
    (1024, 10, 2000, 1000.0),
)


def main() -> None:
    """Print a line for each case."""
    for side, strokes, points, width in _CASES:
        assert strokes * points <= MAX_POINTS_DRAWN, "more is refused"
        job = _a_job(side, _strokes(side, strokes, points, width))
        before = time.process_time()
        assert job.segmented is not None
        correct_matte(job, job.segmented.matte)
        seconds = time.process_time() - before
        print(f"{side} px, {strokes} strokes of {points} points, {width:.0f} wide: {seconds:.2f} s")


def _strokes(side: int, strokes: int, points: int, width: float) -> tuple[Stroke, ...]:
    random = np.random.default_rng(1)
    return tuple(
        Stroke(
            tuple((float(x), float(y)) for x, y in random.random((points, 2)) * side),
            width=width,
            keep=bool(number % 2),
        )
        for number in range(strokes)
    )


def _a_job(side: int, strokes: tuple[Stroke, ...]) -> Inputs:
    small = PROXY_LONGEST_SIDE_PX
    pixels = np.zeros((small, small, 3), np.uint8)
    return Inputs(
        photo=Photo(pixels, "jpg"),  # corrections do not look at it
        background=None,
        prepared=PreparedPhoto(side, side, "jpg", proxy_srgb=pixels),
        segmented=Segmentation(
            matte=np.full((small, small), 100, np.uint8), coverage=0.0, persons=None
        ),
        faces=None,
        smiles=None,
        recipe=Recipe(background=Background(BackgroundKind.AUTO)),
        seed=1,
        drawn=(MatteDrawing(strokes=strokes),),
    )


if __name__ == "__main__":
    main()
