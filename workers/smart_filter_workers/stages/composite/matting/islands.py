"""Islands: remove detached parts of a matte that show no person."""

from typing import Final

import numpy as np

from smart_filter_shared.results import Face
from smart_filter_workers.connected_parts import label_parts, measure_areas
from smart_filter_workers.opencv import cv2
from smart_filter_workers.resampling import resize
from smart_filter_workers.results import Matte8

# Parts smaller than this share of the largest one, without a face, are removed.
MAX_ISLAND_SHARE: Final = 0.02
# Parts are found on a coarser grid: a twentieth of the time, and gaps of a pixel or two are
# ignored.
ISLAND_STEP_PX: Final = 4


def remove_islands(matte: Matte8, faces: tuple[Face, ...], *, scale: float) -> Matte8:
    """Return the matte without small detached parts that show no face.

    matte: (h, w) uint8.  faces: in pixels of the photo, which is `scale` times as large.
    """
    height, width = matte.shape
    coarse = (max(1, width // ISLAND_STEP_PX), max(1, height // ISLAND_STEP_PX))
    labels, count = label_parts(resize(matte, width=coarse[0], height=coarse[1]) > 0)
    areas = measure_areas(labels, count)
    areas[0] = 0  # label 0 is the background
    slips = (areas < MAX_ISLAND_SHARE * areas.max()) & (areas > 0)
    for face in faces:
        x, y, across, down = (side / scale / ISLAND_STEP_PX for side in face.box)
        rows = slice(max(0, int(y)), max(0, int(y + down)) + 1)
        columns = slice(max(0, int(x)), max(0, int(x + across)) + 1)
        slips[np.unique(labels[rows, columns])] = False
    if not slips.any():
        return matte
    gone = slips[labels].astype(np.uint8)
    gone = cv2.resize(gone, (width, height), interpolation=cv2.INTER_NEAREST).astype(np.uint8)
    return np.where(gone, np.uint8(0), matte)
