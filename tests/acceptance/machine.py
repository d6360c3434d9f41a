"""A machine with the command line: a data folder, a working directory, and commands run there."""

import fcntl
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from smart_filter_deploy.cli.server import program
from smart_filter_tests.patience import PATIENCE_SECONDS

# For hangs: eight seconds on a quiet machine were ninety on a busy one.


class Machine:
    """A data folder and a working directory, and commands that run there."""

    def __init__(self, data: Path, here: Path) -> None:
        self.data = data
        self.here = here

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start a command in its own process group, as a shell does."""
        return subprocess.Popen(
            program.command(*arguments),
            cwd=self.here,
            env={**os.environ, "SMART_FILTER_DATA": str(self.data), **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        with self.start(*arguments, **environment) as process:
            out, err = process.communicate(timeout=PATIENCE_SECONDS)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def pipe(self, *arguments: str, content: bytes) -> subprocess.CompletedProcess[bytes]:
        """Run a command with `content` as its standard input."""
        return subprocess.run(
            program.command(*arguments),
            input=content,
            cwd=self.here,
            env={**os.environ, "SMART_FILTER_DATA": str(self.data)},
            capture_output=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )

    def lines(self, *arguments: str, status: int = 0) -> list[dict[str, Any]]:
        """Run a command with --json and return its lines."""
        ended = self.run(*arguments, "--json")
        assert ended.returncode == status, ended.stderr
        return [json.loads(line) for line in ended.stdout.splitlines()]

    def picture(self, name: str) -> NDArray[np.uint8]:
        return np.asarray(Image.open(self.here / name))

    def is_quiet(self) -> bool:
        """Return whether no process of a stack is left: each holds these locks during its life."""
        return all(_is_free(self.data / name) for name in ("lock", "children.lock", "users.lock"))


def _is_free(path: Path) -> bool:
    if not path.exists():
        return True
    with path.open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
