"""Measures: what a live worker has done since it started, for the metrics' table."""

from bisect import bisect_left
from typing import Final

from smart_filter_shared.telemetry import exposition, metrics
from smart_filter_shared.telemetry.exposition import Sample

# Seconds; frames come every 30 to 70 ms.
_BOUNDS: Final = (0.02, 0.04, 0.06, 0.08, 0.1, 0.12, 0.16, 0.25, 0.5, 1.0, 2.5)


class Measures:
    """Counts of one process; for one event loop."""

    def __init__(self) -> None:
        self.frames = dict.fromkeys(metrics.FrameOutcome, 0)
        self._buckets = [0] * (len(_BOUNDS) + 1)
        self._seconds = 0.0

    def shown(self, seconds: float) -> None:
        """Note a frame that was answered so long after it had come."""
        self.frames[metrics.FrameOutcome.SHOWN] += 1
        self._buckets[bisect_left(_BOUNDS, seconds)] += 1
        self._seconds += seconds

    def text(self, *, connections: int) -> str:
        """Return all of it as Prometheus reads it."""
        below, samples = 0, []
        for bound, count in zip((*_BOUNDS, "+Inf"), self._buckets, strict=True):
            below += count
            samples.append(Sample(below, (), "_bucket", str(bound)))
        samples += [Sample(self._seconds, (), "_sum"), Sample(below, (), "_count")]
        return exposition.text(
            {
                metrics.LIVE_CONNECTIONS: [Sample(connections)],
                metrics.LIVE_FRAMES: [
                    Sample(count, (outcome,)) for outcome, count in self.frames.items()
                ],
                metrics.LIVE_FRAME: samples,
            }
        )
