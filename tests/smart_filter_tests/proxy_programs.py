"""nginx, Caddy and PgBouncer, which not every machine has."""

import os
import re
import shutil
from collections.abc import Sequence
from typing import Final

import pytest

# Debian's packages. deploy/bootstrap.sh installs the same, and looks for the same programs.
PACKAGES: Final = {"nginx": "nginx-light", "caddy": "caddy", "pgbouncer": "pgbouncer"}
_REASON: Final = "it needs {}, which is not installed"
_PATTERN: Final = re.compile(_REASON.format(f"({'|'.join(PACKAGES)})"))


def require_program(name: str) -> str:
    """Return the path of a program, which a variable such as NGINX can name.

    Without the program the test is skipped, or fails where CI=true: there everything is tested.
    """
    wanted = os.environ.get(name.upper(), name)
    program = shutil.which(wanted, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is not None:
        return program
    if os.environ.get("CI") == "true":
        pytest.fail(f"{_REASON.format(name)}: deploy/bootstrap.sh proxies installs it")
    pytest.skip(_REASON.format(name))


def describe_missing(reasons: Sequence[str]) -> str | None:
    """Return one line for all tests that were skipped without a program; None: there are none.

    reasons: of all skipped tests.
    """
    absent = [match[1] for reason in reasons if (match := _PATTERN.search(reason))]
    if not absent:
        return None
    missing = [name for name in PACKAGES if name in absent]
    return (
        f"Not installed: {', '.join(missing)}; skipped tests: {len(absent)}."
        " To run them: `deploy/bootstrap.sh proxies` as root on Debian, else"
        f" `sudo apt install {' '.join(PACKAGES[name] for name in missing)}`,"
        f" or set {', '.join(name.upper() for name in missing)} to their paths."
    )
