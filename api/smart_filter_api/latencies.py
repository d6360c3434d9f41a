"""How long requests took in this process, by method, route and status."""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field

from smart_filter_shared.telemetry.exposition import Sample

# Seconds; a poll takes some milliseconds, a 40 MB upload over a slow line a minute.
_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)
# A client may invent methods; each would be a series of its own.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


@dataclass(slots=True)
class _Series:
    """For each bound how many fell into its bucket, and those beyond all in the last."""

    buckets: list[int] = field(default_factory=lambda: [0] * (len(_BOUNDS) + 1))
    seconds: float = 0.0


class Latencies:
    """A histogram of requests; for one event loop."""

    def __init__(self) -> None:
        self._series: dict[tuple[str, str, str], _Series] = {}

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Note one request.

        route: its path as the application declares it, such as `/v1/jobs/{job_id}`, so that
        there are few of them.
        """
        labels = (method if method in _METHODS else "other", route, str(int(status)))
        series = self._series.setdefault(labels, _Series())
        series.buckets[bisect_left(_BOUNDS, seconds)] += 1
        series.seconds += seconds

    def samples(self) -> Iterator[Sample]:
        """Yield what was noted since the process started, as a histogram's samples."""
        for labels, series in self._series.items():
            below = 0
            for bound, count in zip((*_BOUNDS, "+Inf"), series.buckets, strict=True):
                below += count
                yield Sample(below, labels, "_bucket", str(bound))
            yield Sample(series.seconds, labels, "_sum")
            yield Sample(below, labels, "_count")
