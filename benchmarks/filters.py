"""Measure the processor time of each filter on one thread, on photos and on cutouts.

python -m benchmarks.filters
"""

import time
from collections.abc import Callable
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks import figures
from smart_filter_shared.catalog.scalars import Scalar
from smart_filter_shared.recipe import Filter
from smart_filter_tests.filter_scenes import a_face, a_picture, a_scene
from smart_filter_workers.stages.composite.filters import drawing
from smart_filter_workers.stages.composite.filters.drawing import Scene
from smart_filter_workers.system import resources

ROUNDS: Final = 9
# Width, height, columns and rows of faces, and the distance between the eyes in pixels.
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
# Goals in milliseconds: a worn filter for each face, a grade for each million pixels.
MS_PER_FACE, MS_PER_MEGAPIXEL = 5.0, 10.0


def measure() -> list[figures.Figure]:
    """Return the time of each filter, after one drawing that fills its caches, as in a worker."""
    cv2.setNumThreads(1)
    resources.limit_native_threads()
    lines = []
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
                lines.append(_figure(kind, picture, scene, Filter(name, params), share=len(faces)))
            for name, params in WHOLE:
                megapixels = width * height / 1e6 if name == "grade" else 1
                wanted = Filter(name, params)
                lines.append(_figure(kind, picture, scene, wanted, share=megapixels))
    lines.append(figures.Figure(name="first hat of a process, 1 MP", unit="ms", samples=[_first()]))
    return lines


def _figure(
    title: str, picture: NDArray[np.uint8], scene: Scene, wanted: Filter, *, share: float
) -> figures.Figure:
    run = _runner(picture, scene, wanted)
    run()
    samples = []
    for _ in range(ROUNDS):
        start = time.process_time()
        run()
        samples.append(1000 * (time.process_time() - start) / share)
    shown_params = " ".join(str(value) for value in wanted.params.values())[:12]
    per = {"grade": "a megapixel", "sparkle": "", "caption": ""}.get(wanted.name, "a face")
    goal = {"grade": MS_PER_MEGAPIXEL, "sparkle": None, "caption": None}.get(
        wanted.name, MS_PER_FACE
    )
    name = f"{title}: {wanted.name} {shown_params} {per}".strip()
    return figures.Figure(name=name, unit="ms", samples=samples, goal=goal)


def _runner(picture: NDArray[np.uint8], scene: Scene, wanted: Filter) -> Callable[[], object]:
    plugin, parameters = drawing.load_plugin(wanted.name), wanted.parameters
    return lambda: plugin.draw(picture, scene, parameters)


def _first() -> float:
    scene = a_scene([a_face(600, 400, 91)], width=1200, height=834)
    run = _runner(a_picture(1200, 834), scene, Filter("hat", {"color": "brown"}))
    start = time.process_time()
    run()
    return 1000 * (time.process_time() - start)


if __name__ == "__main__":
    figures.print_figures(measure())
