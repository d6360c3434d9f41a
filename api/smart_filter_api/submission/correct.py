"""Validate corrections of a job, with their masks and strokes, and store them."""

import io
import json
import struct
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import IO, Any, Final, NoReturn

from sqlalchemy import Connection

from smart_filter_api.auth.api_keys import Caller
from smart_filter_api.http import strict_json
from smart_filter_api.http.strict_json import decode_base64
from smart_filter_api.intake import json_document
from smart_filter_api.intake.body import PhotoRequest, SpooledStrokes
from smart_filter_api.intake.multipart import MASK, STROKES
from smart_filter_api.schemas.submissions import CorrectionRequest, SentStrokes, Stroke
from smart_filter_api.services.container import Services
from smart_filter_api.submission import commit, derive
from smart_filter_api.submission.photo_source import ResolvedPhoto
from smart_filter_shared.artifacts import retention
from smart_filter_shared.errors import (
    Conflict,
    Contradiction,
    FieldError,
    InputsExpired,
    InvalidRequest,
    JobDeleted,
    JobNotFinished,
    MalformedRequest,
    Rejected,
)
from smart_filter_shared.feedback import corrections
from smart_filter_shared.feedback.corrections import (
    MAX_MASK_BYTES,
    MAX_PER_JOB,
    MAX_POINTS_DRAWN,
    Correction,
)
from smart_filter_shared.feedback.face_changes import index_of_same
from smart_filter_shared.ids import CorrectionId, new_correction_id
from smart_filter_shared.jobs.queries import JobRow
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.recipe import Mask, PersonSelection, Recipe
from smart_filter_shared.recipe.declaration import json_pointer
from smart_filter_shared.results import Faces, PreparedFacts, read_facts
from smart_filter_shared.security.photo_header import MAX_SIDE_PX
from smart_filter_shared.storage import keys
from smart_filter_wire.corrections import FaceChanges, Label
from smart_filter_wire.formats import FaceBox

_STAGE_OF_KIND: Final = {"matte": "segmentation", "label": "smile", "faces": "face"}
_FORMS_OF_KIND: Final = {
    "matte": ("mask", "strokes"),
    "label": ("label",),
    "faces": ("faces",),
}
# Sides of an added face, in pixels of the photo: no model reads a smaller one.
_MIN_FACE_PX: Final = 8

# Start of a PNG: its signature and the chunk IHDR, with width, height, bit depth and color type.
# Source: W3C PNG, 5.2 and 11.2.1.
_PNG_START: Final = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
_HEADER_BYTES: Final = len(_PNG_START) + 10
_GRAY_8_BIT: Final = (8, 0)


@dataclass(frozen=True, slots=True)
class _CorrectionContent:
    """The stored form of a correction: its bytes or its label; points: of all its strokes."""

    form: str
    content: bytes | None
    media_type: str = ""
    points: int = 0
    label: Mapping[str, Any] | None = None


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
    drawn = await services.in_thread(_validate, job, asked)
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
    InvalidRequest when the job has its maximum of corrections, or a derived one would exceed it.
    """
    if not corrections.lock_job(connection, job.id):
        raise JobDeleted(f"job {job.id} was deleted")
    if job.photo_key is None or not retention.is_available(connection, job.tenant, job.photo_key):
        raise InputsExpired(f"the photo of job {job.id} has expired")
    if len(corrections.list_for_job(connection, job.id)) >= MAX_PER_JOB:
        detail = (
            f"the job has {MAX_PER_JOB} corrections, the maximum; derive a job that applies one,"
            " and correct the derived job"
        )
        _refuse(f"/{new.content.form}", detail)
    asked = new.asked
    models = next(stage.models for stage in job.stages if stage.name == asked.stage)
    correction = corrections.create(
        connection,
        job.tenant,
        correction_id=new.id,
        job_id=job.id,
        stage=asked.stage,
        form=new.content.form if new.content.label is None else "label",
        key=new.key,
        length=len(new.content.content or b""),
        label=new.content.label,
        consent=bool(asked.consent),
        provenance={
            "key_id": str(caller.key_id),
            "models": dict(models),
            "points": new.content.points,
            "replaces": None if asked.replaces is None else str(asked.replaces),
        },
        retention=caller.retention.within(services.retention),
    )
    derive.combine_corrections(job, correction)  # refuses one that no job could apply
    return correction


def _validate(job: JobRow, asked: CorrectionRequest) -> _CorrectionContent:
    """Validate a correction and return its stored form.

    Raises InvalidRequest, MalformedRequest.
    """
    given = [
        name for name in ("mask", "strokes", "label", "faces") if getattr(asked, name) is not None
    ]
    forms = _FORMS_OF_KIND[asked.kind]
    if asked.stage != _STAGE_OF_KIND[asked.kind]:
        _refuse("/stage", f"is not {_STAGE_OF_KIND[asked.kind]}, the stage of kind {asked.kind}")
    if len(given) != 1 or given[0] not in forms:
        _refuse("/kind", f"{asked.kind} needs {' or '.join(forms)}, and nothing else")
    photo = read_facts(job.result(StageName.PREPARE), PreparedFacts)
    result = job.result(StageName(asked.stage))
    if photo is None or result is None:
        outputs = "image,matte" if asked.kind == "matte" else "image,faces"
        _refuse(
            "/stage",
            f"{asked.stage} has no result in job {job.id}; derive a job with outputs={outputs},"
            " and correct that job",
        )
    size = photo.width, photo.height
    if asked.replaces is not None and not any(
        applied["id"] == str(asked.replaces) and applied["key"] for applied in job.corrections
    ):
        _refuse("/replaces", f"is no correction of the matte that job {job.id} applies")
    if asked.mask is not None:
        return _CorrectionContent("mask", _decode_mask(asked.mask, size), "image/png")
    if asked.strokes is not None:
        if not asked.strokes and asked.replaces is None:
            _refuse("/strokes", "is empty; only a correction that replaces another may be")
        points = sum(len(stroke.points) for stroke in asked.strokes)
        return _CorrectionContent(
            "strokes", encode_strokes(asked.strokes, size), "application/json", points
        )
    detected = read_facts(job.result(StageName.FACE), Faces)
    assert detected is not None, "smile needs it"
    if asked.label is not None:
        _validate_label(asked.label, faces=len(detected.faces))
        return _CorrectionContent("label", None, label=asdict(asked.label))
    assert asked.faces is not None, "the form was checked"
    if asked.consent:
        _refuse("/consent", "is true, but nothing is learned from faces; leave it out")
    _validate_faces(asked.faces, [face.box for face in detected.faces], size)
    return _CorrectionContent("faces", None, label=asdict(asked.faces))


def _decode_mask(text: str, size: tuple[int, int]) -> bytes:
    content = decode_base64(text.encode(), "mask")
    file = io.BytesIO(content)
    actual = read_mask_size(file, len(content), "/mask")
    if actual != size:
        refuse_mask_size("/mask", actual, size)
    return content


def _validate_label(label: Label, *, faces: int) -> None:
    """Reject labels for unknown faces, and repeated labels for a face.  Raises InvalidRequest."""
    numbers = [face.number for face in label.faces]
    _validate_numbers(numbers, "/label/faces/{}/number", faces=faces)


def _validate_faces(asked: FaceChanges, faces: Sequence[FaceBox], size: tuple[int, int]) -> None:
    """Reject changes that are empty, unclear or outside the photo.  Raises InvalidRequest.

    faces: boxes of the listed ones.  size: width and height of the upright photo.
    """
    removed, added = asked.remove or [], asked.add or []
    if bool(removed or added) == bool(asked.restore):
        _refuse("/faces", "needs `remove`, `add` or both, or `restore` alone")
    _validate_numbers(removed, "/faces/remove/{}", faces=len(faces))
    left = [box for number, box in enumerate(faces, 1) if number not in removed]
    for place, (x, y, width, height) in enumerate(added):
        pointer = f"/faces/add/{place}"
        if min(x, y) < 0 or x + width > size[0] or y + height > size[1]:
            _refuse(pointer, f"is not within the upright photo, which is {size[0]}×{size[1]}")
        if min(width, height) < _MIN_FACE_PX:
            _refuse(pointer, f"is less than {_MIN_FACE_PX} pixels wide or high")
        same = index_of_same((x, y, width, height), left)
        if same is not None:
            _refuse(pointer, f"covers a face that counts already, at {_in_words(left[same])}")
        left.append((x, y, width, height))


def _in_words(box: FaceBox) -> str:
    return ", ".join(f"{side:.0f}" for side in box)


def _validate_numbers(numbers: Sequence[int], pointer: str, *, faces: int) -> None:
    for place, number in enumerate(numbers):
        if number > faces:
            _refuse(pointer.format(place), f"is not one of the {faces} detected faces")
        if number in numbers[:place]:
            _refuse(pointer.format(place), "is given more than once")


def _refuse(pointer: str, detail: str) -> NoReturn:
    raise InvalidRequest([FieldError(pointer, detail)])


def read_drawing(
    request: PhotoRequest, recipe: Recipe, photo: ResolvedPhoto
) -> SpooledStrokes | None:
    """Check the mask of a request and return its strokes; None without any.

    Raises InvalidRequest, Contradiction.
    """
    _check_mask(request, recipe, photo)
    return _read_strokes(request, photo)


def encode_strokes(strokes: Sequence[Stroke], size: tuple[int, int]) -> bytes:
    """Return strokes as they are stored.

    size: the width and the height within which they must be.  Raises InvalidRequest.
    """
    if sum(len(stroke.points) for stroke in strokes) > MAX_POINTS_DRAWN:
        _refuse("/strokes", f"have more than {MAX_POINTS_DRAWN} points in total")
    for number, stroke in enumerate(strokes):
        if stroke.width is None and stroke.snap is None:
            _refuse(f"/strokes/{number}/width", "is needed without snap")
        for place, (x, y) in enumerate(stroke.points):
            if not (0 <= x <= size[0] and 0 <= y <= size[1]):
                where = f"/strokes/{number}/points/{place}"
                _refuse(where, f"is outside the upright photo of {size[0]}×{size[1]} pixels")
    return json.dumps(
        [stroke.model_dump(mode="json", exclude_none=True) for stroke in strokes]
    ).encode()


def read_mask_size(file: IO[bytes], length: int, pointer: str) -> tuple[int, int]:
    """Return width and height of a mask; the file's position becomes 0.

    length: of the file, in bytes.  Raises InvalidRequest unless it is a gray PNG.
    """
    start = file.read(_HEADER_BYTES)
    file.seek(0)
    if length > MAX_MASK_BYTES:
        _refuse(pointer, f"has more than {MAX_MASK_BYTES} bytes")
    if not start.startswith(_PNG_START) or len(start) < _HEADER_BYTES:
        _refuse(pointer, "is not a PNG")
    width, height, *kind = struct.unpack_from(">IIBB", start, len(_PNG_START))
    if tuple(kind) != _GRAY_8_BIT:
        _refuse(pointer, "is not grayscale with 8 bits per pixel and without alpha")
    return width, height


def refuse_mask_size(pointer: str, size: tuple[int, int], wanted: tuple[int, int]) -> NoReturn:
    """Raise the error for a mask of another size than its photo, both width and height."""
    actual, expected = (f"{width}×{height}" for width, height in (size, wanted))
    _refuse(pointer, f"is {actual}, but the upright photo is {expected}; send a mask of that size")


def _check_mask(request: PhotoRequest, recipe: Recipe, photo: ResolvedPhoto) -> None:
    # The exact size is known only when the photo is decoded: EXIF may turn it.
    if request.mask is None:
        return
    width, height = read_mask_size(request.mask.file, request.mask.length, json_pointer(MASK))
    header = photo.header
    if header is not None and {width, height} != {header.width, header.height}:
        refuse_mask_size(json_pointer(MASK), (width, height), (header.width, header.height))
    if recipe.mask == Mask.UPLOAD:
        detail = f"takes the photo's transparency as the mask: leave out mask, or {MASK}"
        raise Contradiction([FieldError("/mask", detail)])
    if recipe.persons != PersonSelection.ALL:
        detail = f"a mask has no separate persons: leave out persons, or {MASK}"
        raise Contradiction([FieldError("/persons", detail)])


def _read_strokes(request: PhotoRequest, photo: ResolvedPhoto) -> SpooledStrokes | None:
    if request.strokes is None:
        return None
    if request.mask is not None:
        detail = f"would change the mask: draw them into {MASK}, or leave one out"
        raise Contradiction([FieldError(json_pointer(STROKES), detail)])
    try:
        values = strict_json.read_value(request.strokes.encode(), called="the field")
    except MalformedRequest as error:
        _refuse(json_pointer(STROKES), str(error))
    strokes = json_document.validate_document(SentStrokes, {STROKES: values}).strokes
    header = photo.header
    # EXIF may turn the photo.
    side = MAX_SIDE_PX if header is None else max(header.width, header.height)
    content = encode_strokes(strokes, (side, side))
    points = sum(len(stroke.points) for stroke in strokes)
    return SpooledStrokes(io.BytesIO(content), len(content), points)
