"""Cache parsed recipes: equal fields give equal recipes while models and pictures are the same."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cachetools import LRUCache

from smart_filter_shared.errors import InvalidRecipe
from smart_filter_shared.feedback.face_changes import FaceChanges
from smart_filter_shared.ids import Tenant
from smart_filter_shared.model_registry.published_models import PublishedModel
from smart_filter_shared.model_registry.stage_plan import StagePlan
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.presets import Style
from smart_filter_shared.recipe import Recipe
from smart_filter_shared.recipe.fields import Fields
from smart_filter_shared.stock import Picture

Plans = Mapping[StageName, StagePlan]

_MAX_ENTRIES: Final = 256
# Larger forms rarely repeat; do not cache them.
_MAX_KEY_BYTES: Final = 2000


@dataclass(frozen=True, slots=True)
class ParsedRecipe:
    """A recipe, its stage plans, and the cache keys of its stages (jobs/result_cache.py).

    published: the models to choose from.  pictures: the tenant's choices.
    face_changes: by users, of the job's faces; only a derived job has them.
    """

    recipe: Recipe
    plans: Plans
    cache_keys: Mapping[StageName, str]
    published: Sequence[PublishedModel]
    pictures: Sequence[Picture]
    face_changes: FaceChanges | None = None


@dataclass(frozen=True, slots=True)
class RecipeLayer:
    """Fields that apply where a request or a stronger layer gives none, as in a JSON body.

    hint: where they are from, for the end of an error's sentence.
    """

    fields: Mapping[str, object]
    hint: str = " (this is one of your tenant's defaults; `GET /v1/tenants/NAME` lists them)"


@dataclass(frozen=True, slots=True)
class RecipeCacheKey:
    """All inputs of a parsed recipe: the submitted fields, the models and the pictures.

    layers: the weakest first.
    published: every published model.  pictures: the tenant's choices.
    emotions_off: why models that read emotions are turned off; None: they are not.
    season: today's.
    """

    tenant: Tenant
    fields: Fields
    layers: Sequence[RecipeLayer]
    with_background_file: bool
    published: Sequence[PublishedModel]
    pictures: Sequence[Picture]
    emotions_off: str | None
    season: Style

    @property
    def sent(self) -> str:
        """Return the submitted fields as one text."""
        return json.dumps(
            [
                *(self.tenant, self.with_background_file, self.emotions_off, self.season),
                *(dict(self.fields), [[layer.hint, dict(layer.fields)] for layer in self.layers]),
            ]
        )

    def shares_snapshot_with(self, other: "RecipeCacheKey") -> bool:
        """Whether both use the same snapshot of models and pictures."""
        return self.published is other.published and self.pictures is other.pictures


class RecipeCache:
    """The recipes that were parsed last, and the errors of invalid ones."""

    def __init__(self) -> None:
        self._kept: LRUCache[str, tuple[RecipeCacheKey, ParsedRecipe | InvalidRecipe]] = LRUCache(
            _MAX_ENTRIES
        )

    def get(
        self, asked: RecipeCacheKey, read: Callable[[RecipeCacheKey], ParsedRecipe]
    ) -> ParsedRecipe:
        """Return the cached recipe of a key, or call `read` and cache it.

        Raises the InvalidRecipe that `read` raises, which is cached as well.
        """
        sent = asked.sent
        cached = self._kept.get(sent)
        if cached is None or not asked.shares_snapshot_with(cached[0]):
            cached = asked, _outcome(asked, read)
        if len(sent) <= _MAX_KEY_BYTES:
            self._kept[sent] = cached
        if isinstance(cached[1], InvalidRecipe):
            raise type(cached[1]).of_fields(cached[1].errors)
        return cached[1]


def _outcome(
    asked: RecipeCacheKey, read: Callable[[RecipeCacheKey], ParsedRecipe]
) -> ParsedRecipe | InvalidRecipe:
    try:
        return read(asked)
    except InvalidRecipe as error:
        return error.with_traceback(None)  # whose frames hold the request
