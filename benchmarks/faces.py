"""What the networks that read a face cost: `python -m benchmarks.faces`.

One face of the tests' portrait, one thread. The mesh is drawn beforehand, as whichever model asks
first has it drawn; with it is told beside. Goal: smile and eyes together within 3 ms a face.
"""

import statistics
import time
from collections.abc import Callable
from pathlib import Path

from smart_filter_shared.places import data_folder
from smart_filter_workers import images
from smart_filter_workers.networks.face_mesh import FaceMesh, FaceView
from smart_filter_workers.stages.prepare.models import light
from smart_filter_workers.stages.smile.models import expression, geometry, iris, lids

ROUNDS = 15
CALLS = 20
GOAL_MS = 3.0


def main() -> None:
    """Print milliseconds of processor a face, medians of rounds in turn."""
    weights = data_folder() / "weights"
    photo = images.decode(Path("tests/data/astronaut.png").read_bytes()).srgb
    (face, *_) = light.load(weights)([photo])[0]
    seen = FaceView(photo, face)
    mesh = FaceMesh(weights)
    seen.mesh(mesh)
    rate, read = expression.load(weights), lids.load(weights)
    given = expression.CARD.completed({})
    works: dict[str, Callable[[], object]] = {
        "expression": lambda: rate([seen], parameters=given),
        "lids": lambda: read([seen]),
        "geometry": lambda: geometry_of([seen]),
        "iris": lambda: iris_of([seen]),
        "mesh": lambda: FaceView(photo, face).mesh(mesh),
    }
    geometry_of, iris_of = geometry.load(weights), iris.load(weights)
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(ROUNDS):
        for name, work in works.items():
            taken[name].append(_ms(work))
    found = {name: statistics.median(each) for name, each in taken.items()}
    for name, ms in found.items():
        print(f"{name}: {ms:.2f} ms (least {min(taken[name]):.2f})")
    both = found["expression"] + found["lids"]
    print(f"expression and lids: {both:.2f} ms, goal {GOAL_MS}")
    print(f"with the mesh: {both + found['mesh']:.2f} ms")


def _ms(work: Callable[[], object]) -> float:
    began = time.thread_time()
    for _ in range(CALLS):
        work()
    return (time.thread_time() - began) / CALLS * 1000


if __name__ == "__main__":
    main()
