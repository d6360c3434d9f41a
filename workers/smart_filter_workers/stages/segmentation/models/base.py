"""What a model of the segmentation stage is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from smart_filter_workers.results import Matte8, Prepared, Srgb8


@dataclass(frozen=True, slots=True)
class Step:
    """Something that a model looked at on its way, for people to see.

    picture: (h, w, 3) uint8 sRGB, or (h, w) uint8, of any size.
    """

    title: str
    picture: Srgb8 | Matte8


@dataclass(frozen=True, slots=True)
class People:
    """The people in one picture.

    matte: (h, w) uint8, 0 none to 255 whole, at the size of the proxy.
    persons: a (h, w) uint8 matte of each person, from left to right by the middle of their
        boxes; None when the model does not tell persons apart.
    steps: how it got there, for a model whose card says that it explains itself.
    confidence, needs_review, stronger: an ensemble's opinion, as results.Segmented has it.
    """

    matte: Matte8
    persons: tuple[Matte8, ...] | None
    steps: tuple[Step, ...] = ()
    confidence: float | None = None
    needs_review: bool = False
    stronger: str | None = None


class Segmenter(Protocol):
    """Says which pixels are people; safe to call from several threads.

    A model whose card has parameters takes them as the keyword `parameters` as well; here
    they are filled in.
    """

    def __call__(self, batch: Sequence[Prepared], /) -> Sequence[People]:
        """Return the people of each prepared photo, from its proxy and its proposals."""
        ...
