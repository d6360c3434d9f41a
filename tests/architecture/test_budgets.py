"""Tokens and words that each part of the repository may have.

Lower a budget when a part has shrunk. Raise one only with the reason in the same commit.
`.venv/bin/python tests/architecture/test_budgets.py` prints what is used.
"""

import subprocess
import token
import tokenize
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
# A docstring or comment costs nothing, nor do lines and indents: squeezing wins nothing.
LAYOUT = {
    *(token.NEWLINE, token.INDENT, token.DEDENT, token.ENDMARKER),
    *(tokenize.COMMENT, tokenize.NL, tokenize.ENCODING),
}
LINE_ENDS = {token.NEWLINE, token.INDENT, token.DEDENT, tokenize.ENCODING}


def count_tokens(path: Path) -> int:
    """Return the tokens of a Python file without comments, docstrings and layout."""
    with path.open("rb") as file:
        found = [
            each
            for each in tokenize.tokenize(file.readline)
            if each.type not in {tokenize.COMMENT, tokenize.NL}
        ]
    docstrings = sum(
        before.type in LINE_ENDS and each.type == token.STRING and after.type == token.NEWLINE
        for (before, each), (_, after) in pairwise(pairwise(found))
    )
    return sum(each.type not in LAYOUT for each in found) - docstrings


def count_words(path: Path) -> int:
    return len(path.read_text("utf-8").split())


def list_files(*patterns: str) -> list[Path]:
    """Return the files of some patterns of git."""
    listed = subprocess.run(
        ["git", "ls-files", *patterns], cwd=CHECKOUT, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    return [path for name in listed if (path := CHECKOUT / name).is_file()]


@dataclass(frozen=True, slots=True)
class Budget:
    """What the files of some patterns of git may have together."""

    most: int
    count: Callable[[Path], int]
    patterns: tuple[str, ...]

    def spent(self) -> int:
        return sum(map(self.count, list_files(*self.patterns)))


SERVICE = ("api/*.py", "shared/*.py", "workers/*.py")
BUDGETS = {
    "service": Budget(498_376, count_tokens, SERVICE),
    "product": Budget(
        685_910, count_tokens, (*SERVICE, *("client/*.py", "deploy/*.py", "training/*.py"))
    ),
    "training": Budget(69_688, count_tokens, ("training/*.py",)),
    "tests": Budget(632_118, count_tokens, ("tests/*.py",)),
    "benchmarks": Budget(76_637, count_tokens, ("benchmarks/*.py",)),
    # `make openapi` writes docs/problems from the code.
    "docs, words": Budget(62_268, count_words, ("docs/*.md", ":!docs/problems")),
    "changelog, words": Budget(1_773, count_words, ("CHANGELOG.md",)),
}


@pytest.mark.parametrize("part", BUDGETS)
def test_part_keeps_to_its_budget(part: str) -> None:
    budget = BUDGETS[part]

    assert 0 < budget.spent() <= budget.most


MOST_WORDS_OF_A_DECISION = 250
# With migrations and packages' own files.
MOST_SERVICE_MODULES = 572


def test_decision_is_short() -> None:
    words = {path.name: count_words(path) for path in list_files("docs/decisions")}

    assert {name for name, count in words.items() if count > MOST_WORDS_OF_A_DECISION} == set()


def test_service_has_few_modules() -> None:
    assert len(list_files(*SERVICE, "client/*.py")) <= MOST_SERVICE_MODULES


if __name__ == "__main__":
    for part, budget in BUDGETS.items():
        print(f"{part:<17} {budget.spent():>8,} of {budget.most:>8,}")  # noqa: T201 - for people
