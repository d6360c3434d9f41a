"""Keep the record of a training run: its inputs, results and curves, in one folder.

run.json      configuration, seed, digests of the data, machine, hours, figures
curves/       TensorBoard's events: `tensorboard --logdir FOLDER`
checkpoint/   the state from which a killed run resumes
the exported file of weights
"""

import datetime as dt
import json
import os
import platform
import sys
import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from smart_filter_shared.errors import FolderUnreadable, SetupFailed

_DOCUMENT: Final = "run.json"
_PACKAGES: Final = (
    *("smart-filter", "keras", "tensorflow", "tensorflow-cpu", "torch", "detectron2", "numpy"),
    *("opencv-python-headless", "tf2onnx", "onnx", "onnxruntime"),
)

Facts = dict[str, Any]  # what JSON holds


class RunRecord:
    """The record of one run; its file stays readable when the run is killed."""

    def __init__(self, folder: Path, facts: Mapping[str, Any], *, hours: float = 0.0) -> None:
        self.folder = folder
        self._facts = dict(facts)
        self._hours_before = hours
        self._began = time.monotonic()
        self._curves: Any = None  # tensorboard ships no types

    @property
    def checkpoint_folder(self) -> Path:
        """The folder of the state from which the run resumes."""
        return self.folder / "checkpoint"

    @property
    def hours(self) -> float:
        """The duration of the run, including its time before it was killed."""
        return self._hours_before + (time.monotonic() - self._began) / 3600

    @property
    def facts(self) -> Facts:
        """The facts of the run until now."""
        return {**self._facts, "hours": round(self.hours, 4)}

    def note(self, **facts: object) -> None:
        """Write facts to the record, each under its name."""
        self._facts |= facts
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self.folder / f"{_DOCUMENT}.partial"
        partial.write_text(json.dumps(self.facts, indent=2) + "\n", encoding="utf-8")
        partial.replace(self.folder / _DOCUMENT)

    def scalar(self, name: str, value: float, step: int) -> None:
        """Add a point to a curve; step: the epoch or the iteration."""
        if self._curves is None:
            # Reading a record needs no TensorBoard.
            from tensorboard.summary import Writer  # noqa: PLC0415

            self._curves = Writer(str(self.folder / "curves"))
        self._curves.add_scalar(name, value, step)
        self._curves.flush()


def begin(folder: Path, *, model: str, configuration: Mapping[str, Any], data: str) -> RunRecord:
    """Return the record of a new run, or of the run to resume in that folder.

    configuration: the settings of the run; data: the digest of its data.
    Raises SetupFailed, in one line, when the run in the folder has another configuration or other
    data, or its record cannot be read.
    """
    asked = {"model": model, "configuration": dict(configuration), "data": data}
    document = folder / _DOCUMENT
    if not document.exists():
        record = RunRecord(folder, {**asked, "machine": machine()})
        if record.checkpoint_folder.exists():
            raise SetupFailed(
                f"{record.checkpoint_folder} belongs to a run without a record: remove it, or name"
                " another folder with --run"
            )
        record.note(state="running")
        return record
    facts = read_record(folder)
    for name, value in asked.items():
        if facts.get(name) != value:
            raise SetupFailed(
                f"{folder} holds a run with other {name}: name another folder with --run"
            )
    try:
        hours, resumed = float(facts.get("hours", 0.0)), int(facts.get("resumed", 0))
    except (TypeError, ValueError) as error:
        raise SetupFailed(f"{document} was changed by hand: {error}") from error
    record = RunRecord(folder, facts, hours=hours)
    record.note(resumed=resumed + 1)
    return record


def read_record(folder: Path) -> Facts:
    """Return the facts of a run's record.  Raises FolderUnreadable."""
    try:
        facts = json.loads((folder / _DOCUMENT).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise FolderUnreadable(f"{folder / _DOCUMENT}: {error}") from error
    if not isinstance(facts, dict):
        raise FolderUnreadable(
            f"{folder / _DOCUMENT} is not the record of a run: name another folder"
        )
    return facts


def machine() -> Facts:
    """Return the machine and packages of the run, and the time of its start."""
    return {
        "began_at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "machine": platform.machine(),
        "python": ".".join(map(str, sys.version_info[:3])),
        "packages": {name: version for name in _PACKAGES if (version := _installed(name))},
    }


def _processor() -> str:
    """Return the name of the processor on Linux, or "" elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, "")


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
