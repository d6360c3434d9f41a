"""How long a child that died waits."""

import pytest

from smart_filter_deploy.embedded.backoff import Backoff


@pytest.mark.parametrize(
    ("lived_seconds", "waits"),
    [
        ([2.0], [0.0]),
        ([0.5] * 9, [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]),
        ([0.5, 0.5, 60.0, 0.5], [0.1, 0.2, 0.0, 0.1]),
    ],
    ids=["lived", "keeps dying", "lived in between"],
)
def test_child_that_died_early_waits_longer_each_time(
    lived_seconds: list[float], waits: list[float]
) -> None:
    backoff = Backoff()

    assert [backoff.after(seconds) for seconds in lived_seconds] == waits
