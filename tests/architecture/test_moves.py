"""Compare the tables of moves in the docs with those in the code.

tests/races/test_moves.py checks on a real database that the code makes only these.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from smart_filter_shared.queue import transitions
from smart_filter_shared.queue.states import JOB_MOVES, STAGE_MOVES, JobState, Move, StageState

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


def test_only_a_repeated_stage_leaves_the_succeeded_state() -> None:
    left = {move.by for move in STAGE_MOVES if move.before == StageState.SUCCEEDED}

    assert left == {("rerun",)}
    assert not [move for move in JOB_MOVES if move.before == JobState.SUCCEEDED]
