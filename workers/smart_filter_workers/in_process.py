"""Run the stages of a job one after the other in this process: no queue, rows or storage."""

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from smart_filter_shared.catalog.model_card import ModelCard
from smart_filter_shared.catalog.parameters import Parameters
from smart_filter_shared.pipeline import PIPELINE, StageName, TaskName
from smart_filter_shared.recipe import AUTO, Edge, Recipe, Subject, required_stages
from smart_filter_shared.results import Faces, Smiles
from smart_filter_workers.models import catalog
from smart_filter_workers.models.cache import Model, ModelCache
from smart_filter_workers.results import CompositeResult, Photo, PreparedPhoto, Segmentation
from smart_filter_workers.stages import registry
from smart_filter_workers.stages.segmentation import stage as segmentation
from smart_filter_workers.system import resources


@dataclasses.dataclass(frozen=True, slots=True)
class Results:
    """The results of a job's stages; None for a stage that the recipe does not need."""

    prepared: PreparedPhoto
    segmented: Segmentation | None
    faces: Faces | None
    smiles: Smiles | None
    composited: CompositeResult | None


class InProcess:
    """Every stage, with models that are loaded at their first use; safe for threads.

    weights: the folder of weights.  Photos without people go to the model for them where its
    weights are there, and unsure ones to the stronger model.
    """

    def __init__(self, weights: Path) -> None:
        discovered = catalog.discover_models()
        self._models = ModelCache(discovered, weights, memory_limit=resources.get_limit(None))
        self._cards = discovered.cards
        self._runnable = {
            card.name
            for card in self._cards
            if not catalog.missing_packages(card)
            and all((weights / file.name).exists() for file in card.weights)
        }

    @property
    def offered(self) -> Mapping[TaskName, Sequence[ModelCard]]:
        """The models whose weights are there, by task."""
        return {
            task: [
                card for card in self._cards if card.task == task and card.name in self._runnable
            ]
            for task in TaskName
        }

    def run(
        self,
        photo: Photo,
        recipe: Recipe,
        *,
        background: Photo | None = None,
        around: Callable[[StageName], AbstractContextManager[object]] = nullcontext,
    ) -> Results:
        """Return what each stage makes of a photo.

        recipe: with a seed.  background: the file of a background that is one.
        around: returns the context manager that a stage runs in.
        Raises an Error of a stage, such as NoPerson, or ModelNotLoaded.
        """
        made = self._run(photo, recipe, required_stages(recipe), background, around)
        return Results(**{stage.result: made[stage.result] for stage in PIPELINE})  # type: ignore[arg-type]  # each stage's own

    def make_inputs(self, photo: Photo, stage: StageName, recipe: Recipe) -> object:
        """Return the inputs of a stage."""
        stages = required_stages(recipe)
        made = self._run(photo, recipe, stages[: stages.index(stage)], None, nullcontext)
        return _select_inputs(stage, made)

    def choose_models(
        self,
        stage: StageName,
        recipe: Recipe,
        names: Mapping[TaskName, str] | None = None,
        parameters: Mapping[TaskName, Parameters] | None = None,
    ) -> dict[TaskName, Model]:
        """Return the models of a stage: these, the recipe's, or the default ones.

        Raises ModelNotLoaded.
        """
        chosen = {card.task: card.name for card in self._cards if card.default}
        for card in sorted(self._cards, key=lambda card: card.without_people):
            is_meant = (
                card.any_subject
                if recipe.subject == Subject.ANY
                else card.best_edge and recipe.edge == Edge.BEST
            )
            if is_meant and card.name in self._runnable:
                chosen[card.task] = card.name
        chosen |= {task: name for task, name in recipe.models.items() if name != AUTO}
        chosen |= names or {}
        of_stage = {card.task for card in self._cards if card.stage == stage and card.default}
        return self._models.for_stage(
            {task: chosen[task] for task in of_stage}, parameters or recipe.params
        )

    def _run(
        self,
        photo: Photo,
        recipe: Recipe,
        stages: Collection[StageName],
        background: Photo | None,
        around: Callable[[StageName], AbstractContextManager[object]],
    ) -> dict[str, object]:
        made: dict[str, object] = {
            # Those of stages that the recipe does not need stay None.
            **dict.fromkeys(stage.result for stage in PIPELINE),
            "photo": photo,
            "background": background,
            "recipe": recipe,
            "seed": recipe.seed or 0,
        }
        for stage in PIPELINE:
            if stage.name not in stages:
                continue
            inputs, code = _select_inputs(stage.name, made), registry.get_stage(stage.name)
            with around(stage.name):
                [result] = code.run(self.choose_models(stage.name, recipe), [inputs])
                other = self._find_other(result, recipe)
                if other is not None:
                    [result] = code.run(
                        self.choose_models(stage.name, recipe, {TaskName.SEGMENTATION: other}, {}),
                        [inputs],
                    )
            made[stage.result] = result
        return made

    def _find_other(self, result: object, recipe: Recipe) -> str | None:
        """Return the model that a result should be replaced by, if it can run here."""
        weak = segmentation.find_weak_result(result, recipe)
        if weak is None:
            return None
        return next(
            (
                card.name
                for card in self._cards
                if card.name in self._runnable
                and (card.without_people if weak.stronger is None else card.name == weak.stronger)
            ),
            None,
        )


def _select_inputs(stage: StageName, made: Mapping[str, object]) -> object:
    """Return a stage's inputs among what was made."""
    kind = registry.get_stage(stage).Inputs
    wanted = {field.name for field in dataclasses.fields(kind)}
    return kind(**{name: made[name] for name in wanted & made.keys()})
