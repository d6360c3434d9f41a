"""Validate corrections against the job that they correct, and store them."""

import json
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, NoReturn

from sqlalchemy import Connection

from smart_filter_api.auth.api_keys import Caller
from smart_filter_api.intake.base64_text import decode_base64
from smart_filter_api.schemas.deriving import CorrectionRequest, Stroke
from smart_filter_api.services.container import Services
from smart_filter_api.submission import commit
from smart_filter_shared.artifacts import retention
from smart_filter_shared.errors import (
    Conflict,
    FieldError,
    InputsExpired,
    InvalidRequest,
    JobDeleted,
    JobNotFinished,
    Rejected,
)
from smart_filter_shared.feedback import corrections
from smart_filter_shared.feedback.corrections import (
    MAX_MASK_BYTES,
    MAX_PER_JOB,
    MAX_POINTS_DRAWN,
    Correction,
)
from smart_filter_shared.ids import CorrectionId, new_correction_id
from smart_filter_shared.jobs.queries import JobRow
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.results import PreparedFacts, Smiles, read_facts
from smart_filter_shared.storage import keys

# Start of a PNG: its signature and the chunk IHDR, with width, height, bit depth and color type.
# Source: W3C PNG, 5.2 and 11.2.1.
_PNG_START: Final = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
_GRAY_8_BIT: Final = (8, 0)
_STAGE_OF_KIND: Final = {"matte": "segmentation", "label": "smile"}
_FORMS_OF_KIND: Final = {"matte": ("mask", "strokes"), "label": ("label",)}


@dataclass(frozen=True, slots=True)
class _CorrectionContent:
    """The stored form of a correction: its bytes, None for a label; points: of all its strokes."""

    form: str
    content: bytes | None
    media_type: str
    points: int = 0


@dataclass(frozen=True, slots=True)
class NewCorrection:
    """A validated correction that is about to be inserted; key: of its stored object, if any."""

    id: CorrectionId
    asked: CorrectionRequest
    content: _CorrectionContent
    key: str | None


@asynccontextmanager
async def store_correction(
    services: Services, job: JobRow, asked: CorrectionRequest
) -> AsyncIterator[NewCorrection]:
    """Validate a correction, store its object, and yield it to be inserted in the block.

    The object is removed again when the block raises a rejection or a conflict.
    Raises InvalidRequest and MalformedRequest, which name the fault, JobNotFinished,
    StorageUnavailable.
    """
    if job.finished_at is None:
        raise JobNotFinished(f"job {job.id} is {job.state}; correct it when it has ended")
    drawn = _validate(job, asked)
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
    try:
        yield NewCorrection(correction_id, asked, drawn, key)
    except (Rejected, Conflict):
        if key is not None:
            await commit.remove_picture(services, key)
        raise


def insert_correction(
    connection: Connection, services: Services, caller: Caller, job: JobRow, new: NewCorrection
) -> Correction:
    """Insert a correction of a job and return it.

    Raises InputsExpired when the photo has expired, JobDeleted when the job was deleted, and
    InvalidRequest when the job has its maximum of corrections.
    """
    if not corrections.lock_job(connection, job.id):
        raise JobDeleted(f"job {job.id} was deleted")
    if job.photo_key is None or not retention.is_available(connection, job.tenant, job.photo_key):
        raise InputsExpired(f"the photo of job {job.id} has expired")
    if len(corrections.list_for_job(connection, job.id)) >= MAX_PER_JOB:
        _refuse(f"/{new.content.form}", f"the job has {MAX_PER_JOB} corrections, the maximum")
    asked = new.asked
    models = next(stage.models for stage in job.stages if stage.name == asked.stage)
    return corrections.create(
        connection,
        job.tenant,
        correction_id=new.id,
        job_id=job.id,
        stage=asked.stage,
        form=new.content.form,
        key=new.key,
        length=len(new.content.content or b""),
        label=None if asked.label is None else asked.label.model_dump(mode="json"),
        consent=bool(asked.consent),
        provenance={
            "key_id": str(caller.key_id),
            "models": dict(models),
            "points": new.content.points,
        },
        retention=caller.retention.within(services.retention),
    )


def _validate(job: JobRow, asked: CorrectionRequest) -> _CorrectionContent:
    """Validate a correction and return its stored form.

    Raises InvalidRequest, MalformedRequest.
    """
    given = [name for name in ("mask", "strokes", "label") if getattr(asked, name) is not None]
    forms = _FORMS_OF_KIND[asked.kind]
    if asked.stage != _STAGE_OF_KIND[asked.kind]:
        _refuse("/stage", f"is not {_STAGE_OF_KIND[asked.kind]}, the stage of kind {asked.kind}")
    if len(given) != 1 or given[0] not in forms:
        _refuse("/kind", f"{asked.kind} needs {' or '.join(forms)}, and nothing else")
    photo = read_facts(job.result(StageName.PREPARE), PreparedFacts)
    result = job.result(StageName(asked.stage))
    if photo is None or result is None:
        _refuse("/stage", f"{asked.stage} has no result in job {job.id}")
    size = photo.width, photo.height
    if asked.mask is not None:
        return _CorrectionContent("mask", _decode_mask(asked.mask, size), "image/png")
    if asked.strokes is not None:
        points = sum(len(stroke.points) for stroke in asked.strokes)
        return _CorrectionContent(
            "strokes", _encode_strokes(asked.strokes, size), "application/json", points
        )
    rated = read_facts(result, Smiles)
    assert rated is not None, "there is a result"
    _validate_label(asked, faces=len(rated.smiles))
    return _CorrectionContent("label", None, "")


def _decode_mask(text: str, size: tuple[int, int]) -> bytes:
    content = decode_base64(text.encode(), "mask")
    if len(content) > MAX_MASK_BYTES:
        _refuse("/mask", f"has more than {MAX_MASK_BYTES} bytes")
    if not content.startswith(_PNG_START) or len(content) < len(_PNG_START) + 10:
        _refuse("/mask", "is not a PNG")
    width, height, *kind = struct.unpack_from(">IIBB", content, len(_PNG_START))
    if tuple(kind) != _GRAY_8_BIT:
        _refuse("/mask", "is not grayscale with 8 bits per pixel and without alpha")
    if (width, height) != size:
        actual, wanted = f"{width}×{height}", f"{size[0]}×{size[1]}"
        _refuse(
            "/mask", f"is {actual}, but the upright photo is {wanted}; send a mask of that size"
        )
    return content


def _encode_strokes(strokes: list[Stroke], size: tuple[int, int]) -> bytes:
    if sum(len(stroke.points) for stroke in strokes) > MAX_POINTS_DRAWN:
        _refuse("/strokes", f"have more than {MAX_POINTS_DRAWN} points in total")
    for number, stroke in enumerate(strokes):
        if (stroke.width is None) == (stroke.snap is None):
            _refuse(f"/strokes/{number}/width", "is needed without snap, and only then")
        for place, (x, y) in enumerate(stroke.points):
            if not (0 <= x <= size[0] and 0 <= y <= size[1]):
                where = f"/strokes/{number}/points/{place}"
                _refuse(where, f"is outside the upright photo of {size[0]}×{size[1]} pixels")
    return json.dumps(
        [stroke.model_dump(mode="json", exclude_none=True) for stroke in strokes]
    ).encode()


def _validate_label(asked: CorrectionRequest, *, faces: int) -> None:
    """Reject labels for unknown faces, and repeated labels for a face.  Raises InvalidRequest."""
    assert asked.label is not None, "the form was checked"
    numbers = [face.number for face in asked.label.faces]
    for place, number in enumerate(numbers):
        if number > faces:
            _refuse(f"/label/faces/{place}/number", f"is not one of the {faces} detected faces")
        if number in numbers[:place]:
            _refuse(f"/label/faces/{place}/number", "is given more than once")


def _refuse(pointer: str, detail: str) -> NoReturn:
    raise InvalidRequest([FieldError(pointer, detail)])
