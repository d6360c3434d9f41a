"""Run the same stages one after the other in one process, without queue, rows or storage."""

import dataclasses
from collections import defaultdict
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from smart_filter_shared.pipeline import PIPELINE, StageName, TaskName
from smart_filter_shared.recipe import Recipe
from smart_filter_workers import images
from smart_filter_workers.models import catalog
from smart_filter_workers.models.cache import ModelCache
from smart_filter_workers.results import CompositeResult
from smart_filter_workers.stages import registry
from smart_filter_workers.system import memory, threads

# The field of later stages' inputs that holds a stage's result.
_NAMES = {
    StageName.PREPARE: "prepared",
    StageName.SEGMENTATION: "segmented",
    StageName.FACE: "faces",
    StageName.SMILE: "smiles",
    StageName.COMPOSITE: "composited",
}


class OneProcess:
    """Every stage with its default models, in this process; thread-safe."""

    def __init__(self, weights: Path) -> None:
        # The same set-up as in a worker.
        memory.configure_malloc()
        threads.limit_native_threads()
        discovered = catalog.discover_models()
        self._models = ModelCache(discovered, weights, memory_limit=memory.get_limit(None))
        self._defaults: dict[StageName, dict[TaskName, str]] = defaultdict(dict)
        for card in discovered.cards:
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
        made: dict[str, object] = {
            "photo": images.decode(photo),
            "background": None,
            "recipe": Recipe(seed=seed),
            "seed": seed,
        }
        for stage in PIPELINE:
            code = registry.get_stage(stage.name)
            wanted = {field.name for field in dataclasses.fields(code.Inputs)}
            inputs = code.Inputs(**{name: made[name] for name in wanted & made.keys()})
            models = self._models.for_stage(self._defaults[stage.name], {})
            with around(stage.name):
                [made[_NAMES[stage.name]]] = code.run(models, [inputs])
        composited = made["composited"]
        assert isinstance(composited, CompositeResult)
        return composited
