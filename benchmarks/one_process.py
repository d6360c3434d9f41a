"""Run the same stages one after the other in one process, without queue, rows or storage."""

import dataclasses
import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from smart_filter_shared.catalog.parameters import Parameters
from smart_filter_shared.pipeline import PIPELINE, Stage, StageName, TaskName
from smart_filter_shared.recipe import Recipe
from smart_filter_workers import images
from smart_filter_workers.models import catalog
from smart_filter_workers.models.cache import Model, ModelCache
from smart_filter_workers.results import CompositeResult
from smart_filter_workers.runtime.claiming import reroute
from smart_filter_workers.stages import registry
from smart_filter_workers.system import memory, threads


class OneProcess:
    """Every stage with its default models, in this process; thread-safe.

    Photos without people go to the model for them where its weights are in the folder.
    """

    def __init__(self, weights: Path) -> None:
        # The same set-up as in a worker.
        memory.configure_malloc()
        threads.limit_native_threads()
        discovered = catalog.discover_models()
        self._models = ModelCache(discovered, weights, memory_limit=memory.get_limit(None))
        self._defaults: dict[StageName, dict[TaskName, str]] = defaultdict(dict)
        self._spare: str | None = None
        for card in discovered.cards:
            if card.without_people and all((weights / file.name).exists() for file in card.weights):
                self._spare = card.name
            if card.default:
                self._models.model(card.task, card.name)
                self._defaults[card.stage][card.task] = card.name

    def run(
        self,
        photo: bytes,
        *,
        seed: int,
        around: Callable[[StageName], AbstractContextManager[object]] = nullcontext,
    ) -> bytes:
        """Return the encoded picture that a job with the default recipe makes.

        around: returns the context manager that a stage runs in.
        """
        composited = self.composite(photo, seed=seed, around=around)
        assert composited.image is not None
        return composited.image.content

    def composite(
        self,
        photo: bytes,
        *,
        seed: int,
        around: Callable[[StageName], AbstractContextManager[object]] = nullcontext,
    ) -> CompositeResult:
        """Return what the last stage of a job with the default recipe makes."""
        made = self._run(photo, PIPELINE, seed=seed, around=around)
        composited = made["composited"]
        assert isinstance(composited, CompositeResult)
        return composited

    def make_inputs(self, photo: bytes, stage: StageName) -> object:
        """Return the inputs of a stage, of a job with the default recipe."""
        before = itertools.takewhile(lambda code: code.name != stage, PIPELINE)
        return _select_inputs(stage, self._run(photo, before, seed=0, around=nullcontext))

    def choose_models(
        self,
        stage: StageName,
        names: Mapping[TaskName, str],
        parameters: Mapping[TaskName, Parameters],
    ) -> dict[TaskName, Model]:
        """Return the models of a stage: these, or the default ones.  Raises ModelNotLoaded."""
        return self._models.for_stage({**self._defaults[stage], **names}, parameters)

    def _run(
        self,
        photo: bytes,
        stages: Iterable[Stage],
        *,
        seed: int,
        around: Callable[[StageName], AbstractContextManager[object]],
    ) -> dict[str, object]:
        recipe = Recipe(seed=seed)
        made: dict[str, object] = {
            "photo": images.decode(photo),
            "background": None,
            "recipe": recipe,
            "seed": seed,
        }
        for stage in stages:
            inputs = _select_inputs(stage.name, made)
            models = self.choose_models(stage.name, {}, {})
            with around(stage.name):
                [made[stage.result]] = registry.get_stage(stage.name).run(models, [inputs])
                weak = reroute.find_weak_result(made[stage.result], recipe)
                if weak is not None and self._spare is not None:
                    spare = {TaskName.SEGMENTATION: self._spare}
                    models = self.choose_models(stage.name, spare, {})
                    [made[stage.result]] = registry.get_stage(stage.name).run(models, [inputs])
        return made


def _select_inputs(stage: StageName, made: Mapping[str, object]) -> object:
    """Return a stage's inputs among what was made."""
    kind = registry.get_stage(stage).Inputs
    wanted = {field.name for field in dataclasses.fields(kind)}
    return kind(**{name: made[name] for name in wanted & made.keys()})
