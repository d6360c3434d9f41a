"""What may stand behind people in live video: what a recipe may ask for, but for a few.

A live worker has neither database nor storage, and fetches nothing; and its frames are JPEG.
"""

from typing import Final

from coloraide import Color

from smart_filter_shared.recipe import Background, BackgroundKind
from smart_filter_shared.recipe import background as words

_SEND_IT: Final = 'send the picture to the connection: {"background_file": true}, then its bytes'
_REFUSED: Final = {
    BackgroundKind.TRANSPARENT: "frames are JPEG, which shows nothing through; use color:white"
    " or alike",
    BackgroundKind.FILE: _SEND_IT,
    BackgroundKind.URL: f"live video fetches nothing; {_SEND_IT}",
}


def read(text: str) -> Background:
    """Return the background that is asked for.  Raises ValueError, which says what to do."""
    kind, _, value = text.partition(":")
    if kind == BackgroundKind.PRESET and "/" in value:
        raise ValueError(f"live video has the generated designs alone; {_SEND_IT}")
    asked = words.read(text)
    if asked.kind in _REFUSED:
        raise ValueError(_REFUSED[asked.kind])
    if asked.kind == BackgroundKind.COLOR and _shows_through(asked.value or ""):
        raise ValueError("frames are JPEG, which shows nothing through; use an opaque colour")
    return asked


def _shows_through(css_colour: str) -> bool:
    return Color(css_colour).alpha(nans=False) < 1
