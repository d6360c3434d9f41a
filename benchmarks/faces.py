"""Measure the networks that read a face: `python -m benchmarks.faces`.

The face is that of the tests' portrait, on one thread. The mesh is computed beforehand, because
only the first model that needs it computes it; the sum with the mesh is printed too. Goal: smile
and eyes together take at most 3 ms a face.
"""

import statistics
import time
from collections.abc import Callable
from pathlib import Path

from smart_filter_shared.config.paths import data_folder
from smart_filter_workers import images
from smart_filter_workers.networks.faces.face_mesh import FaceMesh, FaceView
from smart_filter_workers.stages.prepare.models import light
from smart_filter_workers.stages.smile.models import expression, geometry, iris, lids

ROUNDS = 15
CALLS = 20
GOAL_MS = 3.0


def main() -> None:
    """Print the processor milliseconds of each network for one face: medians of the rounds."""
    weights = data_folder() / "weights"
    photo = images.decode(Path("tests/data/astronaut.png").read_bytes()).srgb
    (face, *_) = light.load(weights)([photo])[0]
    seen = FaceView(photo, face)
    mesh = FaceMesh(weights)
    seen.mesh(mesh)
    rate, read = expression.load(weights), lids.load(weights)
    given = expression.CARD.completed({})
    networks: dict[str, Callable[[], object]] = {
        "expression": lambda: rate([seen], parameters=given),
        "lids": lambda: read([seen]),
        "geometry": lambda: geometry_of([seen]),
        "iris": lambda: iris_of([seen]),
        "mesh": lambda: FaceView(photo, face).mesh(mesh),
    }
    geometry_of, iris_of = geometry.load(weights), iris.load(weights)
    samples_ms: dict[str, list[float]] = {name: [] for name in networks}
    for _ in range(ROUNDS):
        for name, work in networks.items():
            samples_ms[name].append(_ms(work))
    medians = {name: statistics.median(each) for name, each in samples_ms.items()}
    for name, ms in medians.items():
        print(f"{name}: {ms:.2f} ms (least {min(samples_ms[name]):.2f})")
    both = medians["expression"] + medians["lids"]
    print(f"expression and lids: {both:.2f} ms, goal {GOAL_MS}")
    print(f"with the mesh: {both + medians['mesh']:.2f} ms")


def _ms(work: Callable[[], object]) -> float:
    began = time.thread_time()
    for _ in range(CALLS):
        work()
    return (time.thread_time() - began) / CALLS * 1000


if __name__ == "__main__":
    main()
