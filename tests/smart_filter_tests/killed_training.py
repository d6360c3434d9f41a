"""Run training by its command, and kill it."""

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest


def kill_after_an_epoch(
    model: str, folder: Path, run_folder: Path, settings: Iterable[str]
) -> None:
    """Start `smart-filter train`, and kill it once its first checkpoint exists."""
    options = [part for setting in settings for part in ("--set", setting)]
    command = [Path(sys.executable).parent / "smart-filter", "train", model]
    process = subprocess.Popen(
        [*command, "--data", folder, "--run", run_folder, *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ,
    )
    try:
        while not list((run_folder / "checkpoint").glob("step-*")):
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.05)
    finally:
        process.kill()
        process.wait()
