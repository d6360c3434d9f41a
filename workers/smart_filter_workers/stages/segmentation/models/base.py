"""What a model of the segmentation stage is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from smart_filter_workers.results import Matte8, Prepared


@dataclass(frozen=True, slots=True)
class People:
    """The people in one picture.

    matte: (h, w) uint8, 0 none to 255 whole, at the size of the proxy.
    persons: how many persons the model tells apart; None when it does not.
    """

    matte: Matte8
    persons: int | None


class Segmenter(Protocol):
    """Says which pixels are people; safe to call from several threads."""

    def __call__(self, batch: Sequence[Prepared], /) -> Sequence[People]:
        """Return the people of each prepared photo, from its proxy and its proposals."""
        ...
