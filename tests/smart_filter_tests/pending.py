"""A transition that is made and not committed, while other sessions go on."""

from contextlib import ExitStack
from dataclasses import dataclass

from smart_filter_tests.model import Change


@dataclass(slots=True)
class Pending:
    """A transition that is made and not committed."""

    transaction: ExitStack
    change: Change
    commits: bool
    steps: int


class Undone(Exception):
    """Thrown into a transaction to roll it back."""
