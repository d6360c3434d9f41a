"""Jobs derived from others, and corrections that they apply."""

from tempfile import SpooledTemporaryFile

from fastapi import APIRouter, Request, Response, status
from sqlalchemy import Connection

from smart_filter_api import (
    acceptances,
    changes,
    correcting,
    deriving,
    documents,
    idempotency,
    spans,
)
from smart_filter_api.deps import OpenServices, Reader, Services, Submitter
from smart_filter_api.idempotency import IdempotencyKey
from smart_filter_api.keys import Caller
from smart_filter_api.openapi import bodies as openapi_bodies
from smart_filter_api.problems import documented
from smart_filter_api.routes import jobs
from smart_filter_api.schemas.deriving import (
    CorrectionAnswer,
    CorrectionPage,
    CorrectionRequest,
)
from smart_filter_api.schemas.jobs import JobAnswer
from smart_filter_shared.jobs import corrections
from smart_filter_shared.jobs.corrections import MOST_MASK_BYTES, Correction
from smart_filter_shared.jobs.queries import JobRow

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["jobs"])

_SENT = (
    *("malformed_request", "unsupported_media"),
    *("idempotency_in_progress", "idempotency_mismatch"),
)
_ALWAYS = ("unauthorized", "scope", "not_found", "job_deleted", "unavailable")
# Base64 writes three bytes as four letters; around the mask there is little.
_MOST_BYTES = -(-MOST_MASK_BYTES // 3) * 4 + 10_000


@router.post(
    "/derive",
    status_code=status.HTTP_202_ACCEPTED,
    summary="Do it again with another recipe",
    description="A job of the same photo: the parent's recipe, but for the names that are given. "
    "Only stages that differ run. A form can send a background along. A parent that was derived "
    "with corrections hands them on.",
    response_model=JobAnswer,
    openapi_extra={"requestBody": openapi_bodies.DERIVATION},
    responses=documented(
        *_ALWAYS,
        *_SENT,
        "photo_too_large",
        "job_not_finished",
        "inputs_expired",
        "invalid_request",
        "invalid_recipe",
        "contradiction",
        "not_available",
        "queue_full",
    )
    | {status.HTTP_200_OK: {"model": JobAnswer, "description": "it ended within `Prefer: wait`"}},
)
async def derive(
    job_id: str,
    request: Request,
    services: OpenServices,
    caller: Submitter,
    *,
    prefer: jobs.Preferences = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Queue a job of a photo that is here already."""
    async with services.reading() as connection:
        parent = await connection.run_sync(jobs.found, job_id, caller.tenant)

    def remember(connection: Connection, row: JobRow) -> None:
        once.remember(connection, acceptances.answer(row, services), job_id=row.id)

    async with (
        changes.received(request) as sent,
        idempotency.once(
            services, request, caller.tenant, idempotency_key, sent.fingerprint
        ) as once,
    ):
        if once.replayed is not None:
            return once.replayed
        also = remember if once.is_named else None
        taken = await deriving.accept(services, caller, parent, sent.read(), also=also)
    services.ringer.ring(taken.ringing)
    await spans.tell(request, jobs=[taken.job.id])
    return await acceptances.preferred(
        services, caller, taken, remembered=once.remembered, prefer=prefer
    )


@router.post(
    "/corrections",
    status_code=status.HTTP_201_CREATED,
    summary="Say what is right of a job's results",
    description="`derive` with its id as `correction_id` applies it.",
    response_model=CorrectionAnswer,
    openapi_extra=documents.described(CorrectionRequest),
    responses=documented(*_ALWAYS, *_SENT, "job_not_finished", "inputs_expired", "invalid_request"),
)
async def correct(
    job_id: str,
    request: Request,
    services: OpenServices,
    caller: Submitter,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Keep a correction."""
    async with services.reading() as connection:
        await connection.run_sync(jobs.found, job_id, caller.tenant)
    with SpooledTemporaryFile(max_size=documents.MOST_BYTES) as spool:
        await documents.read_large(request, spool, most=_MOST_BYTES)
        # A mask is as large as a photo in JSON: one after the other is taken into memory.
        async with services.json_bodies:
            body = await services.in_thread(spool.read)
            return await _kept(
                job_id, request, services, caller, idempotency_key=idempotency_key, body=body
            )


async def _kept(
    job_id: str,
    request: Request,
    services: Services,
    caller: Caller,
    *,
    idempotency_key: str | None,
    body: bytes,
) -> Response:
    async with idempotency.once(services, request, caller.tenant, idempotency_key, body) as once:
        if once.replayed is not None:
            return once.replayed
        async with services.reading() as connection:
            job = await connection.run_sync(jobs.found, job_id, caller.tenant)
        asked = await services.in_thread(documents.parse, CorrectionRequest, body)
        async with correcting.stored(services, caller, job, asked) as write:

            def move(connection: Connection) -> Response:
                answer = Response(
                    _shown(write(connection)).model_dump_json(),
                    status_code=status.HTTP_201_CREATED,
                    media_type="application/json",
                )
                once.remember(connection, answer, job_id=job.id)
                return answer

            async with services.transaction() as connection:
                return await connection.run_sync(move)


@router.get("/corrections", summary="List a job's corrections", responses=documented(*_ALWAYS))
async def list_corrections(job_id: str, services: OpenServices, caller: Reader) -> CorrectionPage:
    """Answer the corrections of a job that are kept."""

    def look(connection: Connection) -> list[Correction]:
        return corrections.of_job(connection, jobs.found(connection, job_id, caller.tenant).id)

    async with services.reading() as connection:
        kept = await connection.run_sync(look)
    return CorrectionPage(items=[_shown(one) for one in kept])


def _shown(correction: Correction) -> CorrectionAnswer:
    return CorrectionAnswer.model_validate(
        {
            "id": correction.id,
            "job_id": correction.job_id,
            "kind": correction.kind,
            "stage": correction.stage,
            "form": correction.form,
            "label": correction.label,
            "consent": correction.consent,
            "models": correction.provenance["models"],
            "created_at": correction.created_at,
            "expires_at": correction.expires_at,
        }
    )
