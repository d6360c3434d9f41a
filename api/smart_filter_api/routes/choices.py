"""Endpoints for choices: many photos by a query, and actions that work on them in steps."""

import uuid
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response, status
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, StrictBool
from sqlalchemy import Connection

from smart_filter_api.auth.api_keys import Caller
from smart_filter_api.http import documents
from smart_filter_api.intake import json_document
from smart_filter_api.openapi import bodies as openapi_bodies
from smart_filter_api.presenters.job import with_remedy
from smart_filter_api.problems.problem import describe_responses
from smart_filter_api.responses import archive
from smart_filter_api.responses.output import USUAL_NAME, Downloader
from smart_filter_api.routes import jobs
from smart_filter_api.schemas.parameters import parse_id
from smart_filter_api.services import callers, idempotency
from smart_filter_api.services.callers import Deriver, Reader, Submitter
from smart_filter_api.services.container import OpenServices, Services
from smart_filter_api.services.idempotency import IdempotencyKey, IdempotentRequest
from smart_filter_api.submission import derive as submission_derive
from smart_filter_api.submission.derive import DeriveRecipe
from smart_filter_api.submission.submit_batch import error_document
from smart_filter_shared.catalog.scalars import Value
from smart_filter_shared.errors import (
    Conflict,
    Error,
    FieldError,
    InsufficientScope,
    InvalidRecipe,
    JobDeleted,
    JobFinal,
    NotFound,
    Rejected,
    TryAgain,
)
from smart_filter_shared.ids import JobId, new_batch_id
from smart_filter_shared.jobs import choices, queries
from smart_filter_shared.jobs.choices import (
    KEPT_HOURS,
    MAX_CHOICES,
    MAX_JOBS,
    MAX_NAMED,
    UNDO_SECONDS,
    ChosenPhoto,
    PhotoState,
    Wanted,
)
from smart_filter_shared.jobs.photo_queue import CLIENT
from smart_filter_shared.jobs.queries import Json
from smart_filter_shared.queue.states import JobState
from smart_filter_shared.recipe.fields import Fields
from smart_filter_shared.recipe.files import MAX_NAME_CHARACTERS, read_filename
from smart_filter_shared.tenants import quotas
from smart_filter_shared.typed_json import read_as
from smart_filter_wire.batches import (
    BatchItemError,
    Choice,
    ChoiceFailure,
    ChoiceStep,
    ChosenPicture,
    ChosenPictures,
)

router = APIRouter(prefix="/v1/choices", tags=["choices"])

# Photos of one step, which bounds its time: a derivation takes 20 ms, a cancellation 5 ms.
PHOTOS_PER_STEP: Final = 500
_MOVES_PER_STEP: Final = 50
_DERIVATIONS_PER_STEP: Final = 20
_MAX_FAILURES: Final = 50
_PROBLEMS: Final = ("malformed_request", "not_found")
_STEP_PROBLEMS: Final = (*_PROBLEMS, *idempotency.PROBLEMS)
_STEPS: Final = (
    "Works on some photos per request: repeat with `next_cursor` until it is null. A photo on "
    "which it fails is listed, and the others go on."
)

LeaveOut = Annotated[
    str,
    Query(
        max_length=200, pattern="^[a-z,]*$", description="Outputs that the jobs leave out: `a,b`"
    ),
]
FileName = Annotated[
    str,
    Query(
        min_length=1,
        max_length=MAX_NAME_CHARACTERS,
        description="Names of the pictures, as the recipe's `filename`",
    ),
]
Cursor = Annotated[uuid.UUID | None, Query(description="`next_cursor` of the step before")]


class ChoiceRequest(BaseModel):
    """The photos that are meant, each a job with all jobs derived from it.

    all: every photo of the tenant but those of albums that have no picture; with a state, those
    whose newest version has it, with a name, those whose names contain it.
    photos: jobs whose photos are meant too, in this version instead of the newest.
    except: jobs whose photos are not meant.
    """

    model_config = ConfigDict(extra="forbid")

    all: StrictBool = False
    state: PhotoState | None = None
    name: str | None = Field(default=None, min_length=1, max_length=256, pattern=r"^[^\x00]*$")
    photos: list[uuid.UUID] = Field(default=[], max_length=MAX_NAMED)
    but: list[uuid.UUID] = Field(default=[], max_length=MAX_NAMED, alias="except")


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    summary="Choose photos by a query",
    description=f"Kept for {KEPT_HOURS} hours, the newest {MAX_CHOICES} of a tenant. The query "
    f"looks at the newest {MAX_JOBS} jobs; photos that come later are no part of the choice.",
    response_model=Choice,
    openapi_extra=json_document.describe_body(ChoiceRequest),
    responses=describe_responses("malformed_request", "unsupported_media", "invalid_request"),
)
async def create_choice(request: Request, services: OpenServices, caller: Submitter) -> Response:
    """Store a choice and return its numbers."""
    body = await json_document.read_body(request)
    asked = json_document.parse_document(ChoiceRequest, body)
    wanted = Wanted(
        all=asked.all,
        state=asked.state,
        name=asked.name,
        photos=tuple(map(JobId, asked.photos)),
        but=tuple(map(JobId, asked.but)),
    )
    async with services.database.transaction() as connection:
        choice = await connection.run_sync(choices.create, new_batch_id(), caller.tenant, wanted)
    answer = await _describe(services, choice, request)
    return documents.json_response(answer, status.HTTP_201_CREATED)


@router.get(
    "/{choice_id}",
    summary="Get a choice with its numbers of now",
    responses=describe_responses(*_PROBLEMS),
)
async def get_choice(
    choice_id: str, request: Request, services: OpenServices, caller: Reader
) -> Choice:
    """Return a choice."""
    return await _describe(services, await _find(services, caller, choice_id), request)


@router.post(
    "/{choice_id}/delete",
    summary="Delete the photos of a choice",
    description=f"{_STEPS} Deleted photos are hidden, and `restore` brings them back for "
    f"{UNDO_SECONDS:g} seconds after the last step; only then are rows and objects removed. "
    f"{jobs.NEEDS_ADMIN}",
    responses=describe_responses(*_PROBLEMS),
)
async def delete_choice(
    choice_id: str, services: OpenServices, caller: Submitter, cursor: Cursor = None
) -> ChoiceStep:
    """Hide the next photos of a choice until they are removed."""
    choice = await _find(services, caller, choice_id)
    page = await _next_page(services, choice, cursor, PHOTOS_PER_STEP)

    def move(connection: Connection) -> ChoiceStep:
        jobs_of = [job_id for photo in page for job_id in photo.versions]
        foreign = callers.list_foreign_jobs(connection, caller, jobs_of)
        kept = [photo for photo in page if not foreign.isdisjoint(photo.versions)]
        spared = {job_id for photo in kept for job_id in photo.versions}
        until = choices.mark_deleted(
            connection, choice, [job_id for job_id in jobs_of if job_id not in spared]
        )
        failures = [_failure(photo, InsufficientScope(callers.FOREIGN)) for photo in kept]
        done = len(page) - len(kept)
        return _step(page, PHOTOS_PER_STEP, done, failures, undo_until=until)

    async with services.database.writing_batch(caller.tenant) as connection:
        return await connection.run_sync(move)


@router.post(
    "/{choice_id}/restore",
    summary="Undo the deletion of a choice",
    description=f"Within {UNDO_SECONDS:g} seconds after its last step; later `job_deleted`. "
    f"{jobs.NEEDS_ADMIN}",
    responses=describe_responses(*_PROBLEMS, "job_deleted"),
)
async def resume_choice(
    choice_id: str, request: Request, services: OpenServices, caller: Submitter
) -> Choice:
    """Bring back what the choice has deleted."""
    choice = await _find(services, caller, choice_id)

    def restore(connection: Connection) -> None:
        restored = choices.restore(connection, choice)
        if restored is None:
            raise JobDeleted("nothing of this choice is deleted that could still be restored")
        callers.refuse_foreign(connection, caller, restored)

    async with services.database.writing_batch(caller.tenant) as connection:
        await connection.run_sync(restore)
    return await _describe(services, await _find(services, caller, choice_id), request)


@router.post(
    "/{choice_id}/cancel",
    summary="Cancel the unfinished photos of a choice",
    description=f"{_STEPS} {jobs.NEEDS_ADMIN}",
    responses=describe_responses(*_PROBLEMS),
)
async def cancel_choice(
    choice_id: str, services: OpenServices, caller: Submitter, cursor: Cursor = None
) -> ChoiceStep:
    """Cancel the next unfinished photos of a choice."""

    def move(connection: Connection, photo: ChosenPhoto) -> None:
        callers.refuse_foreign(connection, caller, [photo.shown])
        CLIENT.cancel(connection, photo.shown, caller.tenant)

    async def cancel(photo: ChosenPhoto) -> None:
        await services.database.transact(move, photo)

    return await _move(services, caller, choice_id, cursor, cancel, state=PhotoState.UNFINISHED)


@router.post(
    "/{choice_id}/redrive",
    summary="Redrive the failed photos of a choice",
    description=f"{_STEPS} {jobs.NEEDS_ADMIN}",
    responses=describe_responses(*_PROBLEMS, "queue_full"),
)
async def redrive_choice(
    choice_id: str, services: OpenServices, caller: Submitter, cursor: Cursor = None
) -> ChoiceStep:
    """Redrive the next failed photos of a choice."""

    def move(connection: Connection, job_id: JobId) -> None:
        callers.refuse_foreign(connection, caller, [job_id])
        quotas.check_queue_quota(connection, caller.tenant, caller.limits, exactly=True)
        quotas.check_deliveries(connection, caller.tenant, caller.limits, jobs=1, single=1)
        services.doorbell.ring(CLIENT.redrive(connection, job_id, caller.tenant))

    async def redrive(photo: ChosenPhoto) -> None:
        await services.database.transact(move, photo.shown)

    await services.eta.refresh()
    await services.refuse_when_full()
    return await _move(services, caller, choice_id, cursor, redrive, state=PhotoState.FAILED)


@router.post(
    "/{choice_id}/discard",
    summary="Delete the versions made since a choice that have not succeeded",
    description=f"The photos keep their versions from before. {_STEPS} {jobs.NEEDS_ADMIN}",
    responses=describe_responses(*_PROBLEMS),
)
async def remove_versions(
    choice_id: str, services: OpenServices, caller: Submitter, cursor: Cursor = None
) -> ChoiceStep:
    """Delete the unsuccessful versions of the next photos of a choice."""
    choice = await _find(services, caller, choice_id)

    async def discard(photo: ChosenPhoto) -> None:
        rows = await services.database.query(queries.get_many, photo.versions)
        for job_id, row in rows.items():
            if row and row.created_at > choice.made_at and row.state != JobState.SUCCEEDED:
                await jobs.delete_job(str(job_id), services, caller)

    return await _move(services, caller, choice_id, cursor, discard)


@router.post(
    "/{choice_id}/derive",
    summary="Derive a job for each photo of a choice",
    description="The body is that of a derivation, with a recipe that all photos get. In values "
    "of its metadata `{photo}` is the id of the photo, and `{job}` of the job that it derives "
    f"from. A photo that has all of the recipe stays as it is. {_STEPS}",
    response_model=ChoiceStep,
    openapi_extra={"requestBody": openapi_bodies.DERIVATION},
    responses=describe_responses(
        *(*_STEP_PROBLEMS, "unsupported_media", "photo_too_large", "invalid_request"),
        *("invalid_recipe", "contradiction", "not_available", "queue_full"),
    ),
)
async def derive_choice(
    choice_id: str,
    request: Request,
    services: OpenServices,
    caller: Deriver,
    *,
    cursor: Cursor = None,
    leave_out: LeaveOut = "",
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Derive jobs for the next photos of a choice."""
    await _find(services, caller, choice_id)
    async with (
        submission_derive.receive_derive_request(request) as sent,
        idempotency.once(services, request, caller, idempotency_key, sent.fingerprint) as once,
    ):
        if once.replayed is not None:
            return once.replayed
        derive = partial(_derive, services, caller, sent.read(), leave_out.split(","))
        step = await _move(services, caller, choice_id, cursor, derive, most=_DERIVATIONS_PER_STEP)
        answer = documents.json_response(step)
        async with services.database.transaction() as connection:
            await connection.run_sync(once.remember, answer)
        return answer


@router.get(
    "/{choice_id}/pictures",
    summary="List the finished pictures of a choice",
    description="Newest first, named as in the zip; equal names of one page get a number.",
    responses=describe_responses(*_PROBLEMS, "invalid_recipe"),
)
async def list_chosen_pictures(
    choice_id: str,
    services: OpenServices,
    caller: Reader,
    filename: FileName = USUAL_NAME,
    cursor: Cursor = None,
) -> ChosenPictures:
    """Return the next pictures and the names of their files."""
    names = archive.PictureNames(_parse_pattern(filename))
    choice = await _find(services, caller, choice_id)
    after = None if cursor is None else JobId(cursor)
    outputs, _, after = await archive.read_page(services, choice, after)
    return ChosenPictures(
        tuple(ChosenPicture(str(output.job.id), names.name(output)) for output in outputs),
        None if after is None else str(after),
    )


@router.get(
    "/{choice_id}/zip",
    summary="Download the pictures of a choice as one zip",
    description="In the order of the studio's sheet, in the folders that `metadata.folder` names. "
    "Equal names get a number. Pictures that could not be read are listed in "
    f"`{archive.NOT_INCLUDED}`.",
    response_class=StreamingResponse,
    responses={
        status.HTTP_200_OK: {"description": "The zip", "content": {"application/zip": {}}},
        **describe_responses(*_PROBLEMS, "invalid_recipe"),
    },
)
async def get_zip(
    choice_id: str, services: OpenServices, caller: Downloader, filename: FileName = USUAL_NAME
) -> Response:
    """Stream the finished pictures of a choice."""
    pattern = _parse_pattern(filename)
    return archive.respond(services, await _find(services, caller, choice_id), pattern)


def _parse_pattern(filename: str) -> str:
    try:
        return read_filename(filename)
    except ValueError as error:
        raise InvalidRecipe.of_fields([FieldError("/filename", str(error))]) from error


async def _find(services: Services, caller: Caller, choice_id: str) -> choices.Choice:
    id_ = parse_id(choice_id, "choice")
    choice = await services.database.query(choices.find, id_, caller.tenant)
    if choice is None:
        raise NotFound(f"there is no choice {choice_id}")
    return choice


async def _describe(services: Services, choice: choices.Choice, request: Request) -> Choice:
    def look(connection: Connection) -> Choice:
        counts = choices.count_photos(connection, choice)
        failed = (
            choices.list_photos(connection, choice, most=_MAX_FAILURES, state=PhotoState.FAILED)
            if counts.failed
            else []
        )
        made = [photo for photo in failed if photo.is_made]
        rows = queries.get_many(connection, [photo.shown for photo in made])
        failures = tuple(
            _describe_failure(photo, row.error)
            for photo in made
            if (row := rows.get(photo.shown)) is not None
        )
        return documents.render_as(
            Choice, counts, id=choice.id, failures=failures, undo_until=choice.delete_at
        )

    async with services.database.listing(choice.tenant, request) as connection:
        return await connection.run_sync(look)


async def _move(
    services: Services,
    caller: Caller,
    choice_id: str,
    cursor: uuid.UUID | None,
    move: Callable[[ChosenPhoto], Awaitable[JobId | None]],
    *,
    state: PhotoState | None = None,
    most: int = _MOVES_PER_STEP,
) -> ChoiceStep:
    """Move the next photos of a choice, each in a transaction of its own; return what was done.

    Raises the TryAgain of the first photo; at a later one the step ends before it. Raises
    InvalidRecipe if no photo was moved before, because the others would be refused, too.
    """
    choice = await _find(services, caller, choice_id)
    page = await _next_page(services, choice, cursor, most, state)
    failures: list[ChoiceFailure] = []
    made: list[JobId | None] = []
    for index, photo in enumerate(page):
        try:
            made.append(await move(photo))
        except (Rejected, Conflict) as error:
            # A contradiction, a kind of InvalidRecipe, may come from the photo's own recipe.
            if cursor is None and not made and type(error) is InvalidRecipe:
                raise
            # What has ended meanwhile needs no cancellation.
            if not isinstance(error, JobFinal):
                failures.append(_failure(photo, error))
        except TryAgain:
            if index == 0:
                raise
            page, most = page[:index], index
            break
    made_jobs = tuple(str(job_id) for job_id in made if job_id is not None)
    return _step(page, most, len(page) - len(failures), failures, jobs=made_jobs)


async def _derive(
    services: Services,
    caller: Caller,
    asked: DeriveRecipe,
    leave_out: Collection[str],
    photo: ChosenPhoto,
) -> JobId | None:
    parent = await services.database.query(jobs.find_job, str(photo.shown), caller.tenant)
    ids = {"{photo}": photo.mark, "{job}": str(parent.id)}
    given: dict[str, Value] = {
        name: [ids.get(text, text) if isinstance(text, str) else text for text in texts]
        if isinstance(texts, list)
        else texts
        for name, texts in asked.given.items()
    }
    if any(leave_out):
        given["outputs"] = [str(name) for name in parent.recipe.outputs if name not in leave_out]
    before = submission_derive.merge_fields(parent, {}, ())
    after = submission_derive.merge_fields(parent, given, asked.names)
    if asked.background is None and _without_marks(before) == _without_marks(after):
        return None
    accepted = await submission_derive.derive_job(
        services,
        caller,
        parent,
        replace(asked, given=given),
        IdempotentRequest(),
        link_seconds=None,
    )
    return accepted.job.id


def _without_marks(fields: Fields) -> dict[str, object]:
    """Return the fields that change a picture."""
    return {
        name: value
        for name, value in fields.items()
        if name not in {"priority", "outputs", "run_at", "deadline_ms"}
        and not name.startswith("metadata.")
    }


async def _next_page(
    services: Services,
    choice: choices.Choice,
    cursor: uuid.UUID | None,
    most: int,
    state: PhotoState | None = None,
) -> list[ChosenPhoto]:
    after = None if cursor is None else JobId(cursor)
    async with services.database.listing(choice.tenant) as connection:
        return await connection.run_sync(
            choices.list_photos, choice, after=after, most=most, state=state
        )


def _step(
    page: Sequence[ChosenPhoto], most: int, done: int, failures: list[ChoiceFailure], **more: object
) -> ChoiceStep:
    return documents.render_as(
        ChoiceStep,
        None,
        done=done,
        failures=tuple(failures),
        next_cursor=str(page[-1].place) if len(page) == most else None,
        **{"undo_until": None, "jobs": (), **more},
    )


def _failure(photo: ChosenPhoto, error: Error) -> ChoiceFailure:
    return _describe_failure(photo, error_document(error, ""))


def _describe_failure(photo: ChosenPhoto, stored: Json | None) -> ChoiceFailure:
    reason = read_as(BatchItemError, with_remedy(stored))
    assert reason is not None, "a failed job has an error"
    return ChoiceFailure(str(photo.shown), photo.name, reason)
