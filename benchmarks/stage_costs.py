"""Measure the time of one core for each stage of a 1 MP selfie, for docs/capacity.md.

Models are the default ones.

python -m benchmarks.stage_costs
"""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks import figures, photos
from benchmarks.figures import Figure
from benchmarks.stages import open_stages
from smart_filter_shared.config import paths
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.recipe import Recipe
from smart_filter_workers import images

_WARM_UP, _PHOTOS = 2, 12


def measure() -> list[Figure]:
    """Return the processor time of each stage, without decoding and storing."""
    peer = open_stages(paths.data_folder() / "weights")
    selfies = photos.selfies(photos.SIDE_OF_1_MP)
    taken: dict[StageName, list[float]] = defaultdict(list)

    @contextmanager
    def measure_stage(stage: StageName) -> Iterator[None]:
        started = time.process_time()
        yield
        taken[stage].append(1000 * (time.process_time() - started))

    for seed in range(_WARM_UP + _PHOTOS):
        peer.run(images.decode(next(selfies)), Recipe(seed=seed), around=measure_stage)
    return [
        Figure(name=stage, unit="ms of a core", samples=samples[_WARM_UP:])
        for stage, samples in taken.items()
    ]


if __name__ == "__main__":
    figures.print_figures(measure())
