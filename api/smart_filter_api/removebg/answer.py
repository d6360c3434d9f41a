"""What became of a photo, as clients of remove.bg read it: bytes or JSON, and headers."""

import base64
import json
from collections.abc import Iterator
from typing import Final

from fastapi import Response
from fastapi.responses import StreamingResponse

from smart_filter_api import answers
from smart_filter_api.deps import Services
from smart_filter_api.objects import Sent
from smart_filter_api.removebg.errors import Refused, refused
from smart_filter_api.removebg.fields import Wish
from smart_filter_api.schemas.jobs import JobAnswer
from smart_filter_shared.errors import ObjectMissing
from smart_filter_shared.jobs.queries import JobRow, Json
from smart_filter_shared.jobs.states import JobState
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.recipe import Crop, framing

JSON: Final = "application/json"
# Nothing else is cut out here.
PERSON: Final = "person"
_TRIPLE: Final = 3

# What their interface calls our failures; those of a stage of its own below.
_CODES: Final = {
    "no_person": "unknown_foreground",
    "image_unreadable": "failed_to_read_image",
    "image_too_large": "resolution_too_high",
    "photo_unreachable": "failed_image_download",
    "unavailable": "unavailable",
    "deadline": "timeout",
    "inputs_expired": "unavailable",
}
# Composing reads no photo for the first time: what it cannot have is the background.
_OF_BACKGROUND: Final = {
    "photo_unreachable": "failed_bg_download",
    "image_unreadable": "failed_bg_download",
    "image_too_large": "failed_bg_download",
}


async def of(
    services: Services,
    job: JobRow,
    wish: Wish,
    *,
    as_json: bool,
    price: float,
    sent: Sent | None = None,
) -> Response:
    """Return the answer for a job that has ended.

    price: what a megapixel costs, in credits.  sent: how it is sent, where something follows.
    Raises Refused, StorageUnavailable.
    """
    if job.state != JobState.SUCCEEDED:
        raise _failure(job)
    if job.expired_at is not None:
        raise _gone()
    shown = answers.job(job, services.keeping)
    if shown.photo is not None:
        fault = wish.region.fault(shown.photo.width, shown.photo.height)
        if fault is not None:
            raise Refused([fault])
    file = answers.file(job, wish.output)
    where = _foreground(shown)
    if file is None or where is None:
        raise refused("unknown_foreground", "nobody was found in the image")
    try:
        pieces = await services.in_thread(services.storage.stream, str(file["key"]))
    except ObjectMissing as error:
        raise _gone() from error
    headers = {
        **_sizes(shown, file),
        **{f"X-Foreground-{name.capitalize()}": str(value) for name, value in where.items()},
        "X-Credits-Charged": str(_credits(shown, price)),
        **({"X-Type": PERSON} if wish.tells_type else {}),
        "Vary": "Accept",
    }
    length = int(file["bytes"])
    if not as_json:
        headers["Content-Length"] = str(length)
        return _streamed(pieces, sent, file["media_type"], headers)
    told = {f"foreground_{name}": value for name, value in where.items()}
    start = b'{"data":{"result_b64":"'
    end = b'",' + json.dumps(told).encode().removeprefix(b"{") + b"}"
    headers["Content-Length"] = str(len(start) + -(-length // _TRIPLE) * 4 + len(end))
    return _streamed(_wrapped(start, pieces, end), sent, JSON, headers)


def wants_json(accept: str) -> bool:
    """Whether a client would rather have JSON than a picture.

    `application/json` must be named, and no kind of picture before it or with more weight.
    Source: RFC 9110, 12.5.1.
    """
    best: dict[bool, tuple[float, int]] = {}
    for place, named in enumerate(accept.lower().split(",")):
        kind, *parameters = (part.strip() for part in named.split(";"))
        is_json = kind == JSON
        if not is_json and not kind.startswith("image/") and kind != "application/zip":
            continue
        weight = next((one[2:] for one in parameters if one.startswith("q=")), "1")
        try:
            rank = (float(weight), -place)
        except ValueError:
            continue
        best[is_json] = max(best.get(is_json, (0.0, 0)), rank)
    json_rank = best.get(True, (0.0, 0))
    return json_rank[0] > 0 and json_rank > best.get(False, (0.0, 0))


def _streamed(
    pieces: Iterator[bytes], sent: Sent | None, media_type: str, headers: dict[str, str]
) -> Response:
    content = pieces if sent is None else sent(pieces)
    return StreamingResponse(content, media_type=media_type, headers=headers)


def _gone() -> Refused:
    return refused("unavailable", "the result is not kept any more; send the request again")


def _failure(job: JobRow) -> Refused:
    error = job.error or {"code": "unavailable", "detail": "it was canceled", "stage": None}
    code = str(error["code"])
    named = _CODES.get(code, "internal")
    if error["stage"] == StageName.COMPOSITE:
        named = _OF_BACKGROUND.get(code, named)
        if named == "failed_bg_download" and job.background_key is not None:
            named = "failed_to_read_image"
    return refused(named, str(error["detail"]))


def _credits(shown: JobAnswer, price: float) -> float:
    photo = shown.photo
    return 0.0 if photo is None else round(price * photo.width * photo.height / 1_000_000, 2)


def _foreground(shown: JobAnswer) -> dict[str, int] | None:
    """Return where the people are, in pixels of the upright photo; None for nobody."""
    frame = shown.frame
    if frame is None or frame.foreground is None:
        return None
    x, y, width, height = frame.foreground
    return {
        "top": round((y - frame.top) / frame.scale),
        "left": round((x - frame.left) / frame.scale),
        "width": max(1, round(width / frame.scale)),
        "height": max(1, round(height / frame.scale)),
    }


def _sizes(shown: JobAnswer, file: Json) -> dict[str, str]:
    """Return how large the picture is, and how large it could be had."""
    width, height = _most(shown, file)
    return {
        "X-Width": str(file["width"]),
        "X-Height": str(file["height"]),
        "X-Max-Width": str(width),
        "X-Max-Height": str(height),
    }


def _most(shown: JobAnswer, file: Json) -> tuple[int, int]:
    """Return the size with `size=full`: the photo's, or of what is cropped from it."""
    width, height = int(file["width"]), int(file["height"])
    if shown.photo is None or shown.frame is None:
        return width, height
    if shown.recipe.crop == Crop.NONE:
        return shown.photo.width, shown.photo.height
    if shown.recipe.scale == "original" or shown.frame.foreground is None:
        larger = 1 / shown.frame.scale
    else:
        # The people are scaled on their own; what was cropped is as wide as they and the margin.
        people = shown.frame.foreground[2] / shown.frame.scale
        _, right, _, left = framing.read_margin(shown.recipe.margin)
        larger = (people + left.of(people) + right.of(people)) / width
    larger = max(1.0, larger)
    return round(larger * width), round(larger * height)


def _wrapped(start: bytes, pieces: Iterator[bytes], end: bytes) -> Iterator[bytes]:
    """Yield pieces as base64 between two texts, never more than a piece of them in memory."""
    yield start
    left = b""
    for piece in pieces:
        left += piece
        whole = len(left) - len(left) % _TRIPLE
        yield base64.b64encode(left[:whole])
        left = left[whole:]
    yield base64.b64encode(left) + end
