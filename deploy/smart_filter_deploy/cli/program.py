"""How this program starts itself again, as a process of its own."""

import sys
import sysconfig
from pathlib import Path

from smart_filter_deploy.cli.endings import PROGRAM
from smart_filter_shared.errors import SetupFailed


def command(*arguments: str) -> tuple[str, ...]:
    """Return the command line of another `smart-filter`, such as `… smart-filter worker`.

    Raises SetupFailed when the console script is not there.
    """
    folders = (sysconfig.get_path("scripts"), str(Path(sys.argv[0]).absolute().parent))
    for folder in folders:
        script = Path(folder) / PROGRAM
        if script.is_file():
            return (sys.executable, str(script), *arguments)
    raise SetupFailed(f"no {PROGRAM} in {folders[0]}: pip install smart-filter there again")
