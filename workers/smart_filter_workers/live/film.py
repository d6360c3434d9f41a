"""Film: what is made of the frames of one connection, one after the other."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from smart_filter_shared.rating import Rating, rate
from smart_filter_shared.recipe import Edge
from smart_filter_workers import images
from smart_filter_workers.live import frames
from smart_filter_workers.live.backdrop import Backdrop, Choice
from smart_filter_workers.live.sight import FACES_SIDE_PX, PEOPLE_SIDE_PX, Seen, Sight
from smart_filter_workers.live.smoothing import Smoothing
from smart_filter_workers.networks.coordinates import to_proxy
from smart_filter_workers.results import Face, Matte8, Prepared, Segmented, Srgb8
from smart_filter_workers.stages.composite.inputs import NOBODY_BELOW
from smart_filter_workers.stages.composite.tidying import tidied
from smart_filter_workers.stages.segmentation.edges import refine

_HALF: Final = 127


@dataclass(frozen=True, slots=True)
class Shot:
    """A frame, and as models see it.

    srgb: (H, W, 3) uint8.  for_faces, for_people: with the frame no larger than it takes to see
    them.
    """

    srgb: Srgb8
    for_faces: Prepared
    for_people: Prepared


@dataclass(frozen=True, slots=True)
class Developed:
    """What was made of a frame.

    content: a JPEG of the people before their new background.  width, height: of the frame.
    people: whether there is anybody.  rating: None without a face.  choice: what people have
    chosen just now.
    """

    content: bytes
    width: int
    height: int
    people: bool
    seen: Seen
    rating: Rating | None
    choice: Choice | None


def shot(content: bytes, *, max_side_px: int = frames.MAX_SIDE_PX) -> Shot:
    """Return a frame, a JPEG or WebP, ready to be looked at.

    Raises ImageTooLarge, ImageUnreadable.
    """
    srgb = frames.frame(content, max_side_px=max_side_px)
    return Shot(srgb, _prepared(srgb, FACES_SIDE_PX), _prepared(srgb, PEOPLE_SIDE_PX))


class Film:
    """The frames of one connection; each is cut out, and looked at, before it is developed.

    `cut_out` and `look` of one frame may run at once in two threads.
    """

    def __init__(self, sight: Sight) -> None:
        self._sight = sight
        self._smoothing = Smoothing()
        # Of the frame before, as `for_faces` shows them.
        self._faces: tuple[Face, ...] = ()

    def cut_out(self, frame: Shot) -> Matte8:
        """Return the matte of a frame's people, small."""
        small, large = frame.for_people.proxy_srgb, frame.for_faces.proxy_srgb
        return refine(self._sight.coverage(small, large, self._faces), small)

    def look(self, frame: Shot) -> Seen:
        """Return the frame's faces, with smiles and eyes."""
        return self._sight.look(frame.for_faces)

    def develop(
        self, frame: Shot, matte: Matte8, seen: Seen, backdrop: Backdrop, *, seconds: float
    ) -> Developed:
        """Put the people before their background.

        seconds: how long after the frame before it came.
        """
        faces = seen.faces.faces
        segmented = Segmented(matte, float(np.mean(matte > _HALF)), persons=None)
        segmented = tidied(segmented, frame.for_people, faces)
        self._faces = tuple(to_proxy(face, frame.for_faces) for face in faces)
        choice = backdrop.choose(frame.srgb, frame.for_people, segmented, seen)
        made = self._composited(frame, segmented, seen, backdrop, seconds)
        return Developed(
            content=frames.written(made),
            width=frame.srgb.shape[1],
            height=frame.srgb.shape[0],
            people=segmented.coverage >= NOBODY_BELOW,
            seen=seen,
            rating=_rated(seen),
            choice=choice,
        )

    def _composited(
        self, frame: Shot, segmented: Segmented, seen: Seen, backdrop: Backdrop, seconds: float
    ) -> Srgb8:
        if backdrop.keeps:
            self._smoothing = Smoothing()  # what it remembers grows old
            return frame.srgb
        cut = self._sight.compositor.cut(
            frame.srgb,
            proxy_srgb=frame.for_people.proxy_srgb,
            matte=segmented.matte,
            edge=Edge.FAST,
            faces=seen.faces.faces,
        )
        still = replace(cut, matte=self._smoothing.smoothed(cut.matte, frame.srgb, seconds=seconds))
        behind = backdrop.behind(frame.srgb, frame.for_people, segmented)
        return self._sight.compositor.over(still, behind)


def _prepared(srgb: Srgb8, longest_side_px: int) -> Prepared:
    height, width = srgb.shape[:2]
    small = images.shrink(srgb, longest_side=longest_side_px)
    return Prepared(width, height, "jpg", small, proposals=())


def _rated(seen: Seen) -> Rating | None:
    if not seen.smiles.smiles:
        return None
    levels = [smile.level for smile in seen.smiles.smiles]
    eyes = [eye for one in seen.smiles.eyes for eye in (one.left_open, one.right_open)]
    return rate(levels, sum(eye is True for eye in eyes))
