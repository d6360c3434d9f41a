"""What must hold of jobs and stages whatever has happened: what an operator's audit looks for."""

from smart_filter_shared.jobs import audit
from smart_filter_tests.bench import Bench

_MOST = 20


def broken(bench: Bench) -> list[str]:
    """Return which rules do not hold, each with what breaks it."""
    found = bench.do(audit.rows, most=_MOST)
    return [f"{finding.rule}: {finding.subject}" for finding in found]
