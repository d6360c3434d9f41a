"""The training loop: curves, checkpoints and resuming, with a learner that adds numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from smart_filter_shared.errors import SetupFailed
from smart_filter_training import loop
from smart_filter_training.loop import Plan
from smart_filter_training.run_record import RunRecord


@dataclass
class Sum:
    """Learns the sum of its batches."""

    total: int = 0

    def learn(self, number: int, batch: int) -> Mapping[str, float]:
        assert batch == number * number
        self.total = 3 * self.total + batch
        return {"train/total": self.total}

    def validate(self) -> Mapping[str, float]:
        return {"validation/total": -self.total}

    def save(self, file: Path) -> None:
        file.write_text(str(self.total))

    def load(self, file: Path) -> None:
        self.total = int(file.read_text())


class Killed(Exception):
    """Ends a run in these tests."""


class Record(RunRecord):
    """A record that keeps its curves, and is killed at a point of them."""

    killed_at = -1

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, {})
        self.points: list[tuple[str, float, int]] = []

    def scalar(self, name: str, value: float, step: int) -> None:
        if step == self.killed_at:
            raise Killed
        self.points.append((name, value, step))


def square(number: int) -> int:
    return number * number


def run(folder: Path, plan: Plan, *, killed_at: int = -1) -> tuple[Sum, Record]:
    learner, record = Sum(), Record(folder)
    record.killed_at = killed_at
    loop.train(learner, square, plan, record)
    return learner, record


def test_curves_and_checkpoints_come_at_their_intervals_and_at_the_end(tmp_path: Path) -> None:
    _, record = run(tmp_path, Plan(7, curve_interval=4, checkpoint_interval=3))

    assert [(name, step) for name, _, step in record.points] == [
        *(("train/total", 4), ("validation/total", 4)),
        *(("train/total", 7), ("validation/total", 7)),
    ]
    assert [path.name for path in record.checkpoint_folder.iterdir()] == ["step-00000007"]
    assert record.facts["steps_done"] == 7


def test_killed_run_ends_like_an_uninterrupted_one(tmp_path: Path) -> None:
    plan = Plan(10, curve_interval=1, checkpoint_interval=4)
    whole, _ = run(tmp_path / "whole", plan)
    with pytest.raises(Killed):
        run(tmp_path / "killed", plan, killed_at=7)

    resumed, record = run(tmp_path / "killed", plan)

    assert resumed.total == whole.total
    assert next(step for _, _, step in record.points) == 5


def test_finished_run_trains_no_more(tmp_path: Path) -> None:
    plan = Plan(3, curve_interval=1, checkpoint_interval=1)
    whole, _ = run(tmp_path, plan)

    again, record = run(tmp_path, plan)

    assert (again.total, record.points) == (whole.total, [])


def test_damaged_checkpoint_is_refused_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "step-00000002").write_text("no number")

    with pytest.raises(SetupFailed, match="is not a checkpoint of this run"):
        run(tmp_path, Plan(3, curve_interval=1, checkpoint_interval=1))
