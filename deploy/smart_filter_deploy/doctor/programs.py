"""Check the files that this machine needs: the servers' programs, and the weights."""

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


def check_servers(*, needed: bool) -> Iterator[Finding]:
    """Check the programs of the embedded servers, and run each for its version.

    needed: False when the environment names servers that run elsewhere.
    """
    report = fail if needed else warn
    for name, find in _PROGRAMS.items():
        try:
            program = find()
            yield ok(name, f"{_read_version(program)} ({program})")
        except SetupFailed as error:
            said, _, fix = str(error).rpartition(": ")
            yield report(name, said, fix)
        except (OSError, subprocess.SubprocessError) as error:
            fix = "pip install --force-reinstall 'smart-filter[embedded]'"
            yield report(name, f"does not run ({error})", fix)


def check_weights(path: Path) -> Iterator[Finding]:
    """Check the digest of every file of weights."""
    # Imported here: a bare install lacks the workers' packages.
    from smart_filter_workers.weights import files, packaged  # noqa: PLC0415

    listed = packaged.list_files()
    faults = {file.name: fault for file in listed if (fault := files.find_fault(path, file))}
    if not faults:
        yield ok("weights", f"{len(listed)} files in {path}, each with the right digest")
    elif not any((path / file.name).exists() for file in listed):
        fix = f"`smart-filter up` fetches them, or {files.REMEDY}"
        yield warn("weights", "not fetched yet", fix)
    for name, fault in faults.items():
        if any((path / file.name).exists() for file in listed):
            yield fail("weights", f"{path / name} {fault}", files.REMEDY)


def _read_version(program: Path) -> str:
    done = subprocess.run(  # noqa: S603 - no untrusted program
        [program, "--version"],
        capture_output=True,
        text=True,
        timeout=_TRIAL_SECONDS,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return done.stdout.partition("\n")[0].strip()
