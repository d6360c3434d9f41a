"""Corrections as they arrive: judged against the job that they correct, then kept."""

import base64
import binascii
import json
import struct
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from sqlalchemy import Connection

from smart_filter_api import submission
from smart_filter_api.deps import Services
from smart_filter_api.keys import Caller
from smart_filter_api.schemas.deriving import CorrectionRequest, StrokeRequest
from smart_filter_shared.errors import (
    Conflict,
    FieldError,
    InputsExpired,
    InvalidRequest,
    JobDeleted,
    JobNotFinished,
    Rejected,
)
from smart_filter_shared.ids import new_correction_id
from smart_filter_shared.jobs import corrections, retention
from smart_filter_shared.jobs.corrections import (
    MOST_MASK_BYTES,
    MOST_OF_A_JOB,
    MOST_POINTS_DRAWN,
    Correction,
)
from smart_filter_shared.jobs.queries import JobRow
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.storage import keys

# What a PNG begins with: its signature, and IHDR with width, height, depth and colour type.
# Source: W3C PNG, 5.2 and 11.2.1.
_PNG: Final = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
_GREY: Final = (8, 0)
_STAGES: Final = {"matte": "segmentation", "label": "smile"}
_FORMS: Final = {"matte": ("mask", "strokes"), "label": ("label",)}


@dataclass(frozen=True, slots=True)
class _Drawn:
    """What is stored of a correction: its bytes, None of a label; points: of all its strokes."""

    form: str
    content: bytes | None
    media_type: str
    points: int = 0


@asynccontextmanager
async def stored(
    services: Services, caller: Caller, job: JobRow, asked: CorrectionRequest
) -> AsyncIterator[Callable[[Connection], Correction]]:
    """Store what was drawn, and yield what writes its row; what is refused then is not kept.

    Raises InvalidRequest naming what is wrong, JobNotFinished, StorageUnavailable; what writes
    raises InputsExpired when the photo is gone, JobDeleted when the job is, and InvalidRequest for
    one too many.
    """
    if job.finished_at is None:
        raise JobNotFinished(f"job {job.id} is {job.state}; correct it when it has ended")
    drawn = _judged(job, asked)
    correction_id = new_correction_id()
    key = None
    if drawn.content is not None:
        key = keys.correction(job.tenant, job.id, correction_id)
        await services.in_thread(
            services.storage.put,
            key,
            drawn.content,
            length=len(drawn.content),
            media_type=drawn.media_type,
        )
    models = next(stage.models for stage in job.stages if stage.name == asked.stage)
    label = None if asked.label is None else asked.label.model_dump(mode="json")

    def write(connection: Connection) -> Correction:
        if not corrections.hold(connection, job.id):
            raise JobDeleted(f"job {job.id} was deleted; nothing of it is kept")
        if job.photo_key is None or not retention.is_kept(connection, job.tenant, job.photo_key):
            raise InputsExpired(f"the photo of job {job.id} is not kept any more")
        if len(corrections.of_job(connection, job.id)) >= MOST_OF_A_JOB:
            _refuse("", f"is one more than the {MOST_OF_A_JOB} that are kept of a job")
        return corrections.create(
            connection,
            job.tenant,
            correction_id=correction_id,
            job_id=job.id,
            stage=asked.stage,
            form=drawn.form,
            key=key,
            label=label,
            consent=asked.consent,
            provenance={
                "key_id": str(caller.key_id),
                "models": dict(models),
                "points": drawn.points,
            },
            keeping=caller.keeping.within(services.keeping),
        )

    try:
        yield write
    except (Rejected, Conflict):
        if key is not None:
            await submission.remove(services, key)
        raise


def _judged(job: JobRow, asked: CorrectionRequest) -> _Drawn:
    """Return what is to be stored.  Raises InvalidRequest."""
    given = [name for name in ("mask", "strokes", "label") if getattr(asked, name) is not None]
    forms = _FORMS[asked.kind]
    if asked.stage != _STAGES[asked.kind]:
        _refuse("/stage", f"is {_STAGES[asked.kind]} for the kind {asked.kind}")
    if len(given) != 1 or given[0] not in forms:
        _refuse("/kind", f"{asked.kind} needs {' or '.join(forms)}, and nothing beside it")
    photo, result = job.result(StageName.PREPARE), job.result(StageName(asked.stage))
    if photo is None or result is None:
        _refuse("/stage", f"{asked.stage} has made nothing for job {job.id}")
    size = int(photo["facts"]["width"]), int(photo["facts"]["height"])
    if asked.mask is not None:
        return _Drawn("mask", _mask(asked.mask, size), "image/png")
    if asked.strokes is not None:
        points = sum(len(stroke.points) for stroke in asked.strokes)
        return _Drawn("strokes", _strokes(asked.strokes, size), "application/json", points)
    _judge_label(asked, result)
    return _Drawn("label", None, "")


def _mask(text: str, size: tuple[int, int]) -> bytes:
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        _refuse("/mask", "is not base64")
    if len(content) > MOST_MASK_BYTES:
        _refuse("/mask", f"has more than {MOST_MASK_BYTES} bytes")
    if not content.startswith(_PNG) or len(content) < len(_PNG) + 10:
        _refuse("/mask", "is not a PNG")
    width, height, *kind = struct.unpack_from(">IIBB", content, len(_PNG))
    if tuple(kind) != _GREY:
        _refuse("/mask", "is not grey with 8 bits a pixel, without alpha")
    if (width, height) != size:
        found, wanted = f"{width}×{height}", f"{size[0]}×{size[1]}"
        _refuse("/mask", f"is {found}, and the photo upright {wanted}; send it in that size")
    return content


def _strokes(strokes: list[StrokeRequest], size: tuple[int, int]) -> bytes:
    if sum(len(stroke.points) for stroke in strokes) > MOST_POINTS_DRAWN:
        _refuse("/strokes", f"have more than {MOST_POINTS_DRAWN} points altogether")
    for number, stroke in enumerate(strokes):
        for place, (x, y) in enumerate(stroke.points):
            if not (0 <= x <= size[0] and 0 <= y <= size[1]):
                where = f"/strokes/{number}/points/{place}"
                _refuse(where, f"lies outside of the photo, {size[0]}×{size[1]} pixels upright")
    return json.dumps([stroke.model_dump(mode="json") for stroke in strokes]).encode()


def _judge_label(asked: CorrectionRequest, result: Mapping[str, Any]) -> None:
    """Refuse labels of faces that nobody found, and two of one face."""
    assert asked.label is not None, "the form was looked at"
    found = len(result["facts"]["smiles"])
    numbers = [face.number for face in asked.label.faces]
    for place, number in enumerate(numbers):
        if number > found:
            _refuse(f"/label/faces/{place}/number", f"is not one of the {found} faces found")
        if number in numbers[:place]:
            _refuse(f"/label/faces/{place}/number", "is given more than once")


def _refuse(pointer: str, detail: str) -> NoReturn:
    raise InvalidRequest([FieldError(pointer, detail)])
