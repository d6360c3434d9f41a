"""The training loop: batch after batch, with curves and checkpoints; a killed run resumes.

A learner is a network in training, of any framework (`keras_learner`, `torch_learner`). A batch
depends on its number alone, and a checkpoint holds all that a learner keeps between batches, so
that a run that was killed ends like one that never stopped.
"""

import os
import pickle
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias

from smart_filter_shared.errors import SetupFailed
from smart_filter_training.run_record import RunRecord

Batch: TypeAlias = Any  # only a model's own code looks into it
# Gets the number of a batch, from 0.
MakeBatch: TypeAlias = Callable[[int], Batch]

_CHECKPOINT: Final = "step-{:08d}"


class Learner(Protocol):
    """A network in training."""

    def learn(self, number: int, batch: Batch) -> Mapping[str, float]:
        """Train on a batch; return numbers for the curves, by name."""
        ...

    def validate(self) -> Mapping[str, float]:
        """Return more numbers for the curves, of the validation examples."""
        ...

    def save(self, file: Path) -> None:
        """Write all that the next batch depends on."""
        ...

    def load(self, file: Path) -> None:
        """Read what `save` wrote.  Raises what its library raises when the file does not fit."""
        ...


@dataclass(frozen=True, slots=True)
class Plan:
    """The length of a run, in batches.

    curve_interval, checkpoint_interval: from one point of the curves, and from one checkpoint, to
    the next; there are both at the end.
    epoch: the batches that count as 1 along the curves.
    """

    steps: int
    curve_interval: int
    checkpoint_interval: int
    epoch: int = 1


def train(learner: Learner, make_batch: MakeBatch, plan: Plan, record: RunRecord) -> None:
    """Train a network, or resume the record's run after its newest checkpoint.

    Raises SetupFailed when the checkpoint cannot be read.
    """
    folder = record.checkpoint_folder
    start = _restore(learner, folder)
    for number, batch in prefetch(make_batch, start, plan.steps):
        numbers = learner.learn(number, batch)
        done = number + 1
        is_last = done == plan.steps
        if is_last or done % plan.curve_interval == 0:
            for name, value in {**numbers, **learner.validate()}.items():
                record.scalar(name, value, done // plan.epoch)
        if is_last or done % plan.checkpoint_interval == 0:
            _save(learner, folder, done)
            record.note(steps_done=done)


def prefetch(make_batch: MakeBatch, start: int, end: int) -> Iterator[tuple[int, Batch]]:
    """Yield the numbers and batches of a run; a thread makes the next one meanwhile."""
    with ThreadPoolExecutor(1, thread_name_prefix="batches") as executor:
        coming = executor.submit(make_batch, start) if start < end else None
        for number in range(start, end):
            assert coming is not None  # one was submitted for each number
            batch = coming.result()
            coming = executor.submit(make_batch, number + 1) if number + 1 < end else None
            yield number, batch


def _restore(learner: Learner, folder: Path) -> int:
    """Load the newest checkpoint of a run; return the number of finished batches."""
    saved = _list_checkpoints(folder)
    if not saved:
        return 0
    try:
        learner.load(saved[-1])
    except (
        *(OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, EOFError),
        pickle.UnpicklingError,
    ) as error:
        why = next(iter(str(error).splitlines()), type(error).__name__)
        raise SetupFailed(
            f"{saved[-1]} is not a checkpoint of this run ({why}): remove {folder.parent} to start"
            " over"
        ) from error
    return int(saved[-1].name.rpartition("-")[2])


def _save(learner: Learner, folder: Path, done: int) -> None:
    """Write a checkpoint in one step, then remove the previous one."""
    before = _list_checkpoints(folder)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / _CHECKPOINT.format(done)
    partial = folder / f"partial-{file.name}"
    learner.save(partial)
    with partial.open("rb") as written:
        os.fsync(written.fileno())
    partial.replace(file)
    for old in before:
        if old != file:
            old.unlink()


def _list_checkpoints(folder: Path) -> list[Path]:
    return sorted(folder.glob(_CHECKPOINT.format(0).replace("0" * 8, "*")))
