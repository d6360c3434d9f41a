"""Which filters a recipe asks for, in the order they are drawn, and what each was told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from smart_filter_shared import filters
from smart_filter_shared.filters import FilterCard, Need
from smart_filter_shared.parameters import Parameters, Scalar


@dataclass(frozen=True, slots=True)
class Filter:
    """One filter that is asked for; params: those of its parameters that were set."""

    name: str
    params: Parameters = field(default_factory=dict)

    @property
    def card(self) -> FilterCard:
        """What is known of it."""
        return filters.named(self.name)

    @property
    def need(self) -> Need | None:
        """What it goes by, told what it was told."""
        return self.card.need(self.params)

    @property
    def parameters(self) -> dict[str, Scalar]:
        """The value of every parameter: the one that was set, else its default."""
        return self.card.completed(self.params)


def as_json(asked: Sequence[Filter]) -> list[dict[str, object]]:
    """Return what is asked for, in order, with what was set only."""
    return [{"name": one.name, "params": dict(one.params)} for one in asked]


def from_json(recipe: Mapping[str, object]) -> tuple[Filter, ...]:
    """Return what `as_json` wrote into a recipe; rows of version 0.1 have none."""
    stored = recipe.get("filters", [])
    if not isinstance(stored, list):
        raise TypeError(f"not a stored recipe: {recipe}")
    return tuple(Filter(str(one["name"]), dict(one["params"])) for one in stored)


def read_name(text: str) -> str:
    """Return the name of a filter that there is."""
    names = [card.name for card in filters.FILTERS]
    if text not in names:
        raise ValueError(f"{text[:60]!r} is not a filter; there are {', '.join(names)}")
    return text
