"""Measure the time from the command `smart-filter up` to the first accepted job.

python -m benchmarks.start [--cold]     --cold: also measures set-up in a new copy of the checkout
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import figures, photos, service
from benchmarks.figures import Figure

_CHECKOUT = Path(__file__).parents[1]
_STARTS = 5


def measure(*, cold: bool = False) -> list[Figure]:
    """Start several times on a used folder; return the times to the first job and result."""
    selfies = photos.selfies(photos.SIDE_OF_1_MP)
    accepted: list[float] = []
    done: list[float] = []
    with service.folder() as data:
        with service.up(data):
            pass
        for _ in range(_STARTS):
            with service.up(data) as running:
                job = running.client.submit(next(selfies))
                accepted.append(time.monotonic() - running.started_at)
                running.client.wait(job.id, 60)
                done.append(time.monotonic() - running.started_at)
    results = [
        Figure(name="warm start to first accepted job", unit="s", samples=accepted, goal=6),
        Figure(name="warm start to first result", unit="s", samples=done),
    ]
    return [*results, _cold_set_up()] if cold else results


def _cold_set_up() -> Figure:
    with tempfile.TemporaryDirectory(prefix="smart-filter-bench-") as made:
        copy = Path(made) / "copy"
        subprocess.run(["git", "clone", "--quiet", _CHECKOUT, copy], check=True)
        started_at = time.monotonic()
        subprocess.run([copy / "deploy" / "bootstrap.sh", "run"], check=True)
        seconds = time.monotonic() - started_at
    return Figure(name="cold set-up, downloads included", unit="s", samples=[seconds], goal=180)


def main(arguments: Sequence[str]) -> None:
    """Measure and print the figures."""
    figures.print_figures(measure(cold="--cold" in arguments))


if __name__ == "__main__":
    main(sys.argv[1:])
