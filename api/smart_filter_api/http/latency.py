"""Measure how long requests took in this process, by method, route and status."""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field

from smart_filter_shared.telemetry.exposition import Sample

# Bucket bounds in seconds: a poll takes some milliseconds, a 40 MB upload on a slow line a minute.
_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)
# Other methods share one label: a client may invent methods, and each would be a series.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


@dataclass(slots=True)
class _Series:
    """Counts for each bucket, with one more for values above all bounds, and their sum."""

    buckets: list[int] = field(default_factory=lambda: [0] * (len(_BOUNDS) + 1))
    seconds: float = 0.0


class LatencyHistogram:
    """A histogram of request durations; for one event loop."""

    def __init__(self) -> None:
        self._series: dict[tuple[str, str, str], _Series] = {}

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Record one request.

        route: the path template of its route, such as `/v1/jobs/{job_id}`, which bounds the
        number of series.
        """
        labels = (method if method in _METHODS else "other", route, str(int(status)))
        series = self._series.setdefault(labels, _Series())
        series.buckets[bisect_left(_BOUNDS, seconds)] += 1
        series.seconds += seconds

    def samples(self) -> Iterator[Sample]:
        """Yield the samples of the histogram since the process started."""
        for labels, series in self._series.items():
            below = 0
            for bound, count in zip((*_BOUNDS, "+Inf"), series.buckets, strict=True):
                below += count
                yield Sample(below, labels, "_bucket", str(bound))
            yield Sample(series.seconds, labels, "_sum")
            yield Sample(below, labels, "_count")
