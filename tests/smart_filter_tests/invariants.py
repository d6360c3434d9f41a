"""Invariants of jobs and stages in every state, as the operator's audit checks them."""

from smart_filter_shared.operations import consistency
from smart_filter_tests.bench import Bench

_MOST = 20


def broken(bench: Bench) -> list[str]:
    """Return the rules that do not hold, each with the rows that break it."""
    findings = bench.do(consistency.check_rows, most=_MOST)
    return [f"{finding.rule}: {finding.subject}" for finding in findings]
