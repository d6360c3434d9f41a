"""Run all parts: `python -m benchmarks`."""

import sys

from benchmarks import (
    backgrounds,
    broker,
    composite,
    figures,
    latency,
    look,
    memory,
    start,
    throughput,
)


def main() -> None:
    """Measure all parts and print the figures; exit with status 1 when a goal was missed."""
    results = []
    for part in (start, latency, throughput, memory, broker, backgrounds, composite, look):
        print(f"{part.__name__} …", file=sys.stderr, flush=True)
        results += part.measure()
    figures.print_figures(results)
    sys.exit(any(figure.reached is False for figure in results))


if __name__ == "__main__":
    main()
