"""Twelve real photos with known masks and faces, through the running stack.

SMART_FILTER_EVAL_DATA names their folder: portrait/ and seg/ with images/X.jpg and masks/X.png
(255 person, 0 background, 128 does not count), faces/ with boxes.json. Whole measurements are
made elsewhere; these few tell when something is badly broken between the models and the API.
"""

import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from smart_filter_tests.running import Running

VARIABLE = "SMART_FILTER_EVAL_DATA"
FEW = 4  # of each folder
PERSON, BACKGROUND = 255, 0
# All of portrait and seg: mean IoU 0.95 and 0.90; of these few no photo should be lost.
LEAST_MEAN_IOU, LEAST_IOU = 0.85, 0.6
# All of faces: F1 0.98.
LEAST_F1 = 0.85
SAME_FACE_IOU = 0.4

Box = tuple[float, float, float, float]


@pytest.fixture(scope="module")
def photos() -> Path:
    """The folder of photos; without one these tests are skipped, and the reason is shown."""
    folder = os.environ.get(VARIABLE)
    if not folder:
        pytest.skip(f"{VARIABLE} names no folder of photos with known masks and faces")
    return Path(folder)


def test_mattes_cover_the_people(running_stack: Running, photos: Path) -> None:
    overlaps = {}
    for folder in ("portrait", "seg"):
        for photo in a_few(sorted((photos / folder / "images").iterdir())):
            known = np.asarray(
                Image.open(photos / folder / "masks" / f"{photo.stem}.png").convert("L")
            )
            job_id = running_stack.submit(photo.read_bytes(), outputs="matte")
            job = running_stack.wait(job_id)
            assert job["state"] == "succeeded", (photo.name, job["error"])
            matte = np.asarray(Image.open(io.BytesIO(running_stack.output(job_id, "matte"))))
            overlaps[photo.name] = overlap(matte, known)

    assert len(overlaps) == 2 * FEW
    assert min(overlaps.values()) > LEAST_IOU, overlaps
    assert sum(overlaps.values()) / len(overlaps) > LEAST_MEAN_IOU, overlaps


def test_faces_are_found_where_people_marked_them(running_stack: Running, photos: Path) -> None:
    marked = json.loads((photos / "faces" / "boxes.json").read_text())
    right = missed = wrong = 0
    for name in a_few(sorted(marked)):
        photo = next((photos / "faces").rglob(name))
        job = running_stack.wait(
            running_stack.submit(photo.read_bytes(), outputs="faces", background="keep")
        )
        assert job["state"] == "succeeded", (name, job["error"])
        found = [tuple(face["box"]) for face in job["faces"]]
        hits, misses, others = compare(found, marked[name]["boxes"])
        right, missed, wrong = right + hits, missed + misses, wrong + others

    assert right >= FEW
    assert 2 * right / (2 * right + missed + wrong) > LEAST_F1, (right, missed, wrong)


def a_few(everything: Sequence[Any]) -> list[Any]:
    """Return some that lie far from one another, the same ones every time."""
    assert len(everything) >= FEW
    return [everything[index * len(everything) // FEW] for index in range(FEW)]


def overlap(matte: NDArray[np.uint8], known: NDArray[np.uint8]) -> float:
    """Return the intersection over union of people, where the mask tells."""
    assert matte.shape == known.shape
    counts = (known == PERSON) | (known == BACKGROUND)
    seen, person = (matte > 127) & counts, known == PERSON
    return float((seen & person).sum() / max(1, (seen | person).sum()))


def compare(found: list[Box], marked: list[dict[str, Any]]) -> tuple[int, int, int]:
    """Return how many marked faces were found, how many not, and how many others were found."""
    left = list(found)
    hits = misses = 0
    for mark in sorted(marked, key=lambda mark: bool(mark["ignore"])):
        box = (mark["x"], mark["y"], mark["w"], mark["h"])
        best = max(left, key=lambda one: same(one, box), default=None)
        hit = best is not None and same(best, box) > SAME_FACE_IOU
        if hit and best is not None:
            left.remove(best)
        if not mark["ignore"]:
            hits, misses = hits + hit, misses + (not hit)
    return hits, misses, len(left)


def same(one: Box, other: Box) -> float:
    """Return the intersection over union of two boxes."""
    across = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    down = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    shared = max(0.0, across) * max(0.0, down)
    return shared / (one[2] * one[3] + other[2] * other[3] - shared)
