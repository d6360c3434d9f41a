"""Fetches weights, and says so while it takes its time."""

from collections.abc import Callable
from pathlib import Path

from smart_filter_shared.cards import WeightsFile
from smart_filter_workers import weights


def fetch(folder: Path, say: Callable[[str], None]) -> list[WeightsFile]:
    """Fetch what `folder` lacks; return what was fetched.

    Raises SetupFailed.
    """
    lacking = {
        package: [one.file for one in package.holds if weights.fault(folder, one.file) is not None]
        for package in weights.manifest()
    }
    wanted = [package for package, files in lacking.items() if files]
    if not wanted:
        return []
    names = [file.name for files in lacking.values() for file in files]
    say(f"fetching weights, once: {', '.join(names)}")
    return weights.pull(folder, wanted)
