"""Parse the backgrounds of live video, a subset of the backgrounds of recipes.

A live worker has neither database nor storage, and does not fetch URLs. Its frames are JPEG.
"""

from typing import Final

from smart_filter_shared.recipe import Background, BackgroundKind
from smart_filter_shared.recipe import background as words

_SEND_IT: Final = 'send the picture to the connection: {"background_file": true}, then its bytes'
_REFUSED: Final = {
    BackgroundKind.TRANSPARENT: "frames are JPEG, which has no transparency; use an opaque color,"
    " such as color:white",
    BackgroundKind.FILE: _SEND_IT,
    BackgroundKind.URL: f"live video does not fetch URLs; {_SEND_IT}",
}


def parse_background(text: str) -> Background:
    """Parse a background of live video.  Raises ValueError, which says what to do."""
    kind, _, value = text.partition(":")
    if kind == BackgroundKind.PRESET and "/" in value:
        raise ValueError(f"live video has only the generated designs; {_SEND_IT}")
    asked = words.parse_background(text)
    if asked.kind in _REFUSED:
        raise ValueError(_REFUSED[asked.kind])
    if asked.kind == BackgroundKind.COLOR and _is_translucent(asked.value or ""):
        raise ValueError("frames are JPEG, which has no transparency; use an opaque color")
    return asked


def _is_translucent(css_color: str) -> bool:
    from coloraide import Color  # noqa: PLC0415 - takes 0.1 s and 6 MB, and few jobs need it

    return Color(css_color).alpha(nans=False) < 1
