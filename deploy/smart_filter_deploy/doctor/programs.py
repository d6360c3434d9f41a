"""What must lie on this machine: the servers' programs, and the weights."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from smart_filter_deploy.doctor.findings import Finding, fail, ok, warn
from smart_filter_deploy.embedded import binaries
from smart_filter_shared.errors import SetupFailed

_TRIAL_SECONDS = 20
_PROGRAMS: dict[str, Callable[[], Path]] = {
    "postgresql": lambda: binaries.postgres_folder() / "postgres",
    "valkey": binaries.valkey_program,
    "rclone": binaries.rclone_program,
}


def servers(*, needed: bool) -> Iterator[Finding]:
    """Look at the programs of the embedded servers and ask for their versions.

    needed: not so where the environment names servers that run elsewhere.
    """
    for name, find in _PROGRAMS.items():
        told = fail if needed else warn
        try:
            program = find()
            yield ok(name, f"{_version(program)} ({program})")
        except SetupFailed as error:
            said, _, fix = str(error).rpartition(": ")
            yield told(name, said, fix)
        except (OSError, subprocess.SubprocessError) as error:
            fix = "pip install --force-reinstall 'smart-filter[embedded]'"
            yield told(name, f"does not run ({error})", fix)


def weights(path: Path) -> Iterator[Finding]:
    """Look at every file of weights by its digest."""
    # The workers' packages are not part of a bare install.
    from smart_filter_workers import weights as known  # noqa: PLC0415

    files = known.brought()
    faults = {file.name: fault for file in files if (fault := known.fault(path, file))}
    if not faults:
        yield ok("weights", f"{len(files)} files in {path}, each with its right digest")
    elif not any((path / file.name).exists() for file in files):
        yield warn("weights", "not fetched yet", f"`smart-filter up` does, or {known.REMEDY}")
    for name, fault in faults.items():
        if any((path / file.name).exists() for file in files):
            yield fail("weights", f"{path / name} {fault}", known.REMEDY)


def _version(program: Path) -> str:
    done = subprocess.run(  # noqa: S603 - found by us
        [program, "--version"],
        capture_output=True,
        text=True,
        timeout=_TRIAL_SECONDS,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return done.stdout.partition("\n")[0].strip()
