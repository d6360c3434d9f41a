"""Messages: what clients and a live worker say to each other (docs/live.md)."""

import json
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Any, Final

from smart_filter_shared.errors import Error, FieldError, InvalidRecipe, MalformedRequest
from smart_filter_shared.live import backgrounds
from smart_filter_shared.recipe import Background, BackgroundKind
from smart_filter_workers.live import frames
from smart_filter_workers.live.film import Developed

HELLO_SECONDS: Final = 5.0
IDLE_SECONDS: Final = 30.0
SESSION_SECONDS: Final = 3600.0
# Of any message that is text.  The longest is a first one: a token, and 480 characters of keywords,
# each written as \ud83d\ude00 or alike.
MAX_TEXT_CHARACTERS: Final = 16_384
FILE: Final = Background(BackgroundKind.FILE)

_NUMBER: Final = struct.Struct(">I")
_LEAST_SIDE_PX: Final = 64
# Frames a second: what slow motion is recorded at.
_FASTEST: Final = 240


class Close(IntEnum):
    """Why a worker ends a connection.  Source: RFC 6455, 7.4; from 4000 on our own."""

    DEFECT = 1011
    UNREADABLE = 4400
    UNAUTHORIZED = 4401
    SILENT = 4408
    OVER = 4410
    FULL = 4429


@dataclass(frozen=True, slots=True)
class Hello:
    """The first message.

    background: None where it names none; max_side_px: of its frames; rate: frames a second of a
    film that was recorded, None of one that is filmed now.
    """

    token: str
    background: Background | None
    max_side_px: int
    rate: float | None


def hello(text: str) -> Hello:
    """Read the first message.  Raises MalformedRequest, InvalidRecipe."""
    said = _read(text, known={"token", "background", "max_side", "rate"})
    token, side = said.get("token"), said.get("max_side", frames.MAX_SIDE_PX)
    if not isinstance(token, str):
        raise MalformedRequest('the first message is {"token": "…"}', pointer="/token")
    # bool is an int for Python.
    if type(side) is not int or not _LEAST_SIDE_PX <= side <= frames.MAX_SIDE_PX:
        raise MalformedRequest(
            f"max_side is a whole number from {_LEAST_SIDE_PX} to {frames.MAX_SIDE_PX}",
            pointer="/max_side",
        )
    rate = said.get("rate")
    if rate is not None and (type(rate) not in (int, float) or not 1 <= rate <= _FASTEST):
        raise MalformedRequest(
            f"rate is the recorded frames a second, from 1 to {_FASTEST}", pointer="/rate"
        )
    asked = _background(said["background"]) if "background" in said else None
    return Hello(token, asked, side, rate)


def change(text: str) -> Background:
    """Read which background a client wants now; `FILE`: what its next binary message holds.

    Raises MalformedRequest, InvalidRecipe.
    """
    said = _read(text, known={"background", "background_file"})
    if len(said) != 1 or said.get("background_file", True) is not True:
        raise MalformedRequest('send {"background": "…"} or {"background_file": true}')
    return FILE if "background_file" in said else _background(said["background"])


def background(text: str) -> Background:
    """Read a background.  Raises InvalidRecipe."""
    try:
        return backgrounds.read(text)
    except ValueError as error:
        raise InvalidRecipe([FieldError("/background", str(error))]) from None


def parted(message: bytes) -> tuple[int, bytes]:
    """Return a frame's number and its file.  Raises MalformedRequest."""
    if len(message) <= _NUMBER.size:
        raise MalformedRequest("a frame is 4 bytes, its number, and then a JPEG or WebP")
    (number,) = _NUMBER.unpack_from(message)
    return number, message[_NUMBER.size :]


def joined(number: int, content: bytes) -> bytes:
    """Return a frame as it is sent: its number, then the file."""
    return _NUMBER.pack(number) + content


def ready(background: Background, *, max_side_px: int) -> str:
    """Return the worker's first message."""
    limits = {
        "max_side": max_side_px,
        "max_pixels": frames.MAX_FRAME_PIXELS,
        "max_frame_bytes": frames.MAX_FRAME_BYTES,
        "max_background_bytes": frames.MAX_PICTURE_BYTES,
        "idle_seconds": IDLE_SECONDS,
        "session_seconds": SESSION_SECONDS,
    }
    return _written({"type": "ready", "background": str(background), "limits": limits})


def frame(number: int, developed: Developed, *, milliseconds: float, dropped: int) -> str:
    """Return what was seen in a frame."""
    seen = developed.seen
    faces = [
        {
            "box": [round(side, 2) for side in face.box],
            "score": round(face.score, 4),
            "smile": {"level": smile.level, "score": round(smile.score, 4)},
            "eyes": asdict(eyes),
        }
        for face, smile, eyes in zip(
            seen.faces.faces, seen.smiles.smiles, seen.smiles.eyes, strict=True
        )
    ]
    return _written(
        {
            "type": "frame",
            "frame": number,
            "width": developed.width,
            "height": developed.height,
            "people": developed.people,
            "faces": faces,
            "rating": None if developed.rating is None else asdict(developed.rating),
            "ms": round(milliseconds, 1),
            "dropped": dropped,
        }
    )


def backdrop(asked: Background, *, name: str | None = None, reason: str | None = None) -> str:
    """Return which background stands behind people from now on."""
    said = {"type": "background", "background": str(asked), "name": name, "reason": reason}
    return _written(said)


def shutter(number: int, *, score: float) -> str:
    """Return which frame was the best of a moment."""
    return _written({"type": "shutter", "frame": number, "score": round(score, 4)})


def error(error: Error, *, number: int | None = None) -> str:
    """Return what could not be done, and what to do."""
    said: dict[str, object] = {"type": "error", "code": error.code, "detail": str(error)}
    return _written(said if number is None else {**said, "frame": number})


def _background(said: object) -> Background:
    if not isinstance(said, str):
        raise InvalidRecipe([FieldError("/background", "a background is text, such as auto")])
    return background(said)


def _read(text: str, *, known: set[str]) -> Mapping[str, Any]:  # whatever JSON can say
    if len(text) > MAX_TEXT_CHARACTERS:
        raise MalformedRequest(f"a message has at most {MAX_TEXT_CHARACTERS} characters")
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        raise MalformedRequest("a message is JSON, or a frame in a binary message") from None
    if not isinstance(said, dict):
        raise MalformedRequest("a message is a JSON object")
    unknown = sorted(set(said) - known)
    if unknown:
        told = ", ".join(map(ascii, unknown))[:100]
        raise MalformedRequest(f"{told}: here a message has {', '.join(sorted(known))}")
    return said


def _written(said: Mapping[str, object]) -> str:
    return json.dumps(said, separators=(",", ":"))
