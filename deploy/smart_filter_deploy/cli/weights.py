"""Fetches weights, and says so while it takes its time."""

from collections.abc import Callable
from pathlib import Path

from smart_filter_shared.cards import WeightsFile
from smart_filter_workers import weights


def fetch(folder: Path, say: Callable[[str], None]) -> list[WeightsFile]:
    """Fetch what `folder` lacks; return what was fetched.

    Raises SetupFailed.
    """
    lacking = [file.name for file in weights.brought() if weights.fault(folder, file) is not None]
    if not lacking:
        return []
    say(f"fetching weights, once: {', '.join(lacking)}")
    return weights.pull(folder)
