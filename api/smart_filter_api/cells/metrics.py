"""Metrics of a cell router: which cells answer, and how long requests to each took."""

from collections import defaultdict
from collections.abc import Iterable

from smart_filter_api.cells.proxy import CellProxy
from smart_filter_shared.telemetry import exposition, metrics
from smart_filter_shared.telemetry.exposition import Sample


class RequestMetrics:
    """Counts and durations of proxied requests; for one event loop."""

    def __init__(self) -> None:
        self._seconds: defaultdict[tuple[str, str], float] = defaultdict(float)
        self._count: defaultdict[tuple[str, str], int] = defaultdict(int)

    def observe(self, cell: str, status: int | None, seconds: float) -> None:
        """Record one request; status: of its response, None when the client disconnected first."""
        labels = (cell, "none" if status is None else str(status))
        self._seconds[labels] += seconds
        self._count[labels] += 1

    def shown(self, passages: Iterable[CellProxy]) -> str:
        """Return every metric of a router as text."""
        up = [Sample(0 if one.is_away else 1, (one.cell.name,)) for one in passages]
        passed = [
            sample
            for labels, count in self._count.items()
            for sample in (
                Sample(self._seconds[labels], labels, "_sum"),
                Sample(count, labels, "_count"),
            )
        ]
        return exposition.render({metrics.CELL_UP: up, metrics.PROXIED_REQUESTS: passed})
