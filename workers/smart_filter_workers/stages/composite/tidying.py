"""A matte as a model saw it, without the slips that nobody is to see."""

from collections.abc import Sequence
from dataclasses import replace

from smart_filter_workers.results import Face, Prepared, Segmented
from smart_filter_workers.stages.composite.matting import heads, islands


def tidied(segmented: Segmented, prepared: Prepared, faces: Sequence[Face]) -> Segmented:
    """Return the matte with every face whole, and without parts that float apart.

    faces: in pixels of the photo.
    """
    scale = prepared.width / segmented.matte.shape[1]
    matte = heads.whole(segmented.matte, faces, scale=scale)
    return replace(segmented, matte=islands.without_islands(matte, tuple(faces), scale=scale))
