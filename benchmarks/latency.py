"""Measure one photo at a time, from end to end, and the time that queue and storage add.

The added time is the time from sending the photo to receiving the finished job, minus the time of
the stages' own code. `added to all stages` subtracts every stage. `added to the longest path`
subtracts only the longer one of parallel stages.
"""

import time
from collections.abc import Iterator

from benchmarks import figures, photos, service
from benchmarks.figures import Figure
from smart_filter_client import Client, Job

_WARM_UP = 3
_PHOTOS = 25
_SECONDS = 40.0  # a slow machine measures fewer photos in this time
_MOST_ADDED_MS = 60.0


def measure() -> list[Figure]:
    """Send small and large selfies one after the other, and return their times."""
    results: list[Figure] = []
    with service.folder() as data, service.up(data) as running:
        for megapixels, side, goal in (
            (1, photos.SIDE_OF_1_MP, 500.0),
            (12, photos.SIDE_OF_12_MP, 1500.0),
        ):
            name = f"{megapixels} MP selfie"
            selfies = photos.selfies(side)
            for _ in range(_WARM_UP):
                _through(running.client, next(selfies))
            ends_at = time.monotonic() + _SECONDS
            runs: list[tuple[float, Job]] = []
            while len(runs) < _PHOTOS and time.monotonic() < ends_at:
                runs.append(_through(running.client, next(selfies)))
            results += _figures(name, runs, goal, judged=megapixels == 1)
    return results


def _figures(
    name: str, runs: list[tuple[float, Job]], goal: float, *, judged: bool
) -> Iterator[Figure]:
    paths = [_longest_path_seconds(job) for _, job in runs]
    sums = [sum(_seconds(job).values()) for _, job in runs]
    ends = [seconds for seconds, _ in runs]
    yield Figure(name=f"{name}, end to end", unit="ms", samples=_ms(ends), goal=goal)
    yield Figure(name=f"{name}, stages one by one", unit="ms", samples=_ms(sums))
    for what, work, limit in (
        ("all stages", sums, _MOST_ADDED_MS if judged else None),
        ("the longest path", paths, None),
    ):
        added = _ms(end - stage_seconds for end, stage_seconds in zip(ends, work, strict=True))
        yield Figure(name=f"{name}, added to {what}", unit="ms", samples=added, goal=limit)


def _through(client: Client, photo: bytes) -> tuple[float, Job]:
    """Send a photo; return the seconds until the client had its finished job, and the job."""
    started_at = time.perf_counter()
    job = client.wait(client.submit(photo).id, 60)
    seconds = time.perf_counter() - started_at
    if not job.succeeded:
        raise RuntimeError(f"job {job.id} {job.state}: {job.error}")
    return seconds, job


def _longest_path_seconds(job: Job) -> float:
    stages = _seconds(job)
    parallel = max(stages["segmentation"], stages["face"] + stages["smile"])
    return stages["prepare"] + parallel + stages["composite"]


def _seconds(job: Job) -> dict[str, float]:
    return {stage.name: stage.seconds or 0.0 for stage in job.stages}


def _ms(seconds: Iterator[float] | list[float]) -> list[float]:
    return [1000 * value for value in seconds]


if __name__ == "__main__":
    figures.print_figures(measure())
