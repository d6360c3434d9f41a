"""Recipes that were read a moment ago: the same fields mean the same, while the same is known."""

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from smart_filter_shared.ids import Tenant
from smart_filter_shared.jobs.models import Plan
from smart_filter_shared.jobs.published import Published
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.recipe import Recipe
from smart_filter_shared.stock import Picture

Plans = Mapping[StageName, Plan]

_MOST: Final = 256
# Whoever sends more sends something else each time.
_MOST_BYTES: Final = 2000


@dataclass(frozen=True, slots=True)
class Order:
    """A recipe, what runs each of its stages, and what those are asked (jobs/memory.py).

    known: the models that it was chosen from.
    """

    recipe: Recipe
    plans: Plans
    works: Mapping[StageName, str]
    known: Sequence[Published]


@dataclass(frozen=True, slots=True)
class Asked:
    """All that an order is read from: what is sent, and what was known then.

    known: every model published.  pictures: those that the tenant may use.
    """

    tenant: Tenant
    fields: Mapping[str, Sequence[str]]
    defaults: Mapping[str, object]
    with_background_file: bool
    known: Sequence[Published]
    pictures: Sequence[Picture]

    @property
    def sent(self) -> str:
        """What is sent, as one text."""
        return json.dumps(
            [self.tenant, self.with_background_file, dict(self.fields), dict(self.defaults)]
        )

    def knows_the_same_as(self, other: "Asked") -> bool:
        """Whether both go by the same look at the models and the pictures."""
        return self.known is other.known and self.pictures is other.pictures


class Orders:
    """The orders that were read last."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[Asked, Order]] = OrderedDict()

    def get(self, asked: Asked, read: Callable[[], Order]) -> Order:
        """Return what is known to be asked, or read it.  Raises what reading does."""
        sent = asked.sent
        known = self._kept.pop(sent, None)
        if known is None or not asked.knows_the_same_as(known[0]):
            known = asked, read()
        if len(sent) <= _MOST_BYTES:
            self._kept[sent] = known
            if len(self._kept) > _MOST:
                self._kept.popitem(last=False)
        return known[1]
