"""Measure what a photo costs all processes together, next to bare functions.

python -m benchmarks.photo_cpu [WORKERS]      processes, default one for each core

A cut-out's bare function decodes the photo, asks the selfie networks once, enlarges their coverage
and encodes a PNG with transparency; a default job's decodes, runs all networks of such a job, and
encodes a JPEG: with threads of one process and nothing else. The service is
`smart-filter up` with all its processes: API, worker, sender, PostgreSQL and Valkey.
Photos have 1 MP; default jobs of 12 MP are compared with those of 1 MP as well. Rounds are paired
(`benchmarks.paired`). No figure is reported when a job fails or the pairs differ by more than 25 %.

On ext4 without a journal a new file can take a millisecond while many files were removed in the
last minutes; TMPDIR names a folder on another file system.
"""

import itertools
import os
import uuid
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path

import httpx

from benchmarks import figures, paired, photos, service
from benchmarks.bare_cut_out import BareCutOut
from benchmarks.bare_default_job import BareDefaultJob
from benchmarks.figures import Figure
from benchmarks.paired import BareFunction, NoFigures, Server
from benchmarks.service import Service
from smart_filter_client import Recipe
from smart_filter_client.operations.jobs import to_form_fields

CUT_OUT: Recipe = {
    "background": "transparent",
    "outputs": ["image"],
    "format": "png",
    "segmentation": {"model": "selfie"},
}
_JOBS: Mapping[str, Recipe] = {"cut-out": CUT_OUT, "default job": {}}
_BARE: Mapping[str, Callable[[Path], Callable[[bytes], bytes]]] = {
    "cut-out": BareCutOut,
    "default job": BareDefaultJob,
}
_WAIT_SECONDS = 60
# Photos of a round: rounds of 24 spread by a tenth more, because a service begins and ends each one
# with idle threads.
_PHOTOS = 96
# Goals: processor time and photos a second, over those of the bare function.
_MAX_COST = {"cut-out": 1.5, "default job": 2.0}
_MIN_RATE = {"cut-out": 0.6, "default job": None}
# Goal: processor time of a default job of 12 MP, over that of one of 1 MP.
_MAX_COST_OF_12_MP = 1.6


class Jobs:
    """Puts photos through jobs of one recipe, each with another seed; thread-safe."""

    def __init__(self, running: Service, recipe: Recipe) -> None:
        self._http = httpx.Client(
            base_url=running.client.url,
            headers={
                "Authorization": f"Bearer {running.api_key}",
                "Accept": "image/*",
                "Prefer": f"wait={_WAIT_SECONDS}",
            },
            timeout=2 * _WAIT_SECONDS,
            trust_env=False,
        )
        self._recipe = recipe
        self._seeds = itertools.count()

    def __call__(self, photo: bytes) -> bytes:
        """Return the picture of a new job. Raises NoFigures when the job fails."""
        # One request does everything, as a peer's does; with a key it could be repeated.
        answer = self._http.post(
            "/v1/jobs",
            files={"photo": photo},
            data=to_form_fields({**self._recipe, "seed": next(self._seeds)}),
            headers={"Idempotency-Key": str(uuid.uuid4())},
        )
        if answer.status_code != HTTPStatus.OK:
            raise NoFigures(f"not reported: {answer.status_code}: {answer.text}")
        return answer.content


def measure(workers: int) -> list[Figure]:
    """Return cost and rate of the bare function and of each job, and their ratios."""
    lines: list[Figure] = []
    with service.folder() as data, service.up(data, workers=workers) as running:
        for name, recipe in _JOBS.items():
            function = _BARE[name](data / "weights")
            bare = BareFunction(function, photos.selfies(photos.SIDE_OF_1_MP))
            server = _server(running, recipe, photos.SIDE_OF_1_MP)
            pairs = paired.measure_pairs(bare, server, photos=_PHOTOS)
            lines += paired.compare(name, pairs, max_cost=_MAX_COST[name], min_rate=_MIN_RATE[name])
        large, small = (
            _server(running, {}, side) for side in (photos.SIDE_OF_12_MP, photos.SIDE_OF_1_MP)
        )
        lines.append(
            Figure(
                name="default job of 12 MP: processor time",
                unit="× 1 MP",
                samples=paired.cost_ratios(paired.measure_pairs(small, large, photos=_PHOTOS)),
                goal=_MAX_COST_OF_12_MP,
            )
        )
    return lines


def _server(running: Service, recipe: Recipe, side: int) -> Server:
    return Server(running.pid, Jobs(running, recipe), photos.selfies(side))


if __name__ == "__main__":
    figures.print_figures(measure(figures.read_number(__doc__, "workers", os.cpu_count() or 1)))
