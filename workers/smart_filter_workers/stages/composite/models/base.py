"""What a model of the composite stage is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.recipe import Edge
from smart_filter_workers.results import Face, Matte8, Srgb8

# (H, W, 4) uint8: sRGB and straight (not premultiplied) alpha.
Srgba8: TypeAlias = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class CutOut:
    """The people of one photo, ready to be laid on anything.

    photo_srgb: (H, W, 3) uint8; matte: (H, W) uint8.
    people_srgb, backdrop_srgb: (h, w, 3) float32, 0..255, far smaller than the photo: the
        colours of the people and of the old background near each place of the edge.
    curves: (256, 3) uint8, what becomes of each level of the photo's red, green and blue; None:
        nothing. The photo itself is put through them part by part, when it is laid on.
    """

    photo_srgb: Srgb8
    matte: Matte8
    people_srgb: NDArray[np.float32]
    backdrop_srgb: NDArray[np.float32]
    curves: NDArray[np.uint8] | None = None

    def pixels(self, part: slice | tuple[slice, slice]) -> Srgb8:
        """Return a part of the photo, put through the curves; not to be written to."""
        if self.curves is None:
            return self.photo_srgb[part]
        return np.asarray(cv2.LUT(self.photo_srgb[part], self.curves[np.newaxis]), np.uint8)


class Compositor(Protocol):
    """Cuts people out and lays them on backgrounds; safe to call from several threads."""

    def cut(
        self,
        photo_srgb: Srgb8,
        *,
        proxy_srgb: Srgb8,
        matte: Matte8,
        edge: Edge,
        faces: Sequence[Face] = (),
    ) -> CutOut:
        """Bring a matte to the photo's size, its edges to the photo's edges.

        photo_srgb: (H, W, 3) uint8; proxy_srgb: (h, w, 3) uint8, the same photo, no larger;
        matte: (h, w) uint8.  edge: how much work its edge is worth.  faces: in the photo's pixels;
        hair is looked for around them.
        """
        ...

    def over(self, cut: CutOut, ground: Srgb8 | Srgba8) -> Srgb8 | Srgba8:
        """Lay the people on a ground of the cut-out's size, which is used up for it.

        ground: (H, W, 3), or (H, W, 4) with straight alpha, which the result has as well.
        """
        ...
