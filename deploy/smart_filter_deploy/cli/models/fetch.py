"""Downloads missing weights of the default models, with a progress message."""

from collections.abc import Callable
from pathlib import Path

from smart_filter_shared.catalog.model_card import WeightsFile
from smart_filter_workers.weights import packaged


def fetch_missing(folder: Path, say: Callable[[str], None]) -> list[WeightsFile]:
    """Download the weights that `folder` lacks; return the downloaded files.

    Raises SetupFailed.
    """
    lacking = [
        file.name for file in packaged.list_files() if packaged.find_fault(folder, file) is not None
    ]
    if not lacking:
        return []
    say(f"downloading weights (once): {', '.join(lacking)}")
    return packaged.pull(folder)
