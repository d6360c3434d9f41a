"""Builds the command lines of this program: of its child processes, and as people type it."""

import shlex
import shutil
import signal
import sys
import sysconfig
from pathlib import Path

from smart_filter_deploy.cli.terminal.exit_codes import PROGRAM
from smart_filter_shared.child_processes import programs
from smart_filter_shared.errors import SetupFailed


def command(*arguments: str) -> tuple[str, ...]:
    """Return the command line of another `smart-filter`, such as `… smart-filter worker`.

    Raises SetupFailed when the console script is missing.
    """
    folders = (sysconfig.get_path("scripts"), str(Path(sys.argv[0]).absolute().parent))
    for folder in folders:
        script = Path(folder) / PROGRAM
        if script.is_file():
            return (sys.executable, "-P", str(script), *arguments)
    raise SetupFailed(f"no {PROGRAM} in {folders[0]}: reinstall smart-filter there with pip")


def tied_command(*arguments: str) -> tuple[str, ...]:
    """Return `command` with a launcher: it gets SIGTERM when this process ends, even by SIGKILL."""
    return tuple(programs.tie(command(*arguments), death_signal=signal.SIGTERM))


def typed_command() -> str:
    """Return how this program is typed here: its name on the PATH, else a path to it."""
    script = Path(sys.argv[0]).absolute()
    on_path = shutil.which(PROGRAM)
    # In a checkout, the launcher at its top runs `.venv/bin/smart-filter`.
    launcher = script.parent.parent.parent / PROGRAM
    if not launcher.is_file():
        launcher = script
    if on_path and Path(on_path).resolve() in {script.resolve(), launcher.resolve()}:
        return PROGRAM
    is_here = launcher.parent == Path.cwd()
    return f"./{PROGRAM}" if is_here else shlex.quote(str(launcher))
