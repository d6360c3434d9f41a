"""Who sweeps, and when leases may expire after nobody has."""

import pytest

from smart_filter_shared.jobs import presence
from smart_filter_shared.jobs.presence import CELL
from smart_filter_tests.bench import Bench


def swept(bench: Bench, *, ago_seconds: float) -> None:
    """Let the last sweep have been so long ago, with no outage before it."""
    bench.execute(
        """
            UPDATE cells SET expires_from = '2000-01-01',
                swept_at = statement_timestamp() - make_interval(secs => :ago)
        """,
        ago=ago_seconds,
    )


@pytest.mark.parametrize(
    ("ago_seconds", "may_expire"),
    [(1.2, True), (4, True), (30, False)],
    ids=["in time", "a little late", "after an outage"],
)
def test_heartbeat_as_quick_as_the_sweep_stops_no_expiry(
    bench: Bench, ago_seconds: float, *, may_expire: bool
) -> None:
    swept(bench, ago_seconds=ago_seconds)

    won = bench.do(presence.win_sweep, cell=CELL, every_seconds=1, heartbeat_seconds=1)

    assert won is not None
    assert won.may_expire is may_expire


def test_second_who_would_sweep_at_the_same_time_does_not(bench: Bench) -> None:
    swept(bench, ago_seconds=2)

    first = bench.do(presence.win_sweep, cell=CELL, every_seconds=1, heartbeat_seconds=5)
    second = bench.do(presence.win_sweep, cell=CELL, every_seconds=1, heartbeat_seconds=5)

    assert first is not None
    assert second is None
