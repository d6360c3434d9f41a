"""From a job to another of the same photo, whose recipe differs; only what differs runs."""

import contextlib
import secrets
import uuid
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from sqlalchemy import Connection

from smart_filter_api import json_body, placing, submission
from smart_filter_api.changes import Changes
from smart_filter_api.deps import Services
from smart_filter_api.keys import Caller
from smart_filter_api.orders import Order
from smart_filter_api.placing import Placed, Sources
from smart_filter_api.submission import NO_KEY, Accepted
from smart_filter_shared.errors import (
    Contradiction,
    FieldError,
    InputsExpired,
    InvalidRequest,
    JobNotFinished,
    NotAvailable,
)
from smart_filter_shared.ids import OPERATOR, CorrectionId, new_job_id
from smart_filter_shared.jobs import corrections, memory, retention, webhooks
from smart_filter_shared.jobs.corrections import Correction
from smart_filter_shared.jobs.queries import JobRow
from smart_filter_shared.jobs.retention import Keeping
from smart_filter_shared.jobs.submission import Submission
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.recipe import BackgroundKind, Recipe
from smart_filter_shared.recipe.fields import MAX_SEED
from smart_filter_shared.storage import keys

# A moment that was waited for, and what a job's own time was counted from.
_NOT_INHERITED: Final = ("run_at", "deadline_ms")
# Names below which others stand that say nothing once the first is another.
_RULED: Final[Mapping[str, str]] = {
    "filters": "filters.",
    **{f"{task}.model": f"{task}.params." for task in ("segmentation", "face", "smile", "eyes")},
}


async def accept(
    services: Services,
    caller: Caller,
    parent: JobRow,
    asked: Changes,
    *,
    also: Callable[[Connection, JobRow], None] | None,
) -> Accepted:
    """Store the background that is sent, then write a job of the parent's photo and commit.

    also: what else is written in the transaction that writes the job.
    Raises JobNotFinished, InputsExpired when the photo is gone, InvalidRequest for a correction
    that the parent does not have, InvalidRecipe and its kinds, QueueFull, DatabaseUnavailable and
    StorageUnavailable.
    """
    seal = services.seal
    if asked.webhook_url is not None and seal is None:
        raise NotAvailable([FieldError("/webhook_url", NO_KEY)])
    if parent.finished_at is None:
        raise JobNotFinished(f"job {parent.id} is {parent.state}; derive from it when it has ended")
    photo_key = parent.photo_key
    if photo_key is None:
        raise InputsExpired(f"the photo of job {parent.id} never came; submit it again")
    if caller.tenant != OPERATOR:
        await services.refuse_when_full()
    correction = await _correction(services, parent, asked.correction_id)
    fields = merged(parent, asked.given, asked.named)
    with_file = asked.background is not None or (
        parent.background_key is not None and fields.get("background") == [str(BackgroundKind.FILE)]
    )
    # The parent's recipe says everything: nothing is left to the tenant's defaults.
    order = await submission.read(
        services, caller, fields, defaults={}, with_background_file=with_file
    )
    applied = _applied(parent, correction)
    _refuse_other_faces(parent, order, applied)
    keeping = caller.keeping.within(services.keeping)

    def look(connection: Connection) -> Sources:
        if not retention.is_kept(connection, parent.tenant, photo_key):
            raise InputsExpired(f"the photo of job {parent.id} is not kept any more")
        return memory.look(
            connection,
            parent.tenant,
            parent.photo_digest,
            order.works,
            running=order.plans,
            since=memory.kept_since(keeping),
            parent=parent.id,
        )

    placed = await placing.take(
        services,
        caller,
        order,
        megapixels=parent.megapixels,
        charged_megapixels=0.0,  # its photo was counted when it came
        look=look,
    )
    planned = _planned(
        parent,
        placed,
        photo_key=photo_key,
        keeping=keeping,
        applied=applied,
        asked=asked,
    )

    def write(connection: Connection) -> Accepted:
        accepted = submission.write(connection, caller, planned, also, placed=placed)
        if asked.webhook_url is not None and seal is not None:
            webhooks.ensure_default(connection, seal, caller.tenant)
        return accepted

    async with contextlib.AsyncExitStack() as undoing:
        if asked.background is not None and planned.background_key is not None:
            undoing.push_async_callback(submission.remove, services, planned.background_key)
            await submission.store(services, planned.background_key, asked.background)
        async with services.transaction() as connection:
            services.forecasts.accept(placed.outstanding)
            accepted = await connection.run_sync(write)
            # A commit that seems to fail may have happened, as in submission.py.
            undoing.pop_all()
    return accepted


def merged(
    parent: JobRow, given: Mapping[str, list[str]], named: Collection[str]
) -> dict[str, list[str]]:
    """Return the fields of a recipe: the parent's, and in their place those that are given.

    named: the names that are not to be as the parent has them.
    """
    base = fields_of(parent.recipe, seed=parent.seed)
    for name in named:
        below = _RULED.get(name, f"{name}.")
        for other in [one for one in base if one == name or one.startswith(below)]:
            del base[other]
    return base | dict(given)


def fields_of(recipe: Recipe, *, seed: int) -> dict[str, list[str]]:
    """Return the fields that ask for a recipe again."""
    fields = json_body.as_form(recipe.as_json())
    for name in _NOT_INHERITED:
        fields.pop(name, None)
    return {
        **fields,
        "seed": [str(seed)],
        **{f"metadata.{name}": [text] for name, text in recipe.metadata.items()},
    }


async def _correction(
    services: Services, parent: JobRow, correction_id: str | None
) -> Correction | None:
    if correction_id is None:
        return None
    try:
        wanted = CorrectionId(uuid.UUID(correction_id))
    except ValueError:
        found = None
    else:
        async with services.reading() as connection:
            found = await connection.run_sync(corrections.find, parent.id, wanted)
    if found is None:
        raise InvalidRequest(
            [FieldError("/correction_id", f"is no correction of job {parent.id}; send it there")]
        )
    return found


def _applied(parent: JobRow, correction: Correction | None) -> tuple[Mapping[str, Any], ...]:
    """Return the parent's corrections and the new one, without what a mask has replaced."""
    before = list(parent.corrections)
    if correction is None:
        return tuple(before)
    if correction.form == "mask":
        before = [one for one in before if one["stage"] != correction.stage]
    applied = (*before, correction.as_json())
    if len(applied) > corrections.MOST_APPLIED:
        raise InvalidRequest(
            [
                FieldError(
                    "/correction_id",
                    f"is one more than the {corrections.MOST_APPLIED} that a job can have; send "
                    "them as one",
                )
            ]
        )
    # Those of jobs from before points were counted say nothing of them.
    points = sum(one.get("points", 0) for one in applied)
    if points > corrections.MOST_POINTS_DRAWN:
        detail = (
            f"makes {points} points of strokes in all, and a job can have "
            f"{corrections.MOST_POINTS_DRAWN}; send a mask in place of them"
        )
        raise InvalidRequest([FieldError("/correction_id", detail)])
    return applied


def _refuse_other_faces(
    parent: JobRow, order: Order, applied: tuple[Mapping[str, Any], ...]
) -> None:
    """Labels number the faces that the parent's model found.  Raises Contradiction."""
    labels = any(one["form"] == "label" for one in applied)
    plan = order.plans.get(StageName.FACE)
    before = next((stage.models for stage in parent.stages if stage.name == StageName.FACE), None)
    if labels and plan is not None and before is not None and dict(plan.models) != dict(before):
        detail = "labels number the faces that the parent's model found; leave them out, or this"
        raise Contradiction([FieldError("/face/model", detail)])


def _planned(
    parent: JobRow,
    placed: Placed,
    *,
    photo_key: str,
    keeping: Keeping,
    applied: tuple[Mapping[str, Any], ...],
    asked: Changes,
) -> Submission:
    recipe = placed.recipe
    job_id = new_job_id()
    own_file = lent_file = None
    if asked.background is not None:
        own_file = keys.background(parent.tenant, job_id)
    elif recipe.background.kind == BackgroundKind.FILE:
        lent_file = parent.background_key
    masks = [one["key"] for one in applied if one["key"] is not None]
    return Submission(
        job_id=job_id,
        tenant=parent.tenant,
        recipe=recipe,
        seed=secrets.randbelow(MAX_SEED + 1) if recipe.seed is None else recipe.seed,
        place=placed.place,
        photo_key=photo_key,
        photo_digest=parent.photo_digest,
        background_key=own_file or lent_file,
        keeping=keeping,
        plans=placed.plans,
        webhook_url=asked.webhook_url,
        works=placed.works,
        sources=placed.sources,
        degraded=placed.degraded,
        foreseen=placed.foreseen,
        parent_id=parent.id,
        borrows=tuple(dict.fromkeys(key for key in (photo_key, lent_file, *masks) if key)),
        corrections=applied,
    )
