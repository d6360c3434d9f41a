"""Interface of the models of the composite stage, and their cut-out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from smart_filter_shared.recipe import Edge
from smart_filter_shared.results import Face
from smart_filter_workers.results import Bytes, Floats, Matte8, Srgb8, Srgba8


@dataclass(frozen=True, slots=True)
class CutOut:
    """The people of one photo, ready for compositing.

    photo_srgb: (H, W, 3) uint8; matte: (H, W) uint8.
    people_srgb, backdrop_srgb: (h, w, 3) float32, 0..255, far smaller than the photo: the colors of
        the people and of the old background near each point of the edge.
    own_colors: whether the photo's colors are the people's along the edge too, without any of the
        background: true of a photo that was cut out before.
    curves: (256, 3) uint8, the new level of each level of the photo's red, green and blue; None
        leaves levels unchanged. They are applied to the photo part by part, when it is composited.
    """

    photo_srgb: Srgb8
    matte: Matte8
    people_srgb: Floats
    backdrop_srgb: Floats
    curves: Bytes | None = None
    own_colors: bool = False


class Compositor(Protocol):
    """Cuts people out and composites them onto backgrounds; safe to call from several threads."""

    def cut(
        self,
        photo_srgb: Srgb8,
        *,
        proxy_srgb: Srgb8,
        matte: Matte8,
        edge: Edge,
        faces: Sequence[Face] = (),
    ) -> CutOut:
        """Return the cut-out: the matte at the photo's size, its edges aligned to the photo's.

        photo_srgb: (H, W, 3) uint8; proxy_srgb: (h, w, 3) uint8, the same photo, no larger; matte:
        (h, w) uint8.  edge: how much work to spend on the edge.  faces: in the photo's pixels; hair
        is expected around them.
        """
        ...

    def over(self, cut: CutOut, ground: Srgb8 | Srgba8) -> Srgb8 | Srgba8:
        """Composite the people onto a ground of the cut-out's size; the ground is overwritten.

        ground: (H, W, 3), or (H, W, 4) with straight alpha; the result has the same channels.
        """
        ...
