"""Lines and words that each part of the repository may have.

Lower a budget when a part has shrunk. Raise one only with the reason in the same commit.
"""

import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
LINES = {
    "api": 23_450,
    "benchmarks": 12_050,
    "client": 5_870,
    "deploy": 17_420,
    "docs": 4_050,
    "shared": 26_020,
    "tests": 88_200,
    "tests/smart_filter_tests": 15_330,
    "training": 10_550,
    "workers": 40_480,
}
# `make openapi` writes docs/problems from the code.
WORDS = {"CHANGELOG.md": 1_690, "docs/*.md :!docs/problems": 75_700}


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
