"""The stages in this process, set up as in a worker."""

from pathlib import Path

from smart_filter_workers.in_process import InProcess
from smart_filter_workers.system import resources


def open_stages(weights: Path) -> InProcess:
    """Return every stage, with the memory and threads of a worker."""
    resources.configure_malloc()
    resources.limit_native_threads()
    return InProcess(weights)
