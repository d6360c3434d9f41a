"""Tell the faces of people who stay in the picture from others."""

from smart_filter_shared.results import Face
from smart_filter_workers.results import HALF_LEVEL, Matte8


def is_covered(face: Face, matte: Matte8, photo_width: int) -> bool:
    """Return whether the matte covers the inner half of a face."""
    scale = matte.shape[1] / photo_width
    x, y, width, height = (side * scale for side in face.box)
    rows = slice(max(0, int(y + height / 4)), max(1, int(y + height * 3 / 4) + 1))
    columns = slice(max(0, int(x + width / 4)), max(1, int(x + width * 3 / 4) + 1))
    inner = matte[rows, columns]
    return bool(inner.size) and float(inner.mean()) > HALF_LEVEL
