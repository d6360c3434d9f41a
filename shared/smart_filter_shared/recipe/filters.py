"""The filters of a recipe, in drawing order, with the parameters that were set."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from smart_filter_shared.catalog import filters
from smart_filter_shared.catalog.filters import FilterCard, FilterNeed
from smart_filter_shared.catalog.parameters import Parameters
from smart_filter_shared.catalog.scalars import Scalar, quote_value
from smart_filter_shared.suggestions import did_you_mean


@dataclass(frozen=True, slots=True)
class Filter:
    """One filter of a recipe.  params: the parameters that were set."""

    name: str
    params: Parameters = field(default_factory=dict)

    @property
    def card(self) -> FilterCard:
        """The filter's card."""
        return filters.get_card(self.name)

    @property
    def need(self) -> FilterNeed | None:
        """The facts about people that the filter needs, with these parameters."""
        return self.card.need(self.params)

    @property
    def parameters(self) -> dict[str, Scalar]:
        """The value of every parameter: the value that was set, or the default."""
        return self.card.completed(self.params)


def as_json(asked: Sequence[Filter]) -> list[dict[str, object]]:
    """Return the filters as JSON, in order, with only the parameters that were set."""
    return [{"name": filter_.name, "params": dict(filter_.params)} for filter_ in asked]


def read_name(text: str) -> str:
    """Return a filter's name.  Raises ValueError, which lists the filters, for an unknown name."""
    names = [card.name for card in filters.FILTERS]
    if text not in names:
        raise ValueError(
            f"{quote_value(text)} is not a filter; use one of {', '.join(names)}"
            f"{did_you_mean(text, names)}"
        )
    return text
