"""The filters that a recipe may ask for, as data: what each is called, needs and can be told.

Drawing is the workers' part: one file a filter, named as its card here.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from smart_filter_shared.parameters import (
    Parameter,
    Parameters,
    Scalar,
    choice,
    completed,
    number,
    text,
)

MAX_CAPTION_CHARACTERS: Final = 120

_WHO: Final = text(
    "who",
    "all",
    "who gets it: all, largest, or faces counted from the left, such as 1,3",
    longest=60,
    pattern=r"all|largest|[1-9][0-9]{0,2}( ?, ?[1-9][0-9]{0,2}){0,19}",
    form="all, largest, or numbers such as 1,3",
)
_COLOUR_WORDS: Final = "black red navy teal green purple pink gold white brown".split()


class Need(StrEnum):
    """What a filter goes by: where faces are, or how they smile, too."""

    FACES = "faces"
    SMILES = "smiles"


@dataclass(frozen=True, slots=True)
class FilterCard:
    """What is known of one filter.

    needs: what it goes by; with `needs_with`, only while that parameter has that value.
    required: the parameters that have no default worth drawing.
    """

    name: str
    title: str
    needs: Need | None
    parameters: tuple[Parameter, ...]
    required: tuple[str, ...] = ()
    needs_with: tuple[str, Scalar] | None = None

    def parameter(self, name: str) -> Parameter | None:
        """Return one parameter, or None when the filter has none of that name."""
        return next((one for one in self.parameters if one.name == name), None)

    def completed(self, given: Parameters) -> dict[str, Scalar]:
        """Return the value of every parameter: the given one, else its default."""
        return completed(self.parameters, given)

    def need(self, given: Parameters) -> Need | None:
        """Return what it goes by when it is told this."""
        if self.needs_with is None:
            return self.needs
        name, value = self.needs_with
        return self.needs if self.completed(given)[name] == value else None


FILTERS: Final = (
    FilterCard(
        "grade",
        "Colours graded by the mood, or in a look by name",
        Need.SMILES,
        (
            choice(
                "look",
                "auto",
                "the look; auto is what suits the mood",
                choices=("auto", *"sunny airy blush pop editorial dusk steel mono".split()),
            ),
            number("strength", 1.0, "how far, from 0 to 1", least=0, most=1),
        ),
        needs_with=("look", "auto"),
    ),
    FilterCard(
        "sparkle",
        "Glints of light around the people, when everybody smiles",
        Need.SMILES,
        (number("amount", 0.5, "how many, from 0 to 1", least=0, most=1),),
    ),
    FilterCard(
        "glasses",
        "Glasses",
        Need.FACES,
        (
            choice("kind", "round", "which", choices="round cat-eye shades".split()),
            choice("colour", "black", "of the frame", choices=_COLOUR_WORDS),
            _WHO,
        ),
    ),
    FilterCard(
        "hat",
        "A hat",
        Need.FACES,
        (
            choice("kind", "party", "which", choices="party santa crown beanie".split()),
            choice(
                "colour",
                "auto",
                "of a party hat or a beanie; auto gives each person another",
                choices=("auto", *_COLOUR_WORDS),
            ),
            _WHO,
        ),
    ),
    FilterCard(
        "sticker",
        "A sticker on or above the head",
        Need.FACES,
        (
            choice(
                "kind",
                "heart",
                "which",
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
            text("text", "", "what it says", longest=MAX_CAPTION_CHARACTERS),
            choice("place", "bottom", "where it stands", choices="bottom top".split()),
            choice(
                "style",
                "auto",
                "a plate or an outline behind it; auto is what can be read there",
                choices="auto plate outline".split(),
            ),
        ),
        required=("text",),
    ),
)


def named(name: str, cards: Iterable[FilterCard] = FILTERS) -> FilterCard:
    """Return the card of a filter.  Raises KeyError when there is none."""
    for card in cards:
        if card.name == name:
            return card
    raise KeyError(name)
