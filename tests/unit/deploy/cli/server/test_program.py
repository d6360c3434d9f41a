"""How messages write the program's name: a command that works where its reader stands."""

import sys
from pathlib import Path

import pytest

from smart_filter_deploy.cli.server.program import typed_command

PROGRAM = "smart-filter"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout that is set up; its launcher was started."""
    folder = tmp_path / "my checkout"
    for script in (folder / PROGRAM, folder / ".venv/bin" / PROGRAM):
        script.parent.mkdir(parents=True, exist_ok=True)
        script.touch(mode=0o755)
    monkeypatch.setattr(sys, "argv", [str(folder / ".venv/bin" / PROGRAM), "up"])
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return folder


def test_launcher_in_this_folder_is_typed_with_a_dot(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(checkout)

    assert typed_command() == "./smart-filter"


def test_launcher_elsewhere_is_typed_with_its_quoted_path(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(checkout.parent)

    assert typed_command() == f"'{checkout}/smart-filter'"


@pytest.mark.parametrize("target", [PROGRAM, f".venv/bin/{PROGRAM}"])
def test_program_on_the_path_is_typed_by_its_name(checkout: Path, target: str) -> None:
    folder = checkout.parent / "bin"
    folder.mkdir()
    (folder / PROGRAM).symlink_to(checkout / target)

    assert typed_command() == PROGRAM


def test_another_program_of_this_name_on_the_path_is_not_meant(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = checkout.parent / "bin"
    folder.mkdir()
    (folder / PROGRAM).touch(mode=0o755)
    monkeypatch.chdir(checkout)

    assert typed_command() == "./smart-filter"
