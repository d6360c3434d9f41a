"""Lines and words that each part of the repository may have.

Lower a budget when a part has shrunk. Raise one only with the reason in the same commit.
"""

import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
LINES = {
    "api": 23_450,
    "benchmarks": 11_170,
    "client": 5_850,
    "deploy": 17_420,
    "docs": 4_050,
    "shared": 25_800,
    "tests": 86_900,
    "tests/smart_filter_tests": 15_230,
    "training": 10_350,
    "workers": 39_480,
}
# `make openapi` writes docs/problems from the code.
WORDS = {"CHANGELOG.md": 1_560, "docs/*.md :!docs/problems": 73_300}


def tracked(patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", *patterns.split()],
        cwd=CHECKOUT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    return [path for name in listed if (path := CHECKOUT / name).is_file()]


@pytest.mark.parametrize("folder", LINES)
def test_folder_keeps_to_its_budget_of_python(folder: str) -> None:
    lines = sum(len(path.read_bytes().splitlines()) for path in tracked(f"{folder}/*.py"))

    assert 0 < lines <= LINES[folder]


@pytest.mark.parametrize("patterns", WORDS)
def test_documents_keep_to_their_budget_of_words(patterns: str) -> None:
    words = sum(len(path.read_text("utf-8").split()) for path in tracked(patterns))

    assert 0 < words <= WORDS[patterns]
