"""Prepare the submission of one photo: choose its models and admit its job."""

from collections.abc import Sequence

from smart_filter_api.auth.api_keys import Caller
from smart_filter_api.caches import ParsedRecipe, RecipeLayer
from smart_filter_api.intake.body import PhotoRequest, RemotePhoto, SpooledFile
from smart_filter_api.services.container import Services
from smart_filter_api.services.idempotency import IdempotentRequest
from smart_filter_api.submission import admission, commit, correct, photo_source, recipe_parser
from smart_filter_api.submission.admission import AdmissionRequest
from smart_filter_api.submission.commit import AcceptedJob, JobSubmission
from smart_filter_api.submission.photo_source import ResolvedPhoto
from smart_filter_shared.errors import (
    InsufficientScope,
    InvalidRecipe,
    InvalidRequest,
    Rejected,
    UploadMissing,
)
from smart_filter_shared.feedback.corrections import sent_with_photo
from smart_filter_shared.ids import OPERATOR, JobId, new_correction_id, new_job_id
from smart_filter_shared.jobs.submission import NewPhotoJob
from smart_filter_shared.recipe import BackgroundKind
from smart_filter_shared.recipe.recipe import MAX_SEED
from smart_filter_shared.storage import keys


async def submit_photo(
    services: Services,
    caller: Caller,
    upload: PhotoRequest,
    once: IdempotentRequest,
    *,
    job_id: JobId,
    link_seconds: int | None,
) -> AcceptedJob:
    """Check a photo and its recipe, admit the job, write it with its answer, and return it.

    job_id: of the new job.  Others, and errors: as in `prepare_submission` and `commit.write_job`.
    """
    submission = await prepare_submission(
        services, caller, upload, job_id=job_id, link_seconds=link_seconds
    )
    return await commit.write_job(services, caller, submission, once)


async def prepare_submission(
    services: Services,
    caller: Caller,
    upload: PhotoRequest,
    *,
    job_id: JobId | None = None,
    link_seconds: int | None = None,
) -> JobSubmission:
    """Check a photo and its recipe, admit the job, and return it ready to be written.

    job_id: of the new job; None: any.
    link_seconds: lifetime of its signed links; None: the tenant's.
    Raises InvalidRecipe, Contradiction, NotAvailable, InvalidRequest, InvalidPhotoUrl,
    InvalidWebhookUrl, UploadMissing, PhotoTooLarge, UnsupportedMedia, QueueFull, ServiceFull,
    RateLimited, DeadlineInfeasible, InsufficientScope, DatabaseUnavailable and StorageUnavailable.
    """
    tenant = caller.tenant
    if caller.is_device:
        _refuse_addresses(upload)
    if tenant != OPERATOR:
        await services.refuse_when_full()
    await services.eta.refresh()
    parsed_recipe, photo, webhook_url = await _read_request(services, caller, upload)
    if caller.is_device and parsed_recipe.recipe.background.kind == BackgroundKind.URL:
        _refuse_background_address(upload)
    strokes = None
    if upload.mask is not None or upload.strokes is not None:
        strokes = await services.in_thread(
            correct.read_drawing, upload, parsed_recipe.recipe, photo
        )
    digest = None if photo.spooled is None else photo.spooled.digest
    drawn: SpooledFile | None = upload.mask or strokes
    # A picture with a mask or strokes is no result of the photo and the recipe alone.
    is_shared = services.settings.engine.remember and drawn is None
    admitted = await admission.admit_job(
        services,
        caller,
        AdmissionRequest(
            parsed_recipe,
            photo.megapixels,
            charged_megapixels=photo.megapixels,
            digest=digest if is_shared else None,
            pictures=[
                picture
                for picture in (photo.spooled, upload.background, upload.mask)
                if picture is not None
            ],
            webhook_url=webhook_url,
        ),
    )
    recipe = admitted.recipe
    job_id = job_id or new_job_id()
    # The low bits of the id are random; asking the system for more random bytes is slower.
    seed = job_id.int & MAX_SEED if recipe.seed is None else recipe.seed
    retention = caller.retention.within(services.retention)
    # With `keep_nothing` a job's photo is deleted with the job, so no other job may share it.
    photo_key = referenced_photo = None if retention.nothing else admitted.equal_photo
    background_key = None
    pictures: dict[str, SpooledFile] = {}
    if photo.spooled is not None and photo_key is None:
        photo_key = keys.photo(tenant, job_id)
        pictures[photo_key] = photo.spooled
    if upload.background is not None:
        background_key = keys.background(tenant, job_id)
        pictures[background_key] = upload.background
    corrections = []
    if drawn is not None:
        correction_id = new_correction_id()
        key = keys.correction(tenant, job_id, correction_id)
        pictures[key] = drawn
        form, points = ("mask", 0) if strokes is None else ("strokes", strokes.points)
        corrections.append(sent_with_photo(correction_id, form, key, points))
    job = NewPhotoJob(
        job_id=job_id,
        tenant=tenant,
        recipe=recipe,
        seed=seed,
        place=admitted.place,
        photo_key=photo_key,
        photo_digest=digest,
        background_key=background_key,
        lengths={key: picture.length for key, picture in pictures.items()},
        retention=retention,
        plans=admitted.plans,
        webhook_url=webhook_url,
        megapixels=photo.megapixels,
        photo_url=photo.url,
        upload=photo.upload,
        photo_name=upload.photo_name,
        cache_keys=admitted.cache_keys,
        results=admitted.results,
        references=() if referenced_photo is None else (referenced_photo,),
        corrections=tuple(corrections),
        degraded=admitted.degraded,
        link_seconds=link_seconds or caller.link_seconds,
        device_key_id=caller.device_key_id,
        key_id=caller.key_id,
        # The time includes a download from a remote server, so estimates must not learn from it.
        eta=None if photo.url is not None else admitted.eta,
    )
    return JobSubmission(job, admitted, pictures, photo.megapixels)


def _refuse_addresses(upload: PhotoRequest) -> None:
    """Raise InsufficientScope if a device names a host that the service would call."""
    if upload.webhook_url is not None:
        raise InsufficientScope(
            "a device key cannot name webhook_url; the tenant's webhooks receive its jobs' ends"
        )
    if isinstance(upload.photo, RemotePhoto):
        raise InsufficientScope(
            "a device key cannot name photo_url; send the photo's bytes, or an upload_id"
        )


def _refuse_background_address(upload: PhotoRequest) -> None:
    """Raise InsufficientScope unless the address is the tenant's default, which it may use."""
    if "background" in upload.fields:
        raise InsufficientScope(
            "a device key cannot name background=url:…; send the picture as background_file"
        )


async def _read_request(
    services: Services, caller: Caller, upload: PhotoRequest
) -> tuple[ParsedRecipe, ResolvedPhoto, str | None]:
    """Return the parsed recipe, the photo and the normalized webhook_url of a request.

    Raises one error for everything that is wrong with the three; the errors of `resolve_photo`
    that are not about a field are raised only when nothing else is wrong.
    """
    faults: list[InvalidRecipe] = []
    parsed_recipe = photo = webhook_url = None
    try:
        webhook_url = photo_source.check_webhook(services, upload.webhook_url)
    except InvalidRecipe as error:
        faults.append(error)
    try:
        parsed_recipe = await recipe_parser.read_recipe(
            services,
            caller,
            upload.fields,
            layers=[RecipeLayer(caller.recipe), RecipeLayer(upload.implied, "")],
            with_background_file=upload.background is not None,
        )
    except InvalidRecipe as error:
        faults.append(error)
    try:
        photo = await photo_source.resolve_photo(services, caller.tenant, upload.photo)
    except InvalidRecipe as error:
        faults.append(error)
    except (Rejected, UploadMissing):
        if not faults:
            raise
    if parsed_recipe is None or photo is None or faults:
        raise _combine_faults(faults)
    return parsed_recipe, photo, webhook_url


def _combine_faults(faults: Sequence[InvalidRecipe]) -> InvalidRecipe:
    """Return an error that names all faults; it has the kind of the faults if all have the same."""
    kinds = {type(fault) for fault in faults}
    kind = kinds.pop() if len(kinds) == 1 else InvalidRequest
    return kind([error for fault in faults for error in fault.errors])
