"""Pictures with persons outlined in them, as COCO JSON."""

from collections.abc import Iterator
from pathlib import Path

from smart_filter_training.annotations import splits
from smart_filter_training.annotations.splits import Splits as Data
from smart_filter_training.checks import Finding
from smart_filter_training.models.deeplab.configuration import Configuration

__all__ = ["Data", "findings", "read"]


def read(folder: Path, configuration: Configuration) -> Data:
    """Read a folder.  Raises FolderUnreadable in one line."""
    return splits.read(folder, configuration.where)


def findings(folder: Path, configuration: Configuration) -> Iterator[Finding]:
    """Yield everything that is wrong with a folder.  Raises FolderUnreadable."""
    yield from splits.findings(folder, configuration.where)
