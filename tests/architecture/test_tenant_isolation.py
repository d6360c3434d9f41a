"""The page about what tenants share names tests that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROWS = [
    [cell.strip() for cell in line.strip("|\n").split(" | ")]
    for line in (ROOT / "docs" / "tenant-isolation.md").read_text("utf-8").splitlines()
    if line.startswith("| ") and not line.startswith("| shared |")
]


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_each_row_has_a_bound_and_a_test_that_exists(row: list[str]) -> None:
    _, bound, test = row

    assert bound
    if test != "–":
        path, name = test.strip("`").split("::")
        defined = (ROOT / path).read_text("utf-8")
        assert re.search(rf"^(async )?def {name}\(", defined, re.MULTILINE), f"{test} is gone"


def test_page_has_rows() -> None:
    assert len(ROWS) > 20
