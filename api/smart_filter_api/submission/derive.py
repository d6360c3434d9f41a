"""Derive a job from another one of the same photo; only stages whose work differs run.

The request is a JSON document, or a form with the same fields and a background file.
"""

import json
import secrets
import uuid
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

from fastapi import Request
from python_multipart.multipart import parse_options_header

from smart_filter_api.auth.api_keys import Caller
from smart_filter_api.caches import ParsedRecipe, RecipeLayer
from smart_filter_api.intake import body as intake_body
from smart_filter_api.intake import json_body, json_document, multipart
from smart_filter_api.intake.body import JSON, MULTIPART, SpooledPicture
from smart_filter_api.intake.multipart import BACKGROUND, PICTURES
from smart_filter_api.schemas.submissions import DeriveRequest
from smart_filter_api.services.container import Services
from smart_filter_api.services.idempotency import IdempotentRequest
from smart_filter_api.submission import admission, commit, photo_source, recipe_parser
from smart_filter_api.submission.admission import AdmissionRequest, AdmittedJob
from smart_filter_api.submission.commit import AcceptedJob, JobSubmission
from smart_filter_shared.albums import Take
from smart_filter_shared.artifacts.retention import RetentionPolicy
from smart_filter_shared.catalog.scalars import Value
from smart_filter_shared.errors import (
    Contradiction,
    FieldError,
    InputsExpired,
    InvalidRequest,
    JobNotFinished,
)
from smart_filter_shared.feedback import corrections
from smart_filter_shared.feedback.corrections import Correction
from smart_filter_shared.feedback.face_changes import FaceChanges, read_face_changes
from smart_filter_shared.ids import OPERATOR, CorrectionId, new_job_id
from smart_filter_shared.jobs import result_cache
from smart_filter_shared.jobs.queries import JobRow
from smart_filter_shared.jobs.submission import NewPhotoJob
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.recipe import BackgroundKind
from smart_filter_shared.recipe.fields import (
    FOLLOWING_DOCUMENT,
    Fields,
    drop_replaced,
    respell_names,
)
from smart_filter_shared.recipe.recipe import MAX_SEED
from smart_filter_shared.results import Faces, read_facts
from smart_filter_shared.storage import keys
from smart_filter_wire.corrections import MAX_ADDED_FACES

# Fields of a form that are not part of the recipe.
_NON_RECIPE_FIELDS: Final = ("correction_id", "webhook_url")


@dataclass(frozen=True, slots=True)
class DeriveRecipe:
    """The changes to the parent's recipe.

    given: recipe fields that replace the parent's.  names: all changed fields, also
    fields that return to their defaults.
    background: the background picture; its file is closed when `receive_derive_request` ends.
    faces: of a take, the item that each person's face is to be from.
    """

    given: Fields
    names: Collection[str]
    background: SpooledPicture | None
    correction_id: str | None
    webhook_url: str | None
    faces: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeriveBody:
    """A received body.

    fingerprint: bytes that are equal only for identical bodies.  read: parses the body; it raises
    MalformedRequest, InvalidRequest, InvalidRecipe.
    """

    fingerprint: bytes
    read: Callable[[], DeriveRecipe]


@asynccontextmanager
async def receive_derive_request(request: Request) -> AsyncIterator[DeriveBody]:
    """Receive the body of a request; its files are deleted when the block ends.

    Raises MalformedRequest, PhotoTooLarge, UnsupportedMedia.
    """
    content_type = request.headers.get("content-type")
    sent_as = parse_options_header(content_type)[0].decode("latin-1")
    if sent_as not in {MULTIPART, JSON}:
        raise intake_body.unsupported_type(content_type, (JSON, MULTIPART))
    if sent_as == JSON:
        body = await json_document.read_body(request)
        yield DeriveBody(body, partial(_parse_document, body))
        return
    intake_body.refuse_compressed(request)
    called = {BACKGROUND: PICTURES[BACKGROUND]}
    form = multipart.Form(content_type, called)
    with ExitStack() as open_files:
        spool = (await intake_body.spool_pictures(request, form, open_files)).get(BACKGROUND)
        picture = None if spool is None else await spool.judged(called[BACKGROUND], BACKGROUND)
        digest = None if picture is None else picture.digest
        fingerprint = json.dumps([digest, sorted(form.fields.items())]).encode()
        parse = partial(_parse_form, form.fields, picture)
        yield DeriveBody(fingerprint, parse)


def _parse_document(body: bytes) -> DeriveRecipe:
    asked = json_document.parse_document(DeriveRequest, body)
    recipe = asked.recipe or {}
    given = json_body.read_fields(recipe)
    names = {*given, *json_body.list_names(recipe)}
    faces = {int(person): item for person, item in (asked.faces or {}).items()}
    return DeriveRecipe(given, names, None, asked.correction_id, asked.webhook_url, faces)


def _parse_form(fields: Mapping[str, list[str]], background: SpooledPicture | None) -> DeriveRecipe:
    # A repeated field becomes a list, which the model rejects as not being a string.
    settings = {name: fields[name] for name in _NON_RECIPE_FIELDS if name in fields}
    single = {name: texts[0] if len(texts) == 1 else texts for name, texts in settings.items()}
    asked = json_document.parse_document(DeriveRequest, json.dumps(single).encode())
    given = respell_names({name: texts for name, texts in fields.items() if name not in settings})
    intake_body.refuse_misspelled_names(given, (BACKGROUND, *_NON_RECIPE_FIELDS))
    # A submitted file replaces the parent's background.
    names = {*given, *(() if background is None else ("background",))}
    return DeriveRecipe(given, names, background, asked.correction_id, asked.webhook_url)


# Fields that only make sense for the parent's own submission.
_NOT_INHERITED: Final = ("run_at", "deadline_ms")
_OF_PARENT: Final = " (this is from the job that the request derives from)"


async def derive_job(
    services: Services,
    caller: Caller,
    parent: JobRow,
    asked: DeriveRecipe,
    once: IdempotentRequest,
    *,
    link_seconds: int | None,
) -> AcceptedJob:
    """Check the changes to the parent's recipe, admit the job, write it, and return it.

    link_seconds: lifetime of its signed links; None: the tenant's.
    Raises JobNotFinished, InputsExpired when the photo has expired, InvalidRequest for an unknown
    correction, InvalidRecipe and its subclasses, QueueFull, and the errors of `commit.write_job`.
    """
    photo_source.check_webhook(services, asked.webhook_url)
    if parent.finished_at is None:
        raise JobNotFinished(f"job {parent.id} is {parent.state}; derive from it when it has ended")
    if parent.photo_key is None:
        raise InputsExpired(f"the photo of job {parent.id} was never received; submit it again")
    if caller.tenant != OPERATOR:
        await services.refuse_when_full()
    take = _choose_faces(parent, asked.faces) if asked.faces else None
    correction = await _find_correction(services, parent, asked.correction_id)
    saved = await recipe_parser.saved_layers(services, caller.tenant, asked.given)
    fields = merge_fields(parent, asked.given, asked.names)
    keeps_background = not any("background" in layer.fields for layer in saved)
    with_file = asked.background is not None or (
        parent.background_key is not None
        and keeps_background
        and fields.get("background") == [str(BackgroundKind.FILE)]
    )
    # The parent's recipe is complete, so the tenant's defaults do not apply. Under a saved recipe
    # the parent's fields are a layer, so that those which contradict it give way.
    parsed_recipe = await recipe_parser.read_recipe(
        services,
        caller,
        asked.given if saved else fields,
        layers=[RecipeLayer(merge_fields(parent, {}, asked.names), _OF_PARENT)] if saved else [],
        with_background_file=with_file,
    )
    applied = combine_corrections(parent, correction)
    parsed_recipe = _with_face_changes(parsed_recipe, applied)
    if take is not None and applied:
        raise Contradiction([FieldError("/faces", "cannot be combined with corrections")])
    admitted = await admission.admit_job(
        services,
        caller,
        AdmissionRequest(
            parsed_recipe,
            parent.megapixels,
            charged_megapixels=0.0,  # the photo was charged when it was submitted
            # Another take has another photo, so no result can be reused.
            digest=parent.photo_digest if take is None else None,
            pictures=[] if asked.background is None else [asked.background],
            webhook_url=asked.webhook_url,
            parent=parent if take is None else None,
        ),
    )
    submission = _build_submission(
        parent,
        admitted,
        photo_key=parent.photo_key if take is None else None,
        take=parent.take if take is None else take,
        retention=caller.retention.within(services.retention),
        applied=applied,
        asked=asked,
        link_seconds=link_seconds or caller.link_seconds,
        key_id=caller.key_id,
    )
    return await commit.write_job(services, caller, submission, once)


def merge_fields(parent: JobRow, given: Fields, names: Collection[str]) -> dict[str, Value]:
    """Merge the given fields into the parent's recipe.

    names: names of parent fields to drop; those not in `given` return to their defaults. So do the
    fields that followed from the parent's document when another is given.
    """
    base: dict[str, Value] = {
        **json_body.read_fields(parent.recipe.as_json()),
        "seed": parent.seed,
        **{f"metadata.{name}": text for name, text in parent.recipe.metadata.items()},
    }
    followed = FOLLOWING_DOCUMENT if "document" in given else ()
    return drop_replaced(base, {*names, *_NOT_INHERITED, *followed}) | dict(given)


async def _find_correction(
    services: Services, parent: JobRow, correction_id: str | None
) -> Correction | None:
    if correction_id is None:
        return None
    try:
        wanted = CorrectionId(uuid.UUID(correction_id))
    except ValueError:
        correction = None
    else:
        correction = await services.database.query(corrections.find, parent.id, wanted)
    if correction is None:
        raise InvalidRequest(
            [FieldError("/correction_id", f"is not a correction of job {parent.id}")]
        )
    return correction


def _choose_faces(parent: JobRow, faces: Mapping[int, int]) -> Take:
    """Return the parent's take with other faces, the base first.  Raises InvalidRequest."""
    take = parent.take
    if take is None or take.report is None:
        raise InvalidRequest([FieldError("/faces", f"job {parent.id} is not a take")])
    base = take.report.base
    items = {person.person: person.items for person in take.report.people}
    wrong = [
        FieldError(f"/faces/{person}", _describe_wrong_face(items.get(person)))
        for person, item in faces.items()
        if item not in items.get(person, ())
    ]
    if wrong:
        raise InvalidRequest(wrong)
    shots = sorted(take.shots, key=lambda shot: shot.item != base)
    return Take(tuple(shots), {**take.chosen, **faces})


def _describe_wrong_face(items: Collection[int] | None) -> str:
    if items is None:
        return "is no person of the take; `take.people` lists them"
    return f"is none of the items whose face fits: {', '.join(map(str, items))}"


def combine_corrections(
    parent: JobRow, correction: Correction | None
) -> tuple[Mapping[str, Any], ...]:
    """Return the parent's corrections and the new one, without corrections that a mask replaces.

    Raises InvalidRequest when they are too many for one job.
    """
    before = list(parent.corrections)
    if correction is None:
        return tuple(before)
    if correction.form == "mask" or correction.stage == StageName.FACE:
        before = [earlier for earlier in before if earlier["stage"] != correction.stage]
    replaced = correction.provenance["replaces"]
    before = [earlier for earlier in before if earlier["id"] != replaced]
    if replaced is not None and not correction.provenance["points"]:
        return tuple(before)
    applied = (*before, _applied_form(parent, correction))
    points = sum(change["points"] for change in applied)
    for kind, number, most in (
        ("corrections", len(applied), corrections.MAX_APPLIED),
        ("stroke points", points, corrections.MAX_POINTS_DRAWN),
    ):
        if number > most:
            detail = (
                f"would give a derived job {number} {kind}, but the maximum is {most}; send a mask,"
                " which replaces all strokes, or combine corrections of an earlier job into one"
            )
            form = "faces" if correction.stage == StageName.FACE else correction.form
            raise InvalidRequest([FieldError(f"/{form}", detail)])
    return applied


def _applied_form(parent: JobRow, correction: Correction) -> Mapping[str, Any]:
    """Return the JSON that the derived job stores of a correction.

    Boxes replace the numbers of faces, because the derived job can number its faces differently.
    Raises InvalidRequest.
    """
    stored = correction.as_json()
    label, detected = correction.label, read_facts(parent.result(StageName.FACE), Faces)
    if label is None or detected is None:
        return stored
    if correction.stage == StageName.SMILE:
        boxed = [
            {**face, "box": list(detected.faces[face["number"] - 1].box)} for face in label["faces"]
        ]
        return {**stored, "label": {"faces": boxed}}
    changes = read_face_changes(parent.corrections).then(label, detected.faces)
    if len(changes.added) > MAX_ADDED_FACES:
        detail = (
            f"would give a derived job {len(changes.added)} added faces, but the maximum is "
            f"{MAX_ADDED_FACES}; add fewer, or remove added ones with them"
        )
        raise InvalidRequest([FieldError("/faces/add", detail)])
    return {**stored, "label": changes.as_json()}


def _with_face_changes(
    parsed_recipe: ParsedRecipe, applied: tuple[Mapping[str, Any], ...]
) -> ParsedRecipe:
    """Return the recipe with cache keys that cover the changes of the faces, if there are any."""
    changes = read_face_changes(applied)
    if changes == FaceChanges():
        return parsed_recipe
    keys_by_stage = result_cache.cache_keys(
        parsed_recipe.recipe,
        parsed_recipe.plans,
        parsed_recipe.published,
        parsed_recipe.pictures,
        changes,
    )
    return replace(parsed_recipe, cache_keys=keys_by_stage, face_changes=changes)


def _build_submission(
    parent: JobRow,
    admitted: AdmittedJob,
    *,
    photo_key: str | None,
    take: Take | None,
    retention: RetentionPolicy,
    applied: tuple[Mapping[str, Any], ...],
    asked: DeriveRecipe,
    link_seconds: int | None,
    key_id: uuid.UUID,
) -> JobSubmission:
    recipe = admitted.recipe
    job_id = new_job_id()
    own_file = referenced_file = None
    pictures = {}
    if asked.background is not None:
        own_file = keys.background(parent.tenant, job_id)
        pictures[own_file] = asked.background
    elif recipe.background.kind == BackgroundKind.FILE:
        referenced_file = parent.background_key
    masks = [change["key"] for change in applied if change["key"] is not None]
    job = NewPhotoJob(
        job_id=job_id,
        tenant=parent.tenant,
        recipe=recipe,
        seed=secrets.randbelow(MAX_SEED + 1) if recipe.seed is None else recipe.seed,
        place=admitted.place,
        photo_key=photo_key,
        photo_digest=None if photo_key is None else parent.photo_digest,
        photo_name=parent.photo_name,
        background_key=own_file or referenced_file,
        retention=retention,
        plans=admitted.plans,
        webhook_url=asked.webhook_url,
        cache_keys=admitted.cache_keys,
        results=admitted.results,
        degraded=admitted.degraded,
        eta=admitted.eta,
        parent_id=parent.id,
        references=tuple(dict.fromkeys(key for key in (photo_key, referenced_file, *masks) if key)),
        corrections=applied,
        take=take,
        lengths={key: picture.length for key, picture in pictures.items()},
        link_seconds=link_seconds,
        key_id=key_id,
    )
    return JobSubmission(job, admitted, pictures, 0.0)
