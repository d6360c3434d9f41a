"""Render the result of a job for remove.bg clients: bytes or JSON, with remove.bg's headers."""

import base64
import json
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final

from fastapi import Response
from fastapi.responses import StreamingResponse

from smart_filter_api.presenters import job as presenters_job
from smart_filter_api.removebg.errors import RequestRefused, refusal
from smart_filter_api.removebg.fields import PERSON_CLASS, RemovalOptions
from smart_filter_api.responses import output as responses_output
from smart_filter_api.responses.output import StreamWrapper
from smart_filter_api.services.container import Services
from smart_filter_api.submission import recipe_parser
from smart_filter_shared.errors import ObjectMissing
from smart_filter_shared.jobs.queries import JobRow, Json
from smart_filter_shared.model_registry import published_models
from smart_filter_shared.model_registry.published_models import PublishedModel
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.queue.states import JobState
from smart_filter_shared.recipe import Crop, Subject, framing
from smart_filter_wire.findings import Frame
from smart_filter_wire.jobs import Job

JSON: Final = "application/json"
_BASE64_GROUP_BYTES: Final = 3

# remove.bg's error code for each failure code of a job.
_CODES: Final = {
    "no_person": "unknown_foreground",
    "image_unreadable": "failed_to_read_image",
    "image_too_large": "resolution_too_high",
    "photo_unreachable": "failed_image_download",
    "unavailable": "unavailable",
    "deadline": "timeout",
    "inputs_expired": "unavailable",
}
# Overrides for the stage `composite`: earlier stages have read the photo, so a failure there
# concerns the background.
_BACKGROUND_CODES: Final = {
    "photo_unreachable": "failed_bg_download",
    "image_unreadable": "failed_bg_download",
    "image_too_large": "failed_bg_download",
}


async def render_result(
    services: Services,
    job: JobRow,
    payload: RemovalOptions,
    *,
    as_json: bool,
    price: float,
    sent: StreamWrapper | None = None,
) -> Response:
    """Return the answer for a job that has ended.

    price: credits per megapixel.  sent: wraps the pieces, to do something after the last one.
    Raises RequestRefused, StorageUnavailable.
    """
    if job.state != JobState.SUCCEEDED:
        raise _error_of_job(job)
    if job.expired_at is not None:
        raise _result_expired()
    shown = presenters_job.render_job(job, links=None, emotions=services.settings.engine.emotions)
    if shown.photo is not None:
        fault = payload.region.fault(shown.photo.width, shown.photo.height)
        if fault is not None:
            raise RequestRefused([fault])
    file = presenters_job.find_output_file(job, payload.output)
    where = _foreground(shown)
    if file is None or where is None:
        published = await recipe_parser.list_known(services)
        raise refusal("unknown_foreground", _describe_empty(job, published))
    try:
        length = int(file["bytes"])
        stream = partial(services.storage.stream, most=length, length=length)
        pieces = await responses_output.read_stored_object(services, stream, str(file["key"]))
    except ObjectMissing as error:
        raise _result_expired() from error
    headers = {
        **_size_headers(shown, file),
        **{f"X-Foreground-{name.capitalize()}": str(value) for name, value in where.items()},
        "X-Credits-Charged": str(_charged_credits(shown, price)),
        **_type_header(shown, payload),
        "Vary": "Accept",
    }
    if not as_json:
        headers["Content-Length"] = str(length)
        return _stream_response(pieces, sent, file["media_type"], headers)
    foreground = {f"foreground_{name}": value for name, value in where.items()}
    start = b'{"data":{"result_b64":"'
    end = b'",' + json.dumps(foreground).encode().removeprefix(b"{") + b"}"
    headers["Content-Length"] = str(len(start) + -(-length // _BASE64_GROUP_BYTES) * 4 + len(end))
    return _stream_response(_encode_base64(start, pieces, end), sent, JSON, headers)


def wants_json(accept: str) -> bool:
    """Whether an Accept header prefers JSON to a picture.

    It must name `application/json`, and no image type before it or with more weight.
    Source: RFC 9110, 12.5.1.
    """
    best: dict[bool, tuple[float, int]] = {}
    for place, media_range in enumerate(accept.lower().split(",")):
        kind, *parameters = (part.strip() for part in media_range.split(";"))
        is_json = kind == JSON
        if not is_json and not kind.startswith("image/") and kind != "application/zip":
            continue
        weight = next(
            (parameter[2:] for parameter in parameters if parameter.startswith("q=")), "1"
        )
        try:
            rank = (float(weight), -place)
        except ValueError:
            continue
        best[is_json] = max(best.get(is_json, (0.0, 0)), rank)
    json_rank = best.get(True, (0.0, 0))
    return json_rank[0] > 0 and json_rank > best.get(False, (0.0, 0))


def _type_header(shown: Job, payload: RemovalOptions) -> dict[str, str]:
    if not payload.object_type or shown.subject is None:
        return {}
    return {"X-Type": PERSON_CLASS if shown.subject == "people" else payload.object_type}


def _stream_response(
    pieces: Iterator[bytes], sent: StreamWrapper | None, media_type: str, headers: dict[str, str]
) -> Response:
    content = pieces if sent is None else sent(pieces)
    return StreamingResponse(content, media_type=media_type, headers=headers)


def _result_expired() -> RequestRefused:
    return refusal("unavailable", "the result has expired; send the request again")


def _describe_empty(job: JobRow, published: Sequence[PublishedModel]) -> str:
    if presenters_job.has_any_subject(presenters_job.read_findings(job)):
        return "nothing in the image stands out"
    faults = published_models.list_faults(model for model in published if model.card.without_people)
    if job.recipe.subject != Subject.AUTO or not faults:
        return "no person was found in the image"
    (_, name), fault = next(iter(faults.items()))
    return f"no person was found in the image, and other subjects need the model {name}: {fault}"


def _error_of_job(job: JobRow) -> RequestRefused:
    error = job.error or {"code": "unavailable", "detail": "the job was canceled", "stage": None}
    code = str(error["code"])
    name = _CODES.get(code, "internal")
    if error["stage"] == StageName.COMPOSITE:
        name = _BACKGROUND_CODES.get(code, name)
        if name == "failed_bg_download" and job.background_key is not None:
            name = "failed_to_read_image"
    return refusal(name, str(error["detail"]))


def _charged_credits(shown: Job, price: float) -> float:
    photo = shown.photo
    return 0.0 if photo is None else round(price * photo.width * photo.height / 1_000_000, 2)


def _foreground(shown: Job) -> dict[str, int] | None:
    """Return the box around the people, in pixels of the upright photo; None without people."""
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


def _size_headers(shown: Job, file: Json) -> dict[str, str]:
    """Return headers with the size of the picture, and its size with `size=full`."""
    width, height = _full_size(shown, file)
    return {
        "X-Width": str(file["width"]),
        "X-Height": str(file["height"]),
        "X-Max-Width": str(width),
        "X-Max-Height": str(height),
    }


def _full_size(shown: Job, file: Json) -> tuple[int, int]:
    """Return the size with `size=full`: the size of the photo, or of the crop."""
    width, height = int(file["width"]), int(file["height"])
    if shown.photo is None or shown.frame is None:
        return width, height
    if shown.recipe["crop"] == Crop.NONE:
        return shown.photo.width, shown.photo.height
    if shown.recipe["scale"] == "original" or shown.frame.foreground is None:
        larger = 1 / shown.frame.scale
    else:
        # The people are scaled separately; the crop is as wide as the people and their margins.
        larger = _crop_width(shown.recipe["margin"], shown.frame, shown.photo.width) / width
    larger = max(1.0, larger)
    return round(larger * width), round(larger * height)


def _crop_width(margin: str, frame: Frame, photo_width: int) -> float:
    """Return the width in pixels of the photo of the crop around the people."""
    assert frame.foreground is not None
    people = frame.foreground[2] / frame.scale
    left_gap = (frame.foreground[0] - frame.left) / frame.scale
    gaps = (left_gap, photo_width - left_gap - people)
    _, right, _, left = framing.read_margin(margin)
    # A border that cuts the people off bounds the crop.
    near = framing.TOUCHES_WITHIN * photo_width + 1
    return people + sum(
        min(side.to_px(people), max(gap, 0.0)) if gap < near else side.to_px(people)
        for side, gap in zip((left, right), gaps, strict=True)
    )


def _encode_base64(start: bytes, pieces: Iterator[bytes], end: bytes) -> Iterator[bytes]:
    """Yield pieces as base64 between two texts, with at most one piece in memory."""
    yield start
    left = b""
    for piece in pieces:
        left += piece
        whole = len(left) - len(left) % _BASE64_GROUP_BYTES
        yield base64.b64encode(left[:whole])
        left = left[whole:]
    yield base64.b64encode(left) + end
