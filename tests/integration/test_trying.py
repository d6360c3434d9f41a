"""Weights in training: tried in a child process that may hang or crash; taught by a teacher."""

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import text

import smart_filter_tests
from smart_filter_shared.cards import TaskName
from smart_filter_shared.ids import Capability
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.recipe import Recipe
from smart_filter_tests import drawn_people
from smart_filter_tests.bench import Bench
from smart_filter_tests.faults import unproven
from smart_filter_tests.threads import at_once
from smart_filter_training.models.unet import pairs, teaching
from smart_filter_workers import catalogue
from smart_filter_workers.learning.trying import Ran, Trying
from smart_filter_workers.loaded import LoadedModels
from smart_filter_workers.memory import room
from smart_filter_workers.results import Prepared, Segmented
from smart_filter_workers.stages.segmentation import stage
from smart_filter_workers.trained import TrainedWeights

SEGMENTATION = TaskName.SEGMENTATION
# For hangs: a child imports everything first, which takes a minute on a busy machine.
LIMIT_SECONDS = 240.0


@pytest.fixture(autouse=True)
def _child_knows_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(smart_filter_tests.__file__).parents[1]))


@dataclasses.dataclass(slots=True)
class Trial:
    """One worker's trials of one file of weights."""

    bench: Bench
    data: Path
    content: bytes

    def ran(self) -> Ran:
        """Return a run by the weights that count, which others are to see, too."""
        self.bench.submit()
        self.bench.advance(StageName.PREPARE)
        lease = dataclasses.replace(
            self.bench.claim_one(StageName.SEGMENTATION),
            capability=Capability("segmentation.unproven"),
            models={SEGMENTATION: "unproven"},
            shadows={SEGMENTATION: hashlib.sha256(self.content).hexdigest()},
        )
        everywhere = np.full((8, 8), 255, np.uint8)
        prepared = Prepared(8, 8, "png", np.zeros((8, 8, 3), np.uint8), proposals=())
        return Ran(lease, stage.Inputs(prepared, Recipe()), Segmented(everywhere, 1.0, None))

    def trying(self, *, seconds: float) -> Trying:
        """Return a worker's, whose stages may take so many seconds."""
        told = self.bench.settings
        settings = dataclasses.replace(
            told,
            data=self.data,
            engine=told.engine.model_copy(update={"stage_seconds": seconds}),
        )
        trained = TrainedWeights(settings.weights, self.bench.store)
        trained.keep(self.content)
        models = LoadedModels(
            catalogue.find([unproven]), settings.weights, room=room(None), trained=trained
        )
        return Trying(
            self.bench.engine, models, settings=settings, extra_models=[unproven.__name__]
        )

    def told(self) -> list[tuple[object, object]]:
        with self.bench.transaction() as connection:
            rows = connection.execute(text("SELECT agreement, error FROM shadow_results"))
            return [(row.agreement, row.error) for row in rows]


@pytest.mark.parametrize(
    ("content", "seconds", "why"),
    [
        (unproven.HANGS, 0.25, "outlasted 0.25 s"),
        (unproven.CRASHES, LIMIT_SECONDS, "ended its process with status -9"),
    ],
)
def test_weights_that_hang_or_crash_end_a_child_and_are_not_tried_again(
    bench: Bench, tmp_path: Path, content: bytes, seconds: float, why: str
) -> None:
    trial = Trial(bench, tmp_path, content)
    trying = trial.trying(seconds=seconds)

    for _ in range(2):
        trying.offer(trial.ran())
        assert trying.try_one()

    ((agreement, error),) = trial.told()
    assert (agreement, why in str(error)) == (None, True)


def test_weights_that_behave_are_compared(bench: Bench, tmp_path: Path) -> None:
    trial = Trial(bench, tmp_path, unproven.BEHAVES)
    trying = trial.trying(seconds=LIMIT_SECONDS)
    trying.offer(trial.ran())

    assert trying.try_one()

    ((agreement, error),) = trial.told()
    assert isinstance(agreement, dict)
    assert (agreement["iou"], error) == (1.0, None)


@pytest.mark.slow  # 3 s: for so long the first thread has to hang
def test_one_thread_tries_at_a_time(bench: Bench, tmp_path: Path) -> None:
    trial = Trial(bench, tmp_path, unproven.HANGS)
    trying = trial.trying(seconds=3)
    for _ in range(2):
        trying.offer(trial.ran())

    went = at_once(2, trying.try_one)

    assert sorted(went) == [False, True]


def test_a_teacher_labels_photos_once_and_says_who_did_it(
    tmp_path: Path, weights_folder: Path
) -> None:
    photos = drawn_people.folder(tmp_path / "photos", 2) / "images"
    into = tmp_path / "taught"
    teaching.teach(photos, into, teacher="selfie", weights=weights_folder)
    first = (into / "masks" / "drawn_000.png").stat().st_mtime_ns

    teaching.teach(photos, into, teacher="selfie", weights=weights_folder)

    assert [pair.name for pair in pairs.found(into)] == ["drawn_000", "drawn_001"]
    assert (into / "masks" / "drawn_000.png").stat().st_mtime_ns == first
    assert '"teacher": "selfie"' in (into / teaching.PROVENANCE).read_text()
