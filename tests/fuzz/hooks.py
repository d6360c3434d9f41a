"""Hooks of Schemathesis: pictures, corrections that fit a photo, and excluded requests.

Schemathesis itself loads this file, as schemathesis.toml says.
"""

import base64
import datetime as dt
import io
import os
import re
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import schemathesis
from hypothesis import strategies
from PIL import Image
from schemathesis.core.parameters import ParameterLocation

# Small, with a person.
_SIZE = (96, 96)
_PORTRAIT = Path(__file__).parents[1] / "data" / "astronaut.png"


def _picture(format_: str, *, mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    with Image.open(_PORTRAIT) as portrait:
        portrait.convert(mode).resize(_SIZE).save(buffer, format_)
    return buffer.getvalue()


_KEY = "Idempotency-Key"
_PREFER = "Prefer"
_VALID_KEY = re.compile(r"[!#-~]{1,200}")
_PHOTO = base64.b64encode(_picture("JPEG")).decode()
_MASK = base64.b64encode(_picture("PNG", mode="L")).decode()
_PHOTOS = ("photo_base64", "image_file_b64")
# Shorter texts are no photo in any schema.
_LEAST_CHARACTERS = 4
# The key of all requests, set by the test that runs this.
OWN_KEY, OWN_KEY_ID = "FUZZ_KEY", "FUZZ_KEY_ID"
_OWN_TENANT, _SPARE_TENANT = "local", "fuzz"
# An existing queue that no photo here uses.
_SPARE_QUEUE = "segmentation.grabcut"
_QUEUE = re.compile(r"(prepare|segmentation|face|smile|composite)\.[a-z0-9]+")
# The subject of each kind of correction, and its allowed fields.
_CORRECTIONS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "matte": ("segmentation", ("mask", "strokes")),
    "label": ("smile", ("label",)),
}

for _media_type, _format in {"jpeg": "JPEG", "png": "PNG", "webp": "WEBP"}.items():
    schemathesis.openapi.media_type(f"image/{_media_type}", strategies.just(_picture(_format)))
schemathesis.openapi.media_type("application/octet-stream", strategies.just(_picture("JPEG")))
# Reserved names (RFC 2606): requests to them reach no server.
schemathesis.openapi.format(
    "uri",
    strategies.sampled_from(
        ["https://told.invalid/", "http://told.invalid:8080/a?b=c", "https://a.example.invalid/x"]
    ),
)


@schemathesis.hook
def map_headers(_: schemathesis.HookContext, headers: object) -> object:
    """Draw a new Idempotency-Key for each request, as clients do; wait for some of the jobs.

    A repeated key would return objects that were deleted since.
    """
    if not isinstance(headers, Mapping):
        return headers
    said = dict(headers)
    if _VALID_KEY.fullmatch(str(said.get(_KEY, ""))):
        said[_KEY] = f"{said[_KEY]}-{uuid.uuid4()}"
    # Every second one: later requests then find a job that has ended.
    if len(str(said.get(_PREFER, "x"))) % 2 == 0:
        said[_PREFER] = "wait=1"
    return said


@schemathesis.hook
def map_body(_: schemathesis.HookContext, body: object) -> object:
    """Put a photo in place of any base64 text."""
    if not isinstance(body, dict):
        return body
    items = body.get("items")
    if isinstance(items, list):
        return {**body, "items": [_with_photo(item) for item in items]}
    return _with_photo(body)


def _with_photo(body: object) -> object:
    if not isinstance(body, dict):
        return body
    given = {
        name: _PHOTO
        for name in _PHOTOS
        if isinstance(body.get(name), str) and len(body[name]) >= _LEAST_CHARACTERS
    }
    return {**body, **given}


@schemathesis.hook
def filter_case(_: schemathesis.HookContext, case: schemathesis.Case[Any]) -> bool:
    """Keep the key of all requests from being revoked."""
    named = str((case.path_parameters or {}).get("key_id", ""))
    return named.replace("-", "").lower() != os.environ[OWN_KEY_ID].replace("-", "")


@schemathesis.hook
def map_case(_: schemathesis.HookContext, case: schemathesis.Case[Any]) -> schemathesis.Case[Any]:
    """Add constraints that schemas cannot state, so that more than validation is tried.

    Intentionally wrong requests stay wrong. Changes of the fuzzed tenant, such as its rate limit,
    apply to another tenant, and an operator stops only unused queues.
    """
    name = case.operation.definition.raw.get("operationId")
    if name in ("updateTenant", "cancelTenantJobs"):
        if case.path_parameters.get("tenant") == _OWN_TENANT:
            case.path_parameters["tenant"] = _SPARE_TENANT
    elif name == "pauseQueue" and _QUEUE.fullmatch(str(case.path_parameters.get("capability"))):
        case.path_parameters["capability"] = _SPARE_QUEUE
    elif name == "drainWorker" and _is_id(case.path_parameters.get("worker_id")):
        case.path_parameters["worker_id"] = str(uuid.uuid4())
    if not isinstance(case.body, dict) or not _is_meant_well(case):
        return case
    if name == "createCorrection":
        case.body = _fitting(case.body)
    if name in ("submitJob", "createBatch") and "webhook_url" in case.body:
        # A job to cancel.
        next_week = dt.datetime.now(dt.UTC) + dt.timedelta(days=7)
        later = {"run_at": next_week.isoformat(timespec="seconds")}
        in_json = case.media_type == "application/json"
        case.body = {**case.body, **({"recipe": later} if in_json else later)}
    if name == "signIn" and "key" in case.body:
        case.body = {"key": os.environ[OWN_KEY]}
    return case


def _is_id(text: object) -> bool:
    try:
        uuid.UUID(str(text))
    except ValueError:
        return False
    return True


def _is_meant_well(case: schemathesis.Case[Any]) -> bool:
    body = None if case.meta is None else case.meta.components.get(ParameterLocation.BODY)
    return body is not None and body.mode.is_positive


def _fitting(correction: Mapping[str, Any]) -> dict[str, Any]:
    """Return a correction of the photos sent here, as near to the given one as possible."""
    stage, forms = _CORRECTIONS.get(correction.get("kind", ""), _CORRECTIONS["matte"])
    kept = {name: correction[name] for name in ("kind", "consent") if name in correction}
    form = next((form for form in forms if correction.get(form) is not None), forms[0])
    drawn = correction.get(form)
    if form == "strokes" and isinstance(drawn, list):
        drawn = [_within(stroke) for stroke in drawn]
    if form == "mask":
        drawn = _MASK
    return {**kept, "stage": stage, form: drawn}


def _within(stroke: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stroke that stays within the photo."""
    points = [
        [abs(value) % side for value, side in zip(point, _SIZE, strict=True)]
        for point in stroke["points"]
    ]
    return {**stroke, "points": points}
