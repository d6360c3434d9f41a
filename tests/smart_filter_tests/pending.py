"""A transition that one session has made and not committed, while others go on."""

from contextlib import ExitStack
from dataclasses import dataclass

from smart_filter_tests.model_rows import Change


@dataclass(slots=True)
class Pending:
    """A transition that is made and not committed; steps: for how many more."""

    transaction: ExitStack
    change: Change
    commits: bool
    steps: int


class Undone(Exception):
    """Thrown into a transaction to roll it back."""
