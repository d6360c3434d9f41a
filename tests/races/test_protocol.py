"""The protocol: every state of the model, and the model's walks on real servers."""

import pytest

from smart_filter_tests.bench import Bench
from smart_filter_tests.protocol import exploration, overlaps, walks
from smart_filter_tests.protocol.model import Guard

# Two workers make no difference to these, and one is explored five times faster.
OF_THE_SWEEPER = frozenset({Guard.EXPIRE_RUNS, Guard.WAKE_RUNS, Guard.OVERDUE_RUNS})


@pytest.mark.timeout(900)
def test_no_property_is_broken_in_any_state() -> None:
    found = exploration.explore()

    assert found.violation is None
    assert found.states > 100_000


@pytest.mark.parametrize("guard", Guard)
@pytest.mark.timeout(900)
def test_model_without_a_guard_breaks_a_property(guard: Guard) -> None:
    found = exploration.explore(frozenset({guard}), workers=1 if guard in OF_THE_SWEEPER else 2)

    assert found.violation is not None


@pytest.mark.timeout(900)
def test_servers_follow_the_walks_of_the_model(bench: Bench) -> None:
    walks.follow_all(bench)


@pytest.mark.timeout(900)
def test_overlapping_steps_end_as_in_one_order(bench: Bench) -> None:
    overlaps.check_pairs(bench)
    overlaps.check_batches(bench)
