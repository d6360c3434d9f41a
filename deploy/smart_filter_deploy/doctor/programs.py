"""Check the files that this machine needs: the servers' programs, and the weights."""

import subprocess
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from smart_filter_deploy.doctor.findings import Finding, fail, ok, warn
from smart_filter_deploy.embedded import binaries
from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.extras import install_hint

if TYPE_CHECKING:
    from smart_filter_workers.models.catalog import ModelCatalog

_TRIAL_SECONDS = 20
_PROGRAMS: dict[str, Callable[[], Path]] = {
    "postgresql": lambda: binaries.postgres_folder() / "postgres",
    "valkey": binaries.valkey_program,
}


def check_servers() -> Iterator[Finding]:
    """Check the programs of the embedded servers, and run each for its version."""
    for name, find in _PROGRAMS.items():
        try:
            program = find()
            yield ok(name, f"{_read_version(program)} ({program})")
        except SetupFailed as error:
            said, _, fix = str(error).rpartition(": ")
            yield fail(name, said, fix)
        except (OSError, subprocess.SubprocessError) as error:
            fix = f"{install_hint()} --force-reinstall"
            yield fail(name, f"does not run ({error})", fix)


def check_weights(path: Path) -> Iterator[Finding]:
    """Check the digest of every file of weights."""
    # Imported here: a bare install lacks the workers' packages.
    from smart_filter_workers.weights import files, packaged  # noqa: PLC0415

    listed = packaged.list_files(without=_load_catalog().refused_files)
    faults = {file.name: fault for file in listed if (fault := files.find_fault(path, file))}
    if not faults:
        yield ok("weights", f"{len(listed)} files in {path}, each with the right digest")
        return
    is_fetched = any((path / file.name).exists() for file in listed)
    if not is_fetched:
        fix = f"`smart-filter up` fetches them, or {files.REMEDY}"
        yield warn("weights", "not fetched yet", fix)
    for name, fault in faults.items():
        if is_fetched:
            yield fail("weights", f"{path / name} {fault}", files.REMEDY)


def check_terms(path: Path) -> Iterator[Finding]:
    """Tell which models that run here may be used commercially."""
    models = _load_catalog()
    by_answer: dict[str, list[str]] = defaultdict(list)
    for offer in models.offers(path):
        if offer.fault is None:
            marked = f"{offer.card.name} *" if offer.card.default else offer.card.name
            by_answer[offer.card.commercial].append(f"{offer.card.task} {marked}")
    for answer in ("yes", "ask", "no"):
        if by_answer[answer]:
            yield ok("commercial", f"{answer:<4} {', '.join(by_answer[answer])}")
    setting = "SMART_FILTER_RESEARCH_WEIGHTS"
    if models.research:
        yield ok("commercial", f"{setting}=off turns off all models but those with yes")
    else:
        yield ok("commercial", f"{setting} is off: no other models run here")


def _load_catalog() -> "ModelCatalog":
    from smart_filter_shared.config.settings import load_engine  # noqa: PLC0415 - as above
    from smart_filter_workers.models import catalog  # noqa: PLC0415 - as above

    return catalog.discover_models(research=load_engine().research_weights)


def _read_version(program: Path) -> str:
    done = subprocess.run(  # noqa: S603 - no untrusted program
        [program, "--version"],
        cwd="/",
        capture_output=True,
        text=True,
        timeout=_TRIAL_SECONDS,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return done.stdout.partition("\n")[0].strip()
