"""What a router shows operators: which cells answer, and how long requests to each took."""

from collections import defaultdict
from collections.abc import Iterable

from smart_filter_api.cells.passing import Passage
from smart_filter_shared.telemetry import exposition, metrics
from smart_filter_shared.telemetry.exposition import Sample


class Traffic:
    """Requests that were passed on; for one event loop."""

    def __init__(self) -> None:
        self._seconds: defaultdict[tuple[str, str], float] = defaultdict(float)
        self._count: defaultdict[tuple[str, str], int] = defaultdict(int)

    def observe(self, cell: str, status: int | None, seconds: float) -> None:
        """Note one request; status: of its answer, None when the client left before."""
        labels = (cell, "none" if status is None else str(status))
        self._seconds[labels] += seconds
        self._count[labels] += 1

    def shown(self, passages: Iterable[Passage]) -> str:
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
        return exposition.text({metrics.CELL_UP: up, metrics.PASSED: passed})
