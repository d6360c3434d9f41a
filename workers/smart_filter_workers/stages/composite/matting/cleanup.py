"""Clean up a model's matte: complete faces and remove islands."""

from collections.abc import Sequence
from dataclasses import replace

from smart_filter_shared.results import Face
from smart_filter_workers.results import PreparedPhoto, Segmentation
from smart_filter_workers.stages.composite.matting import head_regions, islands


def clean_matte(
    segmented: Segmentation, prepared: PreparedPhoto, faces: Sequence[Face]
) -> Segmentation:
    """Return the matte with every face whole, and without detached and faint parts.

    faces: in pixels of the photo.  A matte of whatever stands out is returned unchanged: its parts
    need not be connected, and have no known shape.
    """
    if segmented.any_subject:
        return segmented
    scale = prepared.width / segmented.matte.shape[1]
    matte = head_regions.complete_faces(segmented.matte, faces, scale=scale)
    return replace(segmented, matte=islands.remove_islands(matte, faces, scale=scale))
