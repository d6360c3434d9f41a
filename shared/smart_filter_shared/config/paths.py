"""Locate the data folder of a machine; imports no third-party package, so a bare install works."""

import os
from collections.abc import Mapping
from pathlib import Path

from smart_filter_shared.errors import SetupFailed


def data_folder(environ: Mapping[str, str] = os.environ, *, uid: int | None = None) -> Path:
    """Return the folder for servers' data and weights: SMART_FILTER_DATA or the default.

    uid: the user whose default folder is meant; None: this process's user.
    Raises SetupFailed when the user has no home folder.
    """
    user = os.geteuid() if uid is None else uid
    folder = environ.get("SMART_FILTER_DATA")
    if not folder and user == 0:
        return Path("/var/lib/smart-filter")
    try:
        return Path(folder or "~/.local/share/smart-filter").expanduser().absolute()
    except RuntimeError as error:
        raise SetupFailed(
            f"user {user} has no home folder: set a data folder with --data or SMART_FILTER_DATA"
        ) from error
