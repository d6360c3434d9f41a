"""`smart-filter train MODEL --from-feedback`: from corrections to a candidate, in one go."""

import dataclasses
import datetime as dt
import math
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from smart_filter_deploy.cli import servers
from smart_filter_shared.cards import ModelCard
from smart_filter_shared.db import sessions
from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.jobs import versions
from smart_filter_shared.jobs.data_items import Part
from smart_filter_shared.jobs.data_sets import DataSet
from smart_filter_shared.jobs.versions import Version
from smart_filter_shared.places import data_folder
from smart_filter_shared.servers import Servers
from smart_filter_training import running
from smart_filter_training.recipes import Recipe
from smart_filter_training.running import Outcome
from smart_filter_workers import catalogue
from smart_filter_workers.catalogue import Catalogue
from smart_filter_workers.evaluation import tasks
from smart_filter_workers.evaluation.intervals import Figure
from smart_filter_workers.learning import feedback, registering
from smart_filter_workers.learning.registering import Place, Training
from smart_filter_workers.trained import TrainedWeights

# Fewer photos that nobody trained on say nothing of which weights are better.
FEWEST_FROZEN: Final = 10


def train(
    recipe: Recipe, settings: Sequence[str], run_folder: Path | None, tell: Callable[[str], None]
) -> tuple[Outcome, Version]:
    """Fine-tune a model on the corrections there are, and register what comes of it.

    run_folder: of the record; by default one of the data set's version, so that the same command
    goes on with a run that was killed.
    Raises SetupFailed, VersionRefused, and TryAgain while servers are away.
    """
    with servers.reached() as reached:
        return _Learning(recipe, reached.servers, catalogue.find()).run(settings, run_folder, tell)


class _Learning:
    """One model, and the servers that its corrections and versions lie on."""

    def __init__(self, recipe: Recipe, there: Servers, known: Catalogue) -> None:
        self._recipe = recipe
        self._servers = there
        self._known = known
        self._weights = data_folder() / "weights"
        self._card: ModelCard = known.files[recipe.task, recipe.model].CARD

    def run(
        self, settings: Sequence[str], run_folder: Path | None, tell: Callable[[str], None]
    ) -> tuple[Outcome, Version]:
        """Build, train, compare, register."""
        configuration = self._recipe.fine_tuning(settings)
        tell("gathering corrections")
        began = dt.datetime.now(dt.UTC)
        data = self._data()
        folder = run_folder or _usual_folder(self._recipe, data)
        with self._pictures(data, folder / "pictures") as pictures:
            learnt, frozen = pictures / Part.TRAIN, pictures / Part.FROZEN
            outcome = running.run(
                self._recipe,
                learnt,
                folder,
                configuration,
                measure=frozen,
                tell=tell,
            )
            tell("comparing with what is live")
            live = self._live()
            theirs = self._recipe.evaluate.measured(self._file(live), frozen)
        metrics = {
            "count": data.items.get(Part.FROZEN, 0),
            "against": live,
            "candidate": self._compared(outcome.measured),
            "live": self._compared(theirs),
        }
        training = Training(
            metrics,
            trained_on=f"feedback {data.task} {data.version}",
            trained_at=began,
            data_set=data.version,
        )
        place = Place(self._servers.engine, self._servers.store, self._known, self._weights)
        version = registering.register(
            place,
            outcome.file.read_bytes(),
            task=self._recipe.task,
            model=self._recipe.model,
            training=training,
        )
        return outcome, version

    def _data(self) -> DataSet:
        task = self._recipe.task
        built = feedback.build(self._servers.engine, self._servers.store, task)
        if built is None:
            raise SetupFailed(
                f"no correction of {task} with consent is kept: clients send them with"
                ' "consent": true (docs/learning.md)'
            )
        frozen = built.items.get(Part.FROZEN, 0)
        if frozen < FEWEST_FROZEN:
            raise SetupFailed(
                f"feedback {task} {built.version} has {frozen} frozen photos, needs"
                f" {FEWEST_FROZEN} to tell which weights are better: gather more corrections"
            )
        return built

    @contextmanager
    def _pictures(self, data: DataSet, folder: Path) -> Iterator[Path]:
        """Give the folder of a data set's pictures; they are people's, and go again.

        They are written anew each time: what was deleted meanwhile is not among them, and a run
        that had seen it does not go on.
        """
        # What a command that was killed left.
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            feedback.export_latest(self._servers.engine, self._servers.store, data.task, folder)
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _live(self) -> str | None:
        with sessions.transaction(self._servers.engine) as connection:
            live = versions.live(connection, self._recipe.task, self._recipe.model)
        return None if live is None else live.digest

    def _file(self, live: str | None) -> Path:
        if live is None:
            return self._weights / self._recipe.file
        kept = TrainedWeights(self._weights, self._servers.store)
        return kept.folder_of(self._card, live) / self._recipe.file

    def _compared(self, figures: Mapping[str, Figure]) -> dict[str, list[float]]:
        """Return the figures that `smart-filter eval` knows, each with its interval."""
        known = {metric.name for metric in tasks.of(self._recipe.task).METRICS}
        return {
            name: [figure.value, figure.low, figure.high]
            for name, figure in figures.items()
            # Of one class alone some are no number.
            if name in known and all(map(math.isfinite, dataclasses.astuple(figure)))
        }


def _usual_folder(recipe: Recipe, data: DataSet) -> Path:
    """Return the run's folder: a data set of which something was deleted begins a new one."""
    less = f"-less-{data.removed}" if data.removed else ""
    return data_folder() / "training" / f"{recipe.name}-feedback-{data.version}{less}"
