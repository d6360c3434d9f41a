"""The declared moves of stages and jobs.

tests/races/test_moves.py checks on a real database that the code makes only these.
"""

from smart_filter_shared.queue import transitions
from smart_filter_shared.queue.states import JOB_MOVES, STAGE_MOVES, JobState, StageState


def test_every_move_is_made_by_a_transition() -> None:
    names = {name for move in (*STAGE_MOVES, *JOB_MOVES) for name in move.by}

    assert [name for name in names if not callable(getattr(transitions, name, None))] == []


def test_only_a_repeated_stage_leaves_the_succeeded_state() -> None:
    left = {move.by for move in STAGE_MOVES if move.before == StageState.SUCCEEDED}

    assert left == {("rerun",)}
    assert not [move for move in JOB_MOVES if move.before == JobState.SUCCEEDED]
