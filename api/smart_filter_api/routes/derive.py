"""Endpoints to derive jobs from others, and for corrections that derived jobs apply."""

from contextlib import ExitStack
from tempfile import SpooledTemporaryFile

from fastapi import APIRouter, Request, Response, status
from sqlalchemy import Connection

from smart_filter_api.auth.api_keys import Caller
from smart_filter_api.http import middleware
from smart_filter_api.http.documents import json_response, render_as
from smart_filter_api.http.strict_json import max_text_bytes
from smart_filter_api.intake import json_document
from smart_filter_api.intake.body import parsing
from smart_filter_api.openapi import bodies as openapi_bodies
from smart_filter_api.problems.problem import describe_responses
from smart_filter_api.responses import submission as responses_submission
from smart_filter_api.responses.submission import PictureWanted
from smart_filter_api.routes import jobs
from smart_filter_api.schemas.submissions import (
    CorrectionRequest,
)
from smart_filter_api.services import idempotency
from smart_filter_api.services.callers import Deriver, LinkOptions, Reader, Submitter
from smart_filter_api.services.container import OpenServices, Services
from smart_filter_api.services.idempotency import IdempotencyKey
from smart_filter_api.submission import correct as submission_correct
from smart_filter_api.submission import derive as submission_derive
from smart_filter_shared.feedback import corrections
from smart_filter_shared.feedback.corrections import MAX_MASK_BYTES, Correction
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.typed_json import read_as
from smart_filter_wire import corrections as wire
from smart_filter_wire.corrections import CorrectionPage, FaceChanges, Label
from smart_filter_wire.jobs import Job

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["jobs"])

_PROBLEMS = ("not_found", "job_deleted")
# All but the mask is small.
_MAX_BODY_BYTES = max_text_bytes(MAX_MASK_BYTES) + 10_000


@router.post(
    "/derive",
    status_code=status.HTTP_202_ACCEPTED,
    summary="Derive a job with another recipe",
    description="Creates a job for the same photo, with the parent's recipe except for the given "
    "fields. Only stages whose work differs run. A form can include a background file. The "
    "corrections of the parent apply to the new job too.",
    response_model=Job,
    openapi_extra={"requestBody": openapi_bodies.DERIVATION},
    responses=describe_responses(
        *(*_PROBLEMS, *idempotency.PROBLEMS, "unsupported_media"),
        *("photo_too_large", "job_not_finished", "inputs_expired", "invalid_request"),
        *("invalid_webhook_url", "invalid_recipe", "contradiction", "not_available"),
        *("no_picture", "queue_full"),
    )
    | responses_submission.WAITED,
)
async def derive_job(
    job_id: str,
    request: Request,
    services: OpenServices,
    caller: Deriver,
    *,
    links: LinkOptions,
    picture: PictureWanted,
    prefer: jobs.Preferences = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Create a job for the photo of another job."""
    parent = await services.database.query(jobs.find_job, job_id, caller.tenant)
    async with (
        submission_derive.receive_derive_request(request) as sent,
        idempotency.once(services, request, caller, idempotency_key, sent.fingerprint) as once,
    ):
        if once.replayed is not None:
            return once.replayed
        accepted = await submission_derive.derive_job(
            services,
            caller,
            parent,
            sent.read(),
            once,
            link_seconds=None if links is None else links.seconds,
        )
    await middleware.record_submission(request, jobs=[accepted.job.id])
    return await responses_submission.respond_or_wait(
        services,
        request,
        caller,
        accepted,
        remembered=once.remembered,
        prefer=prefer,
        links=links,
        picture=picture,
    )


@router.post(
    "/corrections",
    status_code=status.HTTP_201_CREATED,
    summary="Add a correction of a job's results",
    description="Apply it with `derive`, whose `correction_id` is the correction's id.",
    response_model=wire.Correction,
    openapi_extra=json_document.describe_body(CorrectionRequest),
    responses=describe_responses(
        *(*_PROBLEMS, *idempotency.PROBLEMS, "unsupported_media"),
        *("photo_too_large", "job_not_finished", "inputs_expired", "invalid_request"),
    ),
)
async def create_correction(
    job_id: str,
    request: Request,
    services: OpenServices,
    caller: Submitter,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Store a correction."""
    await services.database.query(jobs.find_job, job_id, caller.tenant)
    with ExitStack() as open_files:
        spool = open_files.enter_context(SpooledTemporaryFile(max_size=json_document.MAX_BYTES))
        await json_document.read_large(request, spool, open_files, max_bytes=_MAX_BODY_BYTES)
        # A mask can be as large as a photo in JSON, so only one at a time is read into memory.
        async with parsing(request, spool):
            body = await services.in_thread(spool.read)
            return await _store_correction(
                job_id, request, services, caller, idempotency_key=idempotency_key, body=body
            )


async def _store_correction(
    job_id: str,
    request: Request,
    services: Services,
    caller: Caller,
    *,
    idempotency_key: str | None,
    body: bytes,
) -> Response:
    async with idempotency.once(services, request, caller, idempotency_key, body) as once:
        if once.replayed is not None:
            return once.replayed
        job = await services.database.query(jobs.find_job, job_id, caller.tenant)
        asked = await services.in_thread(json_document.parse_document, CorrectionRequest, body)
        async with (
            submission_correct.store_correction(services, job, asked) as new,
            services.database.transaction() as connection,
        ):
            correction = await connection.run_sync(
                submission_correct.insert_correction, services, caller, job, new
            )
            answer = json_response(_render_correction(correction), status.HTTP_201_CREATED)
            await connection.run_sync(once.remember, answer, job_id=job.id)
            return answer


@router.get(
    "/corrections",
    summary="List a job's corrections",
    responses=describe_responses(*_PROBLEMS),
)
async def list_corrections(job_id: str, services: OpenServices, caller: Reader) -> CorrectionPage:
    """Return the stored corrections of a job."""

    def look(connection: Connection) -> list[Correction]:
        return corrections.list_for_job(
            connection, jobs.find_job(connection, job_id, caller.tenant).id
        )

    kept = await services.database.query(look)
    return CorrectionPage(items=tuple(map(_render_correction, kept)))


def _render_correction(correction: Correction) -> wire.Correction:
    models = correction.provenance["models"]
    # Changes of faces are stored as a label of their stage.
    if correction.stage == StageName.FACE:
        shown = {"kind": "faces", "form": "faces", "label": None}
        faces = read_as(FaceChanges, correction.label)
        return render_as(wire.Correction, correction, models=models, **shown, faces=faces)
    label = read_as(Label, correction.label)
    return render_as(wire.Correction, correction, models=models, label=label, faces=None)
