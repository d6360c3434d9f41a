"""Where things lie on a machine; needs no package, so that a bare install can ask too."""

import os
from collections.abc import Mapping
from pathlib import Path

from smart_filter_shared.errors import SetupFailed


def data_folder(environ: Mapping[str, str] = os.environ, *, uid: int | None = None) -> Path:
    """Return the folder for servers' data and weights: SMART_FILTER_DATA or the usual place.

    uid: whose usual place; None: that of this process's user.
    Raises SetupFailed when the user has no home.
    """
    user = os.geteuid() if uid is None else uid
    named = environ.get("SMART_FILTER_DATA")
    if not named and user == 0:
        return Path("/var/lib/smart-filter")
    try:
        return Path(named or "~/.local/share/smart-filter").expanduser().absolute()
    except RuntimeError as error:
        raise SetupFailed(
            f"user {user} has no home folder: name another with --data or SMART_FILTER_DATA"
        ) from error
