"""Run every suite, side by side where cores are free: `make test-all`, and part of `.ci/run`.

    python tests/suites.py [TARGET …]

A suite is a target of the Makefile. Its output goes to build/tests/TARGET.log. The first failure
ends the run: its name and output are printed, then a table of all suites. Exits with 1 when a
suite failed, with 2 for an unknown target, with 130 after CTRL-C.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).parents[1]
LOGS = ROOT / "build" / "tests"
# By make target: how many cores the suite keeps busy. Longest first, because that packs best.
SUITES = {
    "test": 2,
    "test-containers": 2,
    "test-slow": 2,
    "test-races": 2,
    "test-contract": 2,
    "test-soak": 2,
    "test-mutants": 2,
    "test-browser": 1,
    "test-chaos": 1,
    "test-models": 1,
    "test-fuzz": 1,
    "test-docs": 1,
    "lint": 1,
    "test-aged": 1,
}
CORES = max(2, os.cpu_count() or 2)
_POLL_SECONDS = 0.2
# Servers and workers of a suite that is stopped get this long to end before they are killed.
_STOP_SECONDS = 60
# For a suite without pytest; of others, everything since the first failure is printed.
_LAST_LINES = 60
_FAILURES = "= FAILURES ="
_ERRORS = "= ERRORS ="


@dataclass(slots=True)
class Run:
    """One suite, running or ended."""

    target: str
    process: subprocess.Popen[bytes]
    started: float
    seconds: float = 0.0

    @property
    def log(self) -> Path:
        """All output of the suite."""
        return LOGS / f"{self.target}.log"

    def find_reason(self) -> str | None:
        """Return why the last test was skipped, if none ran."""
        reasons = re.findall(
            r"^SKIPPED .*?: (.+)$", self.log.read_text(errors="replace"), re.MULTILINE
        )
        return reasons[-1] if reasons and not self.count("passed") else None

    def count(self, outcome: str) -> int:
        """Return how many tests passed or were skipped, from pytest's summary."""
        text = self.log.read_text(errors="replace")
        return sum(int(number) for number in re.findall(rf"(\d+) {outcome}\b", text))


def main(targets: list[str]) -> int:
    """Run the suites and print the table; returns the exit status."""
    if unknown := set(targets) - set(SUITES):
        print(f"no such suite: {', '.join(sorted(unknown))}; there are {', '.join(SUITES)}")
        return 2
    signal.signal(signal.SIGTERM, _interrupt)
    LOGS.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    ended: list[Run] = []
    failed = None
    try:
        for run in _ended_runs(targets or list(SUITES)):
            ended.append(run)
            print(_row(run), flush=True)
            if run.process.returncode != 0:
                failed = run
                break
    except KeyboardInterrupt:
        print("interrupted; its suites are stopped")
        return 130
    if failed:
        print(_failure(failed))
    print(_table(ended, time.monotonic() - started))
    return 1 if failed else 0


def _ended_runs(targets: list[str]) -> Iterator[Run]:
    """Start the suites as cores come free and yield each when it has ended."""
    waiting = list(targets)
    running: list[Run] = []
    try:
        while waiting or running:
            free = CORES - sum(SUITES[run.target] for run in running)
            for target in list(waiting):
                if SUITES[target] <= free:
                    waiting.remove(target)
                    running.append(_start(target))
                    free -= SUITES[target]
            time.sleep(_POLL_SECONDS)
            for run in [run for run in running if run.process.poll() is not None]:
                running.remove(run)
                run.seconds = time.monotonic() - run.started
                yield run
    finally:
        _stop(running)


def _start(target: str) -> Run:
    for old in LOGS.glob(f"{target}.*"):
        old.unlink()
    options = "--maxfail=1 --color=no --quiet"
    with (LOGS / f"{target}.log").open("wb") as log:
        process = subprocess.Popen(
            ["make", "--no-print-directory", target],
            cwd=ROOT,
            env={**os.environ, "PYTEST_ADDOPTS": options},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    print(f"{target} …", flush=True)
    return Run(target, process, time.monotonic())


def _stop(runs: list[Run]) -> None:
    """Interrupt suites, so that their fixtures stop the servers; kill those that do not end."""
    for run in runs:
        _signal_group(run, signal.SIGINT)
    gives_up_at = time.monotonic() + _STOP_SECONDS
    while any(run.process.poll() is None or _signal_group(run, 0) for run in runs):
        if time.monotonic() > gives_up_at:
            for run in runs:
                _signal_group(run, signal.SIGKILL)
        time.sleep(_POLL_SECONDS)


def _signal_group(run: Run, number: int) -> bool:
    """Signal a suite's processes; returns False when none is left."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(run.process.pid, number)
        return True
    return False


def _failure(run: Run) -> str:
    """Return pytest's report of the first failure, or the last lines of a suite without one."""
    text = run.log.read_text(errors="replace")
    at = max(text.rfind(_FAILURES), text.rfind(_ERRORS))
    report = text[at:] if at >= 0 else "\n".join(text.splitlines()[-_LAST_LINES:])
    return f"\nFAILED {run.target}\n{report}\n"


def _table(runs: list[Run], seconds: float) -> str:
    head = f"\n{'suite':<15} {'result':<7} {'passed':>7} {'skipped':>8} {'seconds':>8}"
    return "\n".join([head, *map(_row, runs), f"{'together':<40} {seconds:>8.0f}"])


def _row(run: Run) -> str:
    result = "passed" if run.process.returncode == 0 else "FAILED"
    passed, skipped = (str(run.count(outcome) or "") for outcome in ("passed", "skipped"))
    row = f"{run.target:<15} {result:<7} {passed:>7} {skipped:>8} {run.seconds:>8.0f}"
    reason = run.find_reason()
    return f"{row}\n    skipped: {reason}" if reason else row


def _interrupt(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
