"""`smart-filter train MODEL --from-feedback`: trains a candidate on user corrections."""

import dataclasses
import datetime as dt
import math
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from smart_filter_deploy.cli.server import backends
from smart_filter_shared.artifacts.backends import Backends
from smart_filter_shared.catalog.model_card import ModelCard
from smart_filter_shared.config.paths import data_folder
from smart_filter_shared.db import sessions
from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.feedback.datasets import Dataset
from smart_filter_shared.feedback.examples import Split
from smart_filter_shared.model_registry import weight_versions
from smart_filter_shared.model_registry.weight_versions import WeightVersion
from smart_filter_training import run
from smart_filter_training.evaluation import tasks
from smart_filter_training.evaluation.confidence_intervals import Figure
from smart_filter_training.run import Outcome
from smart_filter_training.trainable_models import TrainableModel
from smart_filter_workers.learning import feedback, register
from smart_filter_workers.learning.register import RegistrationContext, TrainingInfo
from smart_filter_workers.models import catalog
from smart_filter_workers.models.catalog import ModelCatalog
from smart_filter_workers.models.trained import TrainedWeights

# Fewer photos outside of all training do not show which weights are better.
MIN_FROZEN_PHOTOS: Final = 10


def train(
    model: TrainableModel,
    settings: Sequence[str],
    run_folder: Path | None,
    tell: Callable[[str], None],
) -> tuple[Outcome, WeightVersion]:
    """Fine-tune a model on all corrections, and register its weights as a candidate.

    run_folder: of the record; by default one for the data set's version, so that the same command
    resumes a run that was killed.
    Raises SetupFailed, VersionRefused, and TryAgain while servers are unavailable.
    """
    with backends.open_backends() as reached:
        return _FeedbackRun(model, reached.servers, catalog.discover_models()).run(
            settings, run_folder, tell
        )


class _FeedbackRun:
    """A model, and the servers that hold its corrections and versions."""

    def __init__(self, model: TrainableModel, servers: Backends, known: ModelCatalog) -> None:
        self._model = model
        self._servers = servers
        self._known = known
        self._weights = data_folder() / "weights"
        self._card: ModelCard = known.files[model.code.TASK, model.code.MODEL].CARD

    def run(
        self, settings: Sequence[str], run_folder: Path | None, tell: Callable[[str], None]
    ) -> tuple[Outcome, WeightVersion]:
        """Build, train, compare, register."""
        configuration = self._model.configure_fine_tuning(settings)
        tell("gathering corrections")
        began = dt.datetime.now(dt.UTC)
        data = self._data()
        folder = run_folder or _default_folder(self._model, data)
        with self._pictures(data, folder / "pictures") as pictures:
            train_folder, frozen = pictures / Split.TRAIN, pictures / Split.FROZEN
            outcome = run.run(
                self._model,
                train_folder,
                folder,
                configuration,
                measure=frozen,
                tell=tell,
            )
            tell("comparing with the live weights")
            live = self._live()
            live_figures = self._model.code.measure(self._file(live), frozen)
        metrics = {
            "count": data.items.get(Split.FROZEN, 0),
            "against": live,
            "candidate": self._known_figures(outcome.test_figures),
            "live": self._known_figures(live_figures),
        }
        training = TrainingInfo(
            metrics,
            trained_on=f"feedback {data.task} {data.version}",
            trained_at=began,
            data_set=data.version,
        )
        place = RegistrationContext(
            self._servers.engine, self._servers.store, self._known, self._weights
        )
        version = register.register_weights(
            place,
            outcome.file.read_bytes(),
            task=self._model.code.TASK,
            model=self._model.code.MODEL,
            training=training,
        )
        return outcome, version

    def _data(self) -> Dataset:
        task = self._model.code.TASK
        built = feedback.build_dataset(self._servers.engine, self._servers.store, task)
        if built is None:
            raise SetupFailed(
                f"there are no corrections of {task} with consent: clients send them with"
                ' "consent": true (docs/learning.md)'
            )
        frozen = built.items.get(Split.FROZEN, 0)
        if frozen < MIN_FROZEN_PHOTOS:
            raise SetupFailed(
                f"feedback {task} {built.version} has {frozen} evaluation photos; at least"
                f" {MIN_FROZEN_PHOTOS} are needed: collect more corrections"
            )
        return built

    @contextmanager
    def _pictures(self, data: Dataset, folder: Path) -> Iterator[Path]:
        """Yield a temporary folder of a data set's pictures, which are private.

        Each call writes them again, without pictures that were deleted since; a run that used such
        a picture does not resume.
        """
        # A command that was killed leaves its pictures.
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            feedback.export_latest(self._servers.engine, self._servers.store, data.task, folder)
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _live(self) -> str | None:
        code = self._model.code
        with sessions.transaction(self._servers.engine) as connection:
            live = weight_versions.find_live(connection, code.TASK, code.MODEL)
        return None if live is None else live.digest

    def _file(self, live: str | None) -> Path:
        if live is None:
            return self._weights / self._model.code.FILE
        trained = TrainedWeights(self._weights, self._servers.store)
        return trained.folder_of(self._card, live) / self._model.code.FILE

    def _known_figures(self, figures: Mapping[str, Figure]) -> dict[str, list[float]]:
        """Return the figures that `smart-filter eval` has too, each with its interval."""
        known = {metric.name for metric in tasks.get_task(self._model.code.TASK).METRICS}
        return {
            name: [figure.value, figure.low, figure.high]
            for name, figure in figures.items()
            # With a single class, some figures are NaN.
            if name in known and all(map(math.isfinite, dataclasses.astuple(figure)))
        }


def _default_folder(model: TrainableModel, data: Dataset) -> Path:
    """Return the run's folder: a new one when examples of the data set were deleted."""
    less = f"-less-{data.removed}" if data.removed else ""
    return data_folder() / "training" / f"{model.name}-feedback-{data.version}{less}"
