"""`smart-filter removebg compare` with the running stack on both sides."""

import shutil
from pathlib import Path

import pytest

from smart_filter_tests.commands import Command
from smart_filter_tests.full_stack import KEY, PHOTO, RunningStack


def test_same_service_on_both_sides_agrees(
    running_stack: RunningStack,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    shutil.copy(PHOTO, folder / "astronaut.png")
    url = str(running_stack.client.base_url)
    monkeypatch.setenv("SMART_FILTER_URL", url)
    monkeypatch.setenv("SMART_FILTER_API_KEY", KEY)
    monkeypatch.setenv("REMOVEBG_API_KEY", KEY)
    destination = tmp_path / "out"

    compared = Command(capsys)(
        *("removebg", "compare", str(folder), "-o", str(destination)),
        *("--theirs", url, "--size", "full", "--yes"),
    )

    (item,) = compared["items"]
    assert item["iou"] == 1.0
    assert item["ours"]["size"] == item["theirs"]["size"] == [512, 512]
    assert (destination / "index.html").stat().st_size > 10_000
