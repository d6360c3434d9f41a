"""The self-assessment against OWASP ASVS counts its rows right and names files that exist."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
STATES = ("yes", "partly", "no", "operator", "n/a")
# Requirements of ASVS 5.0.0 at levels 1 and 2.
TOTALS = {"1": 70, "2": 183}
_NUMBER = re.compile(r"V([1-9]\d?)\.[1-9]\d?\.[1-9]\d?")
_CHAPTER = re.compile(r"## V(\d+) ")
_CODE = re.compile(r"`([^`]+)`")
_PATH = re.compile(r"[\w.-]+(/[\w.-]+)+|[\w.-]+\.(?:md|toml|lock|yml)|\.dockerignore")


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a chapter's table; numbers: the requirements that it is about."""

    chapter: str
    numbers: tuple[str, ...]
    level: str
    state: str
    where: str

    @property
    def paths(self) -> list[str]:
        """Return the paths of the repository that the row names."""
        return [code for code in _CODE.findall(self.where) if _PATH.fullmatch(code)]


def test_numbers_are_well_formed_and_unique() -> None:
    numbers = [(row.chapter, number) for row in rows() for number in row.numbers]
    malformed = [
        number
        for chapter, number in numbers
        if (found := _NUMBER.fullmatch(number)) is None or found[1] != chapter
    ]

    assert malformed == []
    assert [one for one, times in Counter(numbers).items() if times > 1] == []


def test_each_requirement_of_both_levels_has_a_row() -> None:
    assert Counter(row.level for row in rows() for _ in row.numbers) == TOTALS


def test_counts_at_the_top_equal_the_rows() -> None:
    counted = Counter((row.state, row.level) for row in rows() for _ in row.numbers)
    levels = {state: [counted[state, level] for level in TOTALS] for state in STATES}
    levels["all"] = list(TOTALS.values())

    assert counts() == {state: [*each, sum(each)] for state, each in levels.items()}


def test_states_are_known() -> None:
    assert {row.state for row in rows()} <= set(STATES)


def test_named_paths_exist() -> None:
    named = {path for row in rows() for path in row.paths}

    assert len(named) > 50
    assert [path for path in sorted(named) if not (CHECKOUT / path).is_file()] == []


def test_fulfilled_requirement_names_a_path() -> None:
    assert [row.numbers for row in rows() if row.state == "yes" and not row.paths] == []


def rows() -> Iterator[Row]:
    """Yield the rows of the chapters' tables."""
    chapter = ""
    for line in lines():
        if found := _CHAPTER.match(line):
            chapter = found[1]
        elif chapter and line.startswith("| V"):
            numbers, level, _, state, where = cells(line)
            yield Row(chapter, tuple(numbers.split(", ")), level, state, where)


def counts() -> dict[str, list[int]]:
    """Return the table of counts: of each state at level 1, at level 2 and together."""
    found: dict[str, list[int]] = {}
    for line in lines():
        if line.startswith("## "):
            break
        if line.startswith("|") and (named := cells(line))[0] in (*STATES, "all"):
            found[named[0]] = [int(cell) for cell in named[1:]]
    return found


def cells(line: str) -> list[str]:
    """Return the texts in the cells of a table's row."""
    return [cell.strip() for cell in line.strip("|").split("|")]


def lines() -> list[str]:
    """Return the lines of the page."""
    return (CHECKOUT / "docs/asvs.md").read_text().splitlines()
