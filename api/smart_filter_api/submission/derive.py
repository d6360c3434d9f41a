"""Derive a job from another one of the same photo; only stages whose work differs run."""

import secrets
import uuid
from collections.abc import Collection, Mapping
from typing import Any, Final

from smart_filter_api.auth.api_keys import Caller
from smart_filter_api.caches.recipe_cache import ParsedRecipe
from smart_filter_api.intake import json_body
from smart_filter_api.services.container import Services
from smart_filter_api.submission import admission, commit, recipe_parser
from smart_filter_api.submission.admission import AdmissionRequest, AdmittedJob
from smart_filter_api.submission.commit import JobSubmission
from smart_filter_api.submission.derive_request import DeriveRecipe
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
from smart_filter_shared.ids import OPERATOR, CorrectionId, new_job_id
from smart_filter_shared.jobs.queries import JobRow
from smart_filter_shared.jobs.submission import NewPhotoJob
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.recipe import BackgroundKind
from smart_filter_shared.recipe.fields import MAX_SEED, Fields, drop_replaced
from smart_filter_shared.storage import keys

# Fields that only make sense for the parent's own submission.
_NOT_INHERITED: Final = ("run_at", "deadline_ms")


async def prepare_derivation(
    services: Services,
    caller: Caller,
    parent: JobRow,
    asked: DeriveRecipe,
    *,
    link_seconds: int | None,
) -> JobSubmission:
    """Check the changes to the parent's recipe, admit the job, and return it ready to be written.

    link_seconds: lifetime of its signed links; None: the tenant's.
    Raises JobNotFinished, InputsExpired when the photo has expired, InvalidRequest for an unknown
    correction, InvalidRecipe and its subclasses, QueueFull and DatabaseUnavailable.
    """
    commit.check_webhook_url(services, asked.webhook_url)
    if parent.finished_at is None:
        raise JobNotFinished(f"job {parent.id} is {parent.state}; derive from it when it has ended")
    if parent.photo_key is None:
        raise InputsExpired(f"the photo of job {parent.id} was never received; submit it again")
    if caller.tenant != OPERATOR:
        await services.refuse_when_full()
    correction = await _find_correction(services, parent, asked.correction_id)
    fields = merge_fields(parent, asked.given, asked.names)
    with_file = asked.background is not None or (
        parent.background_key is not None and fields.get("background") == [str(BackgroundKind.FILE)]
    )
    # The parent's recipe is complete, so the tenant's defaults do not apply.
    parsed_recipe = await recipe_parser.read_recipe(
        services, caller, fields, defaults={}, with_background_file=with_file
    )
    applied = _combine_corrections(parent, correction)
    _refuse_other_faces(parent, parsed_recipe, applied)
    await admission.hold_deliveries(services, caller, jobs=1, webhook_url=asked.webhook_url)
    await admission.check_stored_bytes(services, caller, asked.background)
    admitted = await admission.admit_job(
        services,
        caller,
        AdmissionRequest(
            parsed_recipe,
            parent.megapixels,
            charged_megapixels=0.0,  # the photo was charged when it was submitted
            digest=parent.photo_digest,
            parent=parent,
        ),
    )
    return _build_submission(
        parent,
        admitted,
        photo_key=parent.photo_key,
        retention=caller.retention.within(services.retention),
        applied=applied,
        asked=asked,
        link_seconds=link_seconds or caller.link_seconds,
        key_id=caller.key_id,
    )


def merge_fields(parent: JobRow, given: Fields, names: Collection[str]) -> dict[str, Value]:
    """Merge the given fields into the parent's recipe.

    names: names of parent fields to drop; those not in `given` return to their defaults.
    """
    base: dict[str, Value] = {
        **json_body.read_fields(parent.recipe.as_json()),
        "seed": parent.seed,
        **{f"metadata.{name}": text for name, text in parent.recipe.metadata.items()},
    }
    return drop_replaced(base, {*names, *_NOT_INHERITED}) | dict(given)


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
        async with services.database.reading() as connection:
            correction = await connection.run_sync(corrections.find, parent.id, wanted)
    if correction is None:
        raise InvalidRequest(
            [FieldError("/correction_id", f"is not a correction of job {parent.id}")]
        )
    return correction


def _combine_corrections(
    parent: JobRow, correction: Correction | None
) -> tuple[Mapping[str, Any], ...]:
    """Return the parent's corrections and the new one, without corrections that a mask replaces."""
    before = list(parent.corrections)
    if correction is None:
        return tuple(before)
    if correction.form == "mask":
        before = [earlier for earlier in before if earlier["stage"] != correction.stage]
    applied = (*before, correction.as_json())
    if len(applied) > corrections.MAX_APPLIED:
        raise InvalidRequest(
            [
                FieldError(
                    "/correction_id",
                    f"exceeds the maximum of {corrections.MAX_APPLIED} corrections per job; "
                    "combine them into one",
                )
            ]
        )
    # Corrections stored before points were counted lack the field.
    points = sum(change.get("points", 0) for change in applied)
    if points > corrections.MAX_POINTS_DRAWN:
        detail = (
            f"gives the job {points} stroke points, but the maximum is "
            f"{corrections.MAX_POINTS_DRAWN}; send a mask instead"
        )
        raise InvalidRequest([FieldError("/correction_id", detail)])
    return applied


def _refuse_other_faces(
    parent: JobRow, parsed_recipe: ParsedRecipe, applied: tuple[Mapping[str, Any], ...]
) -> None:
    """Reject another face model for labels, which number the parent's faces.

    Raises Contradiction.
    """
    labels = any(change["form"] == "label" for change in applied)
    plan = parsed_recipe.plans.get(StageName.FACE)
    before = next((stage.models for stage in parent.stages if stage.name == StageName.FACE), None)
    if labels and plan is not None and before is not None and dict(plan.models) != dict(before):
        detail = "labels number the faces that the parent's model found; omit the labels or this"
        raise Contradiction([FieldError("/face/model", detail)])


def _build_submission(
    parent: JobRow,
    admitted: AdmittedJob,
    *,
    photo_key: str,
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
        photo_digest=parent.photo_digest,
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
        lengths={key: picture.length for key, picture in pictures.items()},
        link_seconds=link_seconds,
        key_id=key_id,
    )
    return JobSubmission(job, admitted, pictures, 0.0)
