"""One photo at a time, from end to end, and what queue and storage add to its stages.

What is added is the time between sending the photo and having the finished job, less the
time that the stages' own code took. Stages that ran side by side count once in
`beside the longest way`, and each in `beside all stages`.
"""

import time
from collections.abc import Iterator

from benchmarks import figures, photos, service
from benchmarks.figures import Figure
from smart_filter_client import Client, Job

_WARM_UP = 3
_PHOTOS = 25
_SECONDS = 40.0  # a machine that is slower measures fewer photos
_MOST_ADDED_MS = 60.0


def measure() -> list[Figure]:
    """Send small and big selfies, each after the one before has ended."""
    found: list[Figure] = []
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
            taken: list[tuple[float, Job]] = []
            while len(taken) < _PHOTOS and time.monotonic() < ends_at:
                taken.append(_through(running.client, next(selfies)))
            found += _figures(name, taken, goal, judged=megapixels == 1)
    return found


def _figures(
    name: str, taken: list[tuple[float, Job]], goal: float, *, judged: bool
) -> Iterator[Figure]:
    ways = [_longest_way(job) for _, job in taken]
    sums = [sum(_seconds(job).values()) for _, job in taken]
    ends = [seconds for seconds, _ in taken]
    yield Figure(name=f"{name}, end to end", unit="ms", samples=_ms(ends), goal=goal)
    yield Figure(name=f"{name}, stages one by one", unit="ms", samples=_ms(sums))
    for what, work, limit in (
        ("all stages", sums, _MOST_ADDED_MS if judged else None),
        ("the longest way", ways, None),
    ):
        added = _ms(end - own for end, own in zip(ends, work, strict=True))
        yield Figure(name=f"{name}, added beside {what}", unit="ms", samples=added, goal=limit)


def _through(client: Client, photo: bytes) -> tuple[float, Job]:
    """Send a photo; return the seconds until its job was seen to have ended, and the job."""
    started_at = time.perf_counter()
    job = client.wait(client.submit(photo).id, 60)
    seconds = time.perf_counter() - started_at
    if not job.succeeded:
        raise RuntimeError(f"job {job.id} {job.state}: {job.error}")
    return seconds, job


def _longest_way(job: Job) -> float:
    took = _seconds(job)
    beside = max(took["segmentation"], took["face"] + took["smile"])
    return took["prepare"] + beside + took["composite"]


def _seconds(job: Job) -> dict[str, float]:
    return {stage.name: stage.seconds or 0.0 for stage in job.stages}


def _ms(seconds: Iterator[float] | list[float]) -> list[float]:
    return [1000 * value for value in seconds]


if __name__ == "__main__":
    figures.tell(measure())
