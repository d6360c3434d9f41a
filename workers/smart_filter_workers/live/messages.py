"""Parse and format the messages between clients and a live worker (docs/live.md)."""

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Any, Final

from smart_filter_shared import live
from smart_filter_shared.errors import (
    Error,
    FieldError,
    InvalidRecipe,
    MalformedRequest,
    Unauthorized,
)
from smart_filter_shared.live import RENEWAL_SECONDS
from smart_filter_shared.recipe import Background, BackgroundKind
from smart_filter_workers.live.frames import (
    MAX_FRAME_BYTES,
    MAX_FRAME_PIXELS,
    MAX_PICTURE_BYTES,
    MAX_SIDE_PX,
)
from smart_filter_workers.live.pipeline import RenderedFrame

# The subprotocol that a client offers, with a token as the second one, in the handshake.
SUBPROTOCOL: Final = "smart-filter-live"
HELLO_SECONDS: Final = 5.0
IDLE_SECONDS: Final = 30.0
SESSION_SECONDS: Final = 3600.0
# Limit of a text message.  The longest hold a token, or 480 characters of keywords, each written as
# an escape such as \ud83d\ude00.
MAX_TEXT_CHARACTERS: Final = 16_384
FILE_BACKGROUND: Final = Background(BackgroundKind.FILE)

_FRAME_NUMBER: Final = struct.Struct(">I")
_MIN_SIDE_PX: Final = 64
# Frames a second: the rate of slow-motion recordings.
_MAX_FRAME_RATE: Final = 240


class CloseCode(IntEnum):
    """Why a worker closes a connection.  Source: RFC 6455, 7.4; codes from 4000 on are our own."""

    DEFECT = 1011
    UNREADABLE = 4400
    UNAUTHORIZED = 4401
    SILENT = 4408
    OVER = 4410
    FULL = 4429


@dataclass(frozen=True, slots=True)
class AnotherToken:
    """A message that extends the connection."""

    token: str


@dataclass(frozen=True, slots=True)
class Hello:
    """The first message.

    background: None if it names none; max_side_px: of its frames; rate: frames a second of a
    recording, None for a live camera.
    """

    background: Background | None
    max_side_px: int
    rate: float | None


def parse_subprotocols(offered: Sequence[str]) -> str:
    """Return the token of a handshake's subprotocols.  Raises Unauthorized without one."""
    match offered:
        case [name, token] if name == SUBPROTOCOL:
            return token
    raise Unauthorized(
        f"offer the subprotocols {SUBPROTOCOL} and a token of POST /v1/live", pointer="/token"
    )


def parse_hello(text: str) -> Hello:
    """Parse the first message.  Raises MalformedRequest, InvalidRecipe."""
    fields = _parse_message(text, fields={"background", "max_side", "rate"})
    side = fields.get("max_side", MAX_SIDE_PX)
    # `type`, because bool is a subclass of int.
    if type(side) is not int or not _MIN_SIDE_PX <= side <= MAX_SIDE_PX:
        raise MalformedRequest(
            f"max_side must be a whole number from {_MIN_SIDE_PX} to {MAX_SIDE_PX}",
            pointer="/max_side",
        )
    rate = fields.get("rate")
    if rate is not None and (type(rate) not in (int, float) or not 1 <= rate <= _MAX_FRAME_RATE):
        raise MalformedRequest(
            f"rate must be the frames a second of a recording, from 1 to {_MAX_FRAME_RATE}",
            pointer="/rate",
        )
    asked = _background(fields["background"]) if "background" in fields else None
    return Hello(asked, side, rate)


def parse_change(text: str) -> Background | AnotherToken:
    """Parse a later message; FILE_BACKGROUND: the next binary message holds the background.

    Raises MalformedRequest, InvalidRecipe.
    """
    fields = _parse_message(text, fields={"background", "background_file", "token"})
    if len(fields) != 1 or fields.get("background_file", True) is not True:
        raise MalformedRequest(
            'send {"background": "…"}, {"background_file": true} or {"token": "…"}'
        )
    token = fields.get("token")
    if isinstance(token, str):
        return AnotherToken(token)
    if "token" in fields:
        raise MalformedRequest("a token is text", pointer="/token")
    return FILE_BACKGROUND if "background_file" in fields else _background(fields["background"])


def parse_background(text: str) -> Background:
    """Parse a background.  Raises InvalidRecipe."""
    try:
        return live.parse_background(text)
    except ValueError as error:
        raise InvalidRecipe([FieldError("/background", str(error))]) from None


def split_frame(message: bytes) -> tuple[int, bytes]:
    """Return a frame's number and its file.  Raises MalformedRequest."""
    if len(message) <= _FRAME_NUMBER.size:
        raise MalformedRequest("a frame is 4 bytes, its number, and then a JPEG or WebP")
    (number,) = _FRAME_NUMBER.unpack_from(message)
    return number, message[_FRAME_NUMBER.size :]


def join_frame(number: int, content: bytes) -> bytes:
    """Return the message of a frame: its number, then the file."""
    return _FRAME_NUMBER.pack(number) + content


def format_ready(background: Background, *, max_side_px: int) -> str:
    """Return the worker's first message."""
    limits = {
        "max_side": max_side_px,
        "max_pixels": MAX_FRAME_PIXELS,
        "max_frame_bytes": MAX_FRAME_BYTES,
        "max_background_bytes": MAX_PICTURE_BYTES,
        "idle_seconds": IDLE_SECONDS,
        "token_seconds": RENEWAL_SECONDS,
        "session_seconds": SESSION_SECONDS,
    }
    return _to_json({"type": "ready", "background": str(background), "limits": limits})


def format_frame(
    number: int, developed: RenderedFrame, *, milliseconds: float, dropped: int
) -> str:
    """Return the message about the content of a frame."""
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
    return _to_json(
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


def format_backdrop(
    asked: Background, *, name: str | None = None, reason: str | None = None
) -> str:
    """Return the message about the background that is used from now on."""
    fields = {"type": "background", "background": str(asked), "name": name, "reason": reason}
    return _to_json(fields)


def format_shutter(number: int, *, score: float) -> str:
    """Return the message about the best frame of a moment."""
    return _to_json({"type": "shutter", "frame": number, "score": round(score, 4)})


def format_error(error: Error, *, number: int | None = None) -> str:
    """Return the message about an error."""
    fields: dict[str, object] = {"type": "error", "code": error.code, "detail": str(error)}
    return _to_json(fields if number is None else {**fields, "frame": number})


def _background(value: object) -> Background:
    if not isinstance(value, str):
        raise InvalidRecipe([FieldError("/background", "a background is text, such as auto")])
    return parse_background(value)


def _parse_message(text: str, *, fields: set[str]) -> Mapping[str, Any]:  # JSON holds any type
    if len(text) > MAX_TEXT_CHARACTERS:
        raise MalformedRequest(f"a message has at most {MAX_TEXT_CHARACTERS} characters")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise MalformedRequest("a message must be JSON, or a binary frame") from None
    if not isinstance(document, dict):
        raise MalformedRequest("a message must be a JSON object")
    unknown = sorted(set(document) - fields)
    if unknown:
        names = ", ".join(map(ascii, unknown))[:100]
        raise MalformedRequest(f"{names}: unknown here; known: {', '.join(sorted(fields))}")
    return document


def _to_json(fields: Mapping[str, object]) -> str:
    return json.dumps(fields, separators=(",", ":"))
