"""The page's tables of moves say what the code declares; that the code keeps to it is
shown on a real database, by tests/races/test_moves.py and test_model.py.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from smart_filter_shared.jobs import transitions
from smart_filter_shared.jobs.states import JOB_MOVES, STAGE_MOVES, JobState, Move, StageState

PAGE = Path(__file__).parents[2] / "docs" / "architecture.md"
DECLARED = {"stage": STAGE_MOVES, "job": JOB_MOVES}


def listed(whose: str) -> list[tuple[str, ...]]:
    """Return the rows of the page's table of moves."""
    _, _, after = PAGE.read_text().partition(f"| a {whose} that is | becomes | by |\n|---|---|---|")
    table, _, _ = after.partition("\n\n")
    rows = re.findall(r"^\| (\w+) \| (\w+) \| ([\w, ]+) \|$", table, re.MULTILINE)
    return [tuple(row) for row in rows]


@pytest.mark.parametrize("whose", DECLARED)
def test_architecture_page_lists_every_move(whose: str) -> None:
    moves: Sequence[Move[StageState] | Move[JobState]] = DECLARED[whose]

    assert listed(whose) == [(move.before, move.after, ", ".join(move.by)) for move in moves]


def test_every_move_is_made_by_a_transition() -> None:
    names = {name for move in (*STAGE_MOVES, *JOB_MOVES) for name in move.by}

    assert [name for name in names if not callable(getattr(transitions, name, None))] == []


def test_nothing_leaves_success_but_what_is_made_again() -> None:
    left = {move.by for move in STAGE_MOVES if move.before == StageState.SUCCEEDED}

    assert left == {("reopen",)}
    assert not [move for move in JOB_MOVES if move.before == JobState.SUCCEEDED]
