"""Filters: the processor time of one thread that each takes, on photos and on cut-outs.

python -m benchmarks.filters
"""

import time
from collections.abc import Callable
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks import figures
from smart_filter_shared.parameters import Scalar
from smart_filter_shared.recipe import Filter
from smart_filter_tests.filtering import a_face, a_picture, a_scene
from smart_filter_workers import native_threads
from smart_filter_workers.stages.composite.filters import applying
from smart_filter_workers.stages.composite.filters.scene import Scene

ROUNDS: Final = 9
# Width, height, faces across and down, and the distance of their eyes in pixels.
SCENES: Final = {
    "1 face, 1 MP": (1200, 834, 1, 1, 90),
    "1 face, 12 MP": (4000, 3000, 1, 1, 320),
    "40 faces, 12 MP": (4000, 3000, 8, 5, 90),
}
WORN: Final[tuple[tuple[str, dict[str, Scalar]], ...]] = (
    ("hat", {"kind": "party"}),
    ("hat", {"kind": "santa"}),
    ("glasses", {"kind": "shades"}),
    ("sticker", {"kind": "heart"}),
    ("sticker", {"kind": "flower"}),
)
WHOLE: Final[tuple[tuple[str, dict[str, Scalar]], ...]] = (
    ("grade", {"look": "sunny"}),
    ("sparkle", {"amount": 1}),
    ("caption", {"text": "A line or two of text, as people write below a picture"}),
)
# Milliseconds: of what is worn for a face, of a grade for a million pixels.
A_FACE, A_MEGAPIXEL = 5.0, 10.0


def measure() -> list[figures.Figure]:
    """Return what filters take; drawn once before, as in a worker that has run for a while."""
    cv2.setNumThreads(1)
    native_threads.one_per_call()
    found = []
    for title, (width, height, across, down, unit) in SCENES.items():
        faces = [
            a_face((column + 0.5) * width / across, (row + 0.55) * height / down, unit)
            for row in range(down)
            for column in range(across)
        ]
        scene = a_scene(faces, width=width, height=height)
        for channels in (3, 4):
            picture = a_picture(width, height, channels=channels)
            kind = title if channels == 3 else f"{title}, RGBA"  # noqa: PLR2004 - no alpha
            for name, params in WORN:
                found.append(_figure(kind, picture, scene, Filter(name, params), share=len(faces)))
            for name, params in WHOLE:
                megapixels = width * height / 1e6 if name == "grade" else 1
                asked = Filter(name, params)
                found.append(_figure(kind, picture, scene, asked, share=megapixels))
    found.append(figures.Figure(name="first hat of a process, 1 MP", unit="ms", samples=[_first()]))
    return found


def _figure(
    title: str, picture: NDArray[np.uint8], scene: Scene, asked: Filter, *, share: float
) -> figures.Figure:
    run = _runner(picture, scene, asked)
    run()
    samples = []
    for _ in range(ROUNDS):
        start = time.process_time()
        run()
        samples.append(1000 * (time.process_time() - start) / share)
    told = " ".join(str(value) for value in asked.params.values())[:12]
    per = {"grade": "a megapixel", "sparkle": "", "caption": ""}.get(asked.name, "a face")
    goal = {"grade": A_MEGAPIXEL, "sparkle": None, "caption": None}.get(asked.name, A_FACE)
    name = f"{title}: {asked.name} {told} {per}".strip()
    return figures.Figure(name=name, unit="ms", samples=samples, goal=goal)


def _runner(picture: NDArray[np.uint8], scene: Scene, asked: Filter) -> Callable[[], object]:
    plugin, parameters = applying.plugin(asked.name), asked.parameters
    return lambda: plugin.draw(picture, scene, parameters)


def _first() -> float:
    scene = a_scene([a_face(600, 400, 91)], width=1200, height=834)
    run = _runner(a_picture(1200, 834), scene, Filter("hat", {"colour": "brown"}))
    start = time.process_time()
    run()
    return 1000 * (time.process_time() - start)


if __name__ == "__main__":
    figures.tell(measure())
