"""Cards of the filters that a recipe can name: title, needs and parameters.

The workers draw filters: one file for each, with the name of its card here.
"""

from dataclasses import dataclass
from typing import Final

from smart_filter_shared.catalog.parameters import (
    Parameter,
    Parameters,
    choice,
    fill_defaults,
    number,
    text,
)
from smart_filter_shared.catalog.scalars import Scalar
from smart_filter_wire.words import FilterNeed

MAX_CAPTION_CHARACTERS: Final = 120

_WHO: Final = text(
    "who",
    "all",
    "who gets it: all, largest, or faces counted from the left, such as 1,3",
    longest=60,
    pattern=r"all|largest|[1-9][0-9]{0,2}( ?, ?[1-9][0-9]{0,2}){0,19}",
    form="all, largest, or numbers such as 1,3",
)
_COLOR_WORDS: Final = "black red navy teal green purple pink gold white brown".split()


@dataclass(frozen=True, slots=True)
class FilterCard:
    """The card of one filter.

    needs: what it must know of the people; with `needs_with`, only while that parameter has that
        value.
    required: parameters without a useful default.
    """

    name: str
    title: str
    needs: FilterNeed | None
    parameters: tuple[Parameter, ...]
    required: tuple[str, ...] = ()
    needs_with: tuple[str, Scalar] | None = None

    def parameter(self, name: str) -> Parameter | None:
        """Return one parameter, or None when the filter has none of that name."""
        return next((parameter for parameter in self.parameters if parameter.name == name), None)

    def completed(self, given: Parameters) -> dict[str, Scalar]:
        """Return the value of every parameter: the given value, or the default."""
        return fill_defaults(self.parameters, given)

    def need(self, given: Parameters) -> FilterNeed | None:
        """Return what the filter must know of the people with these parameters; None: nothing."""
        if self.needs_with is None:
            return self.needs
        name, value = self.needs_with
        return self.needs if self.completed(given)[name] == value else None


FILTERS: Final = (
    FilterCard(
        "grade",
        "Colors graded by the mood, or in a named look",
        FilterNeed.SMILES,
        (
            choice(
                "look",
                "auto",
                "the look; auto suits the mood",
                choices=("auto", *"sunny airy blush pop editorial dusk steel mono".split()),
            ),
            number("strength", 1.0, "strength, from 0 to 1", least=0, most=1),
        ),
        needs_with=("look", "auto"),
    ),
    FilterCard(
        "sparkle",
        "Glints of light around the people, when all of them smile",
        FilterNeed.SMILES,
        (number("amount", 0.5, "amount, from 0 to 1", least=0, most=1),),
    ),
    FilterCard(
        "glasses",
        "Glasses",
        FilterNeed.FACES,
        (
            choice("kind", "round", "kind", choices="round cat-eye shades".split()),
            choice("color", "black", "color of the frame", choices=_COLOR_WORDS),
            _WHO,
        ),
    ),
    FilterCard(
        "hat",
        "A hat",
        FilterNeed.FACES,
        (
            choice("kind", "party", "kind", choices="party santa crown beanie".split()),
            choice(
                "color",
                "auto",
                "color of a party hat or a beanie; auto gives each person another color",
                choices=("auto", *_COLOR_WORDS),
            ),
            _WHO,
        ),
    ),
    FilterCard(
        "sticker",
        "A sticker on or above the head",
        FilterNeed.FACES,
        (
            choice(
                "kind",
                "heart",
                "kind",
                choices="heart star flower bow cat-ears moustache".split(),
            ),
            _WHO,
        ),
    ),
    FilterCard(
        "caption",
        "A line or a few of text",
        None,
        (
            text("text", "", "text of the caption", longest=MAX_CAPTION_CHARACTERS),
            choice("place", "bottom", "place in the picture", choices="bottom top".split()),
            choice(
                "style",
                "auto",
                "a plate or an outline behind the text; auto chooses the more readable one",
                choices="auto plate outline".split(),
            ),
        ),
        required=("text",),
    ),
)


def get_card(name: str) -> FilterCard:
    """Return the card of a filter.  Raises KeyError for an unknown name."""
    for card in FILTERS:
        if card.name == name:
            return card
    raise KeyError(name)
