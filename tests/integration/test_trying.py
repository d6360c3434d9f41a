"""Candidate weights: run in a child process that may hang or crash; labeled by a teacher."""

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import text

import smart_filter_tests
from smart_filter_shared.ids import Capability
from smart_filter_shared.pipeline import StageName, TaskName
from smart_filter_shared.recipe import Recipe
from smart_filter_tests import drawn_people
from smart_filter_tests.bench import Bench
from smart_filter_tests.faults import unproven
from smart_filter_tests.threads import run_in_threads
from smart_filter_training.models.unet import pairs, teaching
from smart_filter_workers.learning.shadow_run import CompletedStage, ShadowRunner
from smart_filter_workers.models import catalog
from smart_filter_workers.models.cache import ModelCache
from smart_filter_workers.results import PreparedPhoto, Segmentation
from smart_filter_workers.stages.segmentation import stage
from smart_filter_workers.system.memory import get_limit
from smart_filter_workers.weights.trained_weights import TrainedWeights

SEGMENTATION = TaskName.SEGMENTATION
# For hangs: a child imports everything first, which takes a minute on a busy machine.
LIMIT_SECONDS = 240.0


@pytest.fixture(autouse=True)
def _child_knows_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(smart_filter_tests.__file__).parents[1]))


@dataclasses.dataclass(slots=True)
class Trial:
    """One worker's shadow runs of one weights file."""

    bench: Bench
    data: Path
    content: bytes

    def run_live(self) -> CompletedStage:
        """Return the result of a run of the live weights, for other workers to read."""
        self.bench.submit()
        self.bench.advance(StageName.PREPARE)
        lease = dataclasses.replace(
            self.bench.claim_one(StageName.SEGMENTATION),
            capability=Capability("segmentation.unproven"),
            models={SEGMENTATION: "unproven"},
            shadows={SEGMENTATION: hashlib.sha256(self.content).hexdigest()},
        )
        everywhere = np.full((8, 8), 255, np.uint8)
        prepared = PreparedPhoto(
            8, 8, "png", proxy_srgb=np.zeros((8, 8, 3), np.uint8), proposals=()
        )
        return CompletedStage(
            lease,
            stage.Inputs(prepared, Recipe()),
            Segmentation(matte=everywhere, coverage=1.0),
        )

    def make_runner(self, *, seconds: float) -> ShadowRunner:
        """Return a worker's runner whose stages have `seconds` seconds."""
        given = self.bench.settings
        settings = dataclasses.replace(
            given,
            data=self.data,
            engine=given.engine.model_copy(update={"stage_seconds": seconds}),
        )
        trained = TrainedWeights(settings.weights, self.bench.store)
        trained.keep(self.content)
        models = ModelCache(
            catalog.discover_models([unproven]),
            settings.weights,
            memory_limit=get_limit(None),
            trained=trained,
        )
        return ShadowRunner(
            self.bench.engine, models, settings=settings, extra_models=[unproven.__name__]
        )

    def results(self) -> list[tuple[object, object]]:
        with self.bench.transaction() as connection:
            rows = connection.execute(text("SELECT agreement, error FROM shadow_results"))
            return [(row.agreement, row.error) for row in rows]


@pytest.mark.slow  # four children import everything
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
    runner = trial.make_runner(seconds=seconds)

    for _ in range(2):
        runner.offer(trial.run_live())
        assert runner.run_next()

    ((agreement, error),) = trial.results()
    assert (agreement, why in str(error)) == (None, True)


@pytest.mark.slow
def test_working_weights_are_compared(bench: Bench, tmp_path: Path) -> None:
    trial = Trial(bench, tmp_path, unproven.BEHAVES)
    runner = trial.make_runner(seconds=LIMIT_SECONDS)
    runner.offer(trial.run_live())

    assert runner.run_next()

    ((agreement, error),) = trial.results()
    assert isinstance(agreement, dict)
    assert (agreement["iou"], error) == (1.0, None)


@pytest.mark.slow  # 3 s: the first thread hangs for this long
def test_only_one_thread_runs_shadows_at_a_time(bench: Bench, tmp_path: Path) -> None:
    trial = Trial(bench, tmp_path, unproven.HANGS)
    runner = trial.make_runner(seconds=3)
    for _ in range(2):
        runner.offer(trial.run_live())

    went = run_in_threads(2, runner.run_next)

    assert sorted(went) == [False, True]


@pytest.mark.slow
def test_teacher_labels_photos_once_and_records_its_name(
    tmp_path: Path, weights_folder: Path
) -> None:
    photos = drawn_people.folder(tmp_path / "photos", 2) / "images"
    into = tmp_path / "taught"
    teaching.teach(photos, into, teacher="selfie", weights=weights_folder)
    first = (into / "masks" / "drawn_000.png").stat().st_mtime_ns

    teaching.teach(photos, into, teacher="selfie", weights=weights_folder)

    assert [pair.name for pair in pairs.find_pairs(into)] == ["drawn_000", "drawn_001"]
    assert (into / "masks" / "drawn_000.png").stat().st_mtime_ns == first
    assert '"teacher": "selfie"' in (into / teaching.PROVENANCE).read_text()
