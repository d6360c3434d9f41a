"""The protocol: every state of the model, and the model's walks on real servers."""

import pytest

from smart_filter_tests.bench import Bench
from smart_filter_tests.protocol import exploration, walks


@pytest.mark.timeout(900)
def test_no_property_is_broken_in_any_state() -> None:
    explored = exploration.explore()

    assert explored.violation is None
    assert explored.states > 100_000


@pytest.mark.timeout(900)
def test_servers_follow_the_walks_of_the_model(bench: Bench) -> None:
    walks.follow_all(bench)
