"""What every kind of problem means and what to do about it: a page for each code.

One text for the member `remedy` of problem documents, for the page that the service shows at
/problems/CODE, and for docs/problems/CODE.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass

_HEADER_OF_KEY = "`Authorization: Bearer KEY`"
_PICTURE = "JPEG, PNG, WebP or AVIF (HEIC where the server reads it)"


@dataclass(frozen=True, slots=True)
class Page:
    """A kind of problem.

    meaning: what is so.  causes: what leads to it.  remedy: what to do, in a sentence.
    detail, pointers: what an example of it tells, and the fields that it names.
    """

    meaning: str
    causes: tuple[str, ...]
    remedy: str
    detail: str
    pointers: tuple[str, ...] = ()


PAGES: Mapping[str, Page] = {
    "malformed_request": Page(
        "The request cannot be read, so nothing of it was done.",
        (
            "The multipart body is cut off, or its boundary is not the one that was announced.",
            "The JSON body does not follow RFC 8259, or names a field twice.",
            "There is no photo, or more than one.",
            "A query parameter or a header has a value that it cannot have.",
        ),
        "Mend what `errors` points to and send the request again; an HTTP library that builds "
        "the body avoids most of this.",
        "there is no photo: send it as the part named 'photo'",
        ("/photo",),
    ),
    "unauthorized": Page(
        "The request does not show a key that is valid.",
        (
            f"The header {_HEADER_OF_KEY} is missing or written differently.",
            "The key is unknown, has expired or was revoked.",
        ),
        f"Send {_HEADER_OF_KEY} with a valid key; the operator makes them with "
        "`smart-filter keys create`.",
        "the key is not valid: unknown, expired or revoked",
        ("/Authorization",),
    ),
    "scope": Page(
        "The key is valid, but does not allow this.",
        (
            "The key lacks the scope `submit`, `read` or `admin` that the operation needs.",
            "The key is one for a device, which submits photos and nothing else.",
            "A key for a device has submitted as many jobs as it may.",
            "Another tenant was named.",
            "The key to be revoked is an operator's: `smart-filter keys revoke` does that.",
        ),
        "Use a key that has the scope; `GET /v1/keys` lists what each key allows.",
        "the key lacks the scope admin",
    ),
    "csrf": Page(
        "A session's request may come from another site's page, so it was not done.",
        (
            "The header `X-CSRF-Token` is missing, or is not the session's token.",
            "The request comes from a page of another origin.",
        ),
        "Send `csrf_token` of `GET /v1/session` as `X-CSRF-Token`; pages of other origins use a "
        "key.",
        "send the session's token in the header X-CSRF-Token",
    ),
    "not_found": Page(
        "There is nothing at this address for this key.",
        (
            "The id is wrong, or belongs to another tenant: both are answered alike.",
            "The path is misspelt.",
            "The job was not asked for this output, or did not succeed.",
        ),
        "Take ids and links from answers of this service, such as `links` of a job.",
        "job 019a9d3c-5d64-7c1e-8a2b-6f0e3d2c1b0a",
    ),
    "method_not_allowed": Page(
        "The address exists, but not with this method.",
        ("`GET` was sent where `POST` is meant, or the other way round.",),
        "Use a method that the header `Allow` of the answer names.",
        "there is no PUT /v1/jobs",
    ),
    "job_final": Page(
        "The job has ended; what was asked for needs one that has not, or one that failed.",
        (
            "A job was canceled that had ended by then.",
            "A job was to go on that did not fail.",
        ),
        "Look at the job: its `state` and `error` tell how it ended.",
        "job 019a9d3c-5d64-7c1e-8a2b-6f0e3d2c1b0a has succeeded",
    ),
    "job_not_finished": Page(
        "What was asked for does not exist before the job ends.",
        ("An output was fetched, or a job redriven, while the job was still under way.",),
        "Wait for the end: `Prefer: wait=60` on the job, its events, or a webhook.",
        "job 019a9d3c-5d64-7c1e-8a2b-6f0e3d2c1b0a is running; ask again when it has succeeded",
    ),
    "upload_missing": Page(
        "A job names an upload before its photo was put there.",
        ("The PUT to `put_url` was not sent, failed, or is still under way.",),
        "PUT the photo to `put_url` with the upload's `headers`, then send the request again.",
        "nothing was put into the upload yet; PUT the photo to its put_url, with its headers, and "
        "send this request again",
    ),
    "job_deleted": Page(
        "The job was deleted; nothing of it is kept.",
        ("Somebody with a key of this tenant has deleted the job.",),
        "Submit the photo again, without the old `Idempotency-Key`.",
        "job 019a9d3c-5d64-7c1e-8a2b-6f0e3d2c1b0a was deleted; nothing of it is kept",
    ),
    "inputs_expired": Page(
        "The photo, or what was made from it on the way, is not kept any more.",
        ("Photos are kept for a day unless the operator has set another time.",),
        "Submit the photo again.",
        "the photo of job 019a9d3c-5d64-7c1e-8a2b-6f0e3d2c1b0a is not kept any more",
    ),
    "output_expired": Page(
        "The output was kept for its time and is gone.",
        ("Results are kept for a week unless the operator has set another time.",),
        "Submit the photo again, and fetch outputs before `expires_at` of the job.",
        "the output was kept for its time and is gone; submit the photo again",
    ),
    "idempotency_in_progress": Page(
        "A request with the same `Idempotency-Key` is still being worked on.",
        (
            "The first request was slow and was sent again.",
            "The process that worked on it died; its key is free again after a minute.",
        ),
        "Send the same request again in a second, with the same key.",
        "the first request with this key is being worked on",
    ),
    "idempotency_mismatch": Page(
        "The `Idempotency-Key` was used for another request within the last 24 hours.",
        ("The body, the path or the method differs from that of the first request.",),
        "Draw a new key for every new request; keep it for sending the same one again.",
        "this key was used for another request; take a new one",
        ("/Idempotency-Key",),
    ),
    "photo_too_large": Page(
        "A picture, or the body around it, is larger than is accepted.",
        (
            "The picture has more than 40,000,000 bytes.",
            "Its header tells of more than 50,000,000 pixels.",
            "The fields around the pictures take more than a million bytes.",
        ),
        "Scale the picture down, or encode it with a lower quality.",
        "the photo is 10000 × 5001 pixels; at most 50 megapixels are accepted",
        ("/photo",),
    ),
    "unsupported_media": Page(
        "What was sent as a picture is none that is accepted, or the body is in a coding that "
        "is not read.",
        (
            "The file is empty, a text, SVG, PDF, a zip, or a picture of another format.",
            "Its header is cut off, or says that it has no pixels.",
            "The body is compressed (`Content-Encoding`).",
        ),
        f"Send {_PICTURE}, as it is.",
        "the photo is a GIF; accepted are JPEG, PNG, WebP and AVIF",
        ("/photo",),
    ),
    "invalid_recipe": Page(
        "A name of the recipe is unknown, or has a value that it cannot have.",
        (
            "A name is misspelt, or given twice.",
            "A number is out of its range, or a word is none of those that a name takes.",
            "A model, background or filter is named that this server does not have.",
        ),
        "Mend every field that `errors` points to; `GET /v1/models`, `/v1/backgrounds` and "
        "`/v1/filters` list what can be named.",
        "/quality: is not a whole number from 1 to 100",
        ("/quality",),
    ),
    "contradiction": Page(
        "Fields that are right one by one do not go together.",
        (
            "`format=jpg` with a transparent background.",
            "A background file beside another background.",
        ),
        "Leave out one of the fields that `errors` points to.",
        "/background, /format: jpg has no transparency; ask for png or webp",
        ("/background", "/format"),
    ),
    "invalid_request": Page(
        "A field of the body has a value that it cannot have; the body is no recipe.",
        ("A field is misspelt, missing, of another type, or out of its range.",),
        "Mend every field that `errors` points to.",
        "/scopes: List should have at least 1 item after validation, not 0",
        ("/scopes",),
    ),
    "webhook_disabled": Page(
        "Nothing is sent to this webhook now.",
        (
            "Its owner has paused it.",
            "Its server has answered 410 Gone.",
        ),
        'Enable it first: `PATCH /v1/webhooks/{id}` with `{"enabled": true}`.',
        "webhook 5b1f9a52-3d0e-4a57-9d2c-1f6f0a7b8c9d is disabled (paused); PATCH it with "
        '{"enabled": true} first',
    ),
    "not_available": Page(
        "The contract knows this field or value, but this server does not serve it.",
        (
            "The field comes with a later version.",
            "No worker of this server offers the model.",
            "The operator has left out what it needs, such as the key that seals secrets.",
        ),
        "Leave out what `errors` points to, or ask the operator for it.",
        "/webhook_url: webhooks need the setting SMART_FILTER_SECRETS_KEY here",
        ("/webhook_url",),
    ),
    "rate_limited": Page(
        "The tenant has sent more than it may in a time.",
        (
            "More requests in a minute than its limit: see the header `RateLimit-Policy`.",
            "More megapixels in a day than its limit.",
        ),
        "Wait for the seconds in `Retry-After`, then send the request again.",
        "6000 requests a minute are allowed; come again in 1 s",
    ),
    "queue_full": Page(
        "As many jobs wait as may: of this tenant, or of all.",
        ("Photos are submitted faster than they are worked on.",),
        "Wait for the seconds in `Retry-After`, then send the request again.",
        "10000 jobs of yours wait already, which is as many as may",
    ),
    "internal": Page(
        "Something went wrong in the service; the fault is not yours.",
        ("A defect. The service's log has its traceback under the id in `instance`.",),
        "Tell the operator `instance`; a request with an `Idempotency-Key` may be sent again.",
        "the fault is not yours; the log has it under `instance`",
    ),
    "unavailable": Page(
        "A server that the service needs cannot be reached just now.",
        ("The database or the storage is restarting, overloaded or away.",),
        "Wait for the seconds in `Retry-After`, then send the request again, with the same "
        "`Idempotency-Key`.",
        "database or storage is away; send the request again",
    ),
}
