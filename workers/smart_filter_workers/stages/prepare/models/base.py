"""Interfaces of the two kinds of models of the prepare stage."""

from collections.abc import Sequence
from typing import Protocol

from smart_filter_shared.results import Face
from smart_filter_workers.results import Srgb8


class LightDetector(Protocol):
    """Proposes faces in pictures at low cost; safe to call from several threads."""

    def __call__(self, pictures: Sequence[Srgb8], /) -> Sequence[tuple[Face, ...]]:
        """Return the faces of each picture, in that picture's pixels.

        pictures: (H, W, 3) uint8 sRGB each, of any sizes of at least 1 × 1.
        """
        ...


class OrientationReader(Protocol):
    """Reads how pictures must be turned to be upright; safe to call from several threads."""

    def __call__(
        self, pictures: Sequence[Srgb8], faces: Sequence[tuple[Face, ...]], /
    ) -> Sequence[int]:
        """Return the counter-clockwise quarter turns (90°) that make each picture upright, 0 to 3.

        pictures: (H, W, 3) uint8 sRGB each; faces: the faces found in each, unturned. 0 also when
        the turn is uncertain: an upright picture must never be turned.
        """
        ...
