"""Counters of a live worker since its start, for the metrics endpoint."""

from bisect import bisect_left
from typing import Final

from smart_filter_shared.telemetry import exposition, metrics
from smart_filter_shared.telemetry.exposition import Sample

# Upper bounds in seconds; frames come every 30 to 70 ms.
_BUCKETS: Final = (0.02, 0.04, 0.06, 0.08, 0.1, 0.12, 0.16, 0.25, 0.5, 1.0, 2.5)


class LiveMetrics:
    """The counters of one process; for one event loop."""

    def __init__(self) -> None:
        self.frames = dict.fromkeys(metrics.FrameOutcome, 0)
        self._buckets = [0] * (len(_BUCKETS) + 1)
        self._seconds = 0.0

    def shown(self, seconds: float) -> None:
        """Count an answered frame, and the seconds from its arrival to its answer."""
        self.frames[metrics.FrameOutcome.SHOWN] += 1
        self._buckets[bisect_left(_BUCKETS, seconds)] += 1
        self._seconds += seconds

    def text(self, *, connections: int) -> str:
        """Return all counters in the Prometheus text format."""
        below, samples = 0, []
        for bound, count in zip((*_BUCKETS, "+Inf"), self._buckets, strict=True):
            below += count
            samples.append(Sample(below, (), "_bucket", str(bound)))
        samples += [Sample(self._seconds, (), "_sum"), Sample(below, (), "_count")]
        return exposition.render(
            {
                metrics.LIVE_CONNECTIONS: [Sample(connections)],
                metrics.LIVE_FRAMES: [
                    Sample(count, (outcome,)) for outcome, count in self.frames.items()
                ],
                metrics.LIVE_FRAME: samples,
            }
        )
