"""The peer: the same stages, called one after the other without queue, rows or storage."""

import dataclasses
from collections import defaultdict
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from smart_filter_shared.cards import TaskName
from smart_filter_shared.pipeline import PIPELINE, StageName
from smart_filter_shared.recipe import Recipe
from smart_filter_workers import catalogue, images, memory, native_threads, stage_code
from smart_filter_workers.loaded import LoadedModels
from smart_filter_workers.results import Composited

# What a stage makes is called this where another one reads it.
_NAMES = {
    StageName.PREPARE: "prepared",
    StageName.SEGMENTATION: "segmented",
    StageName.FACE: "faces",
    StageName.SMILE: "smiles",
    StageName.COMPOSITE: "composited",
}


class OneProcess:
    """Every stage with its default models, in this process; safe for threads."""

    def __init__(self, weights: Path) -> None:
        # As in a worker.
        memory.return_pictures()
        native_threads.one_per_call()
        known = catalogue.find()
        self._models = LoadedModels(known, weights, room=memory.room(None))
        self._defaults: dict[StageName, dict[TaskName, str]] = defaultdict(dict)
        for card in known.cards:
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

        around: what each stage runs within.
        """
        made: dict[str, object] = {
            "photo": images.decode(photo),
            "background": None,
            "recipe": Recipe(seed=seed),
            "seed": seed,
        }
        for stage in PIPELINE:
            code = stage_code.of(stage.name)
            wanted = {field.name for field in dataclasses.fields(code.Inputs)}
            inputs = code.Inputs(**{name: made[name] for name in wanted & made.keys()})
            models = self._models.of(self._defaults[stage.name], {})
            with around(stage.name):
                [made[_NAMES[stage.name]]] = code.run(models, [inputs])
        composited = made["composited"]
        assert isinstance(composited, Composited)
        assert composited.image is not None
        return composited.image.content
