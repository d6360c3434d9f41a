"""What each stage takes of one core, a 1 MP selfie with the default models: for docs/capacity.md.

python -m benchmarks.stage_costs
"""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks import figures, photos
from benchmarks.figures import Figure
from benchmarks.one_process import OneProcess
from smart_filter_shared import places
from smart_filter_shared.pipeline import StageName

_WARM_UP, _PHOTOS = 2, 12


def measure() -> list[Figure]:
    """Return the processor time of each stage; decoding the photo and storing are not in it."""
    peer = OneProcess(places.data_folder() / "weights")
    selfies = photos.selfies(photos.SIDE_OF_1_MP)
    taken: dict[StageName, list[float]] = defaultdict(list)

    @contextmanager
    def timed(stage: StageName) -> Iterator[None]:
        begun = time.process_time()
        yield
        taken[stage].append(1000 * (time.process_time() - begun))

    for seed in range(_WARM_UP + _PHOTOS):
        peer.run(next(selfies), seed=seed, around=timed)
    return [
        Figure(name=stage, unit="ms of a core", samples=samples[_WARM_UP:])
        for stage, samples in taken.items()
    ]


if __name__ == "__main__":
    figures.tell(measure())
