"""What the two models of the prepare stage are."""

from collections.abc import Sequence
from typing import Protocol

from smart_filter_workers.results import Face, Srgb8


class LightDetector(Protocol):
    """Proposes faces in pictures, cheaply; safe to call from several threads."""

    def __call__(self, pictures: Sequence[Srgb8], /) -> Sequence[tuple[Face, ...]]:
        """Return the faces of each picture, in that picture's pixels.

        pictures: (H, W, 3) uint8 sRGB each, of any sizes of at least 1 × 1.
        """
        ...


class OrientationReader(Protocol):
    """Says how pictures must be turned to stand upright; safe to call from several threads."""

    def __call__(
        self, pictures: Sequence[Srgb8], faces: Sequence[tuple[Face, ...]], /
    ) -> Sequence[int]:
        """Return how often to turn each picture by 90° counter-clockwise, 0 to 3.

        pictures: (H, W, 3) uint8 sRGB each; faces: what is found in each as it stands.
        0 also when it cannot be told: a picture that stands upright must never be turned.
        """
        ...
