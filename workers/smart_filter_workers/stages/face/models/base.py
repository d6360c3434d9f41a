"""Interface of the models of the face stage."""

from collections.abc import Sequence
from typing import Protocol

from smart_filter_shared.results import Face
from smart_filter_workers.results import Srgb8


class FaceDetector(Protocol):
    """Finds the faces in pictures; safe to call from several threads."""

    def __call__(
        self, pictures: Sequence[Srgb8], proposals: Sequence[tuple[Face, ...]] = (), /
    ) -> Sequence[tuple[Face, ...]]:
        """Return the faces of each picture, in that picture's pixels and in any order.

        pictures: (H, W, 3) uint8 sRGB each, of any sizes of at least 1 × 1.  proposals: the faces
        that `prepare` found in each picture; a model that would find the same may return them.
        """
        ...
