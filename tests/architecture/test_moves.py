"""The declared moves of stages and jobs.

tests/races/test_moves.py checks on a real database that the code makes only these.
"""

from smart_filter_shared.queue import transitions
from smart_filter_tests.moves import DECLARED


def test_every_move_is_made_by_a_transition() -> None:
    names = {name for *_, name in DECLARED}

    assert [name for name in names if not callable(getattr(transitions, name, None))] == []


def test_only_a_repeated_stage_leaves_the_succeeded_state() -> None:
    left = {(whose, name) for whose, before, _, name in DECLARED if before == "succeeded"}

    assert left == {("stage", "rerun")}
