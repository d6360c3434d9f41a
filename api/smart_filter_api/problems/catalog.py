"""The catalog of problem types: meaning, causes, remedy and an example for each code.

Problem documents and the errors of failed jobs take `remedy` from it; /problems/CODE and
docs/problems/CODE.md show the rest.
"""

from collections.abc import Mapping
from dataclasses import dataclass

_HEADER_OF_KEY = "`Authorization: Bearer KEY`"
_IMAGE = "JPEG, PNG, WebP, AVIF, HEIC, GIF, BMP or TIFF"


@dataclass(frozen=True, slots=True)
class ProblemPage:
    """One problem type.

    meaning: what happened.  causes: what usually leads to it.  remedy: what to do, in a sentence.
    detail, pointers: of the example that the page shows.
    """

    meaning: str
    causes: tuple[str, ...]
    remedy: str
    detail: str
    pointers: tuple[str, ...] = ()


PAGES: Mapping[str, ProblemPage] = {
    "malformed_request": ProblemPage(
        "The request cannot be parsed; nothing was done.",
        (
            "The multipart body is truncated, or its boundary is not the one in `Content-Type`.",
            "The JSON body does not follow RFC 8259, or names a field twice.",
            "There is no photo, or more than one.",
            "A query parameter is unknown or misspelled, or has an invalid value.",
            "A header has an invalid value, or `Authorization` is given twice.",
        ),
        "Fix what `errors` points to and send the request again. Let an HTTP library build the "
        "body.",
        "there is no photo: send it as the part named 'photo'",
        ("/photo",),
    ),
    "unauthorized": ProblemPage(
        "The request has no valid API key.",
        (
            f"The header {_HEADER_OF_KEY} is missing or malformed.",
            "The key is unknown, has expired or was revoked.",
        ),
        f"Send {_HEADER_OF_KEY} with a valid key; the operator creates keys with "
        "`smart-filter keys create`.",
        "the API key is unknown, expired or revoked",
        ("/Authorization",),
    ),
    "scope": ProblemPage(
        "The key is valid but does not allow this operation.",
        (
            "The key lacks the scope that the operation requires: `submit`, `read` or `admin`.",
            "The key is a device token, which can only submit photos and read its own jobs.",
            "A device token names an address: `webhook_url`, `photo_url`, `background=url:…`.",
            "The request names another tenant.",
            "The key to revoke belongs to the operator; use `smart-filter keys revoke`.",
        ),
        "Use a key with the required scope; `GET /v1/keys` lists the scopes of each key.",
        "the key lacks the scope admin",
    ),
    "token_used_up": ProblemPage(
        "The device token has submitted all the jobs that it allows.",
        ("`max_jobs` of the token was reached; deleted and failed jobs count too.",),
        "Issue another token with `POST /v1/tokens`, with a larger `max_jobs` if the device needs "
        "it.",
        "the device token has submitted its maximum number of jobs (max_jobs)",
    ),
    "csrf": ProblemPage(
        "The request may have been forged by a page of another site; nothing was done.",
        (
            "The header `X-CSRF-Token` is missing or does not match the session.",
            "The request comes from another origin.",
        ),
        "Send `csrf_token` from `GET /v1/session` as `X-CSRF-Token`. Pages of other origins use an "
        "API key.",
        "the header X-CSRF-Token must hold the `csrf_token` of GET /v1/session",
    ),
    "sign_in_again": ProblemPage(
        "A session issues a key, makes or changes a webhook or changes a tenant only after a "
        "recent sign-in.",
        (
            "The sign-in is more than 15 minutes old.",
            "An identity provider remembered the person, or did not say when they signed in.",
        ),
        "Sign in again, at a provider by `/sign-in/oidc?again=true`, and repeat the request. "
        "Requests with a key in a header need no sign-in.",
        "the sign-in is more than 15 minutes old",
    ),
    "link_invalid": ProblemPage(
        "The signed link does not open anything.",
        (
            "The link was cut off or changed, for example by a mail program.",
            "Its signature belongs to another job or output, or to another upload.",
            "An upload differs from what was announced in its type or number of bytes.",
            "The operator has replaced the key that signs links.",
        ),
        "Get a new link: `output_links` of `GET /v1/jobs/{id}`, or `POST /v1/uploads`.",
        "the link is not valid",
    ),
    "not_found": ProblemPage(
        "Nothing exists at this URL for this key.",
        (
            "The id is wrong, or belongs to another tenant (both get the same answer).",
            "The path is misspelled.",
            "The job did not request this output, or did not succeed.",
        ),
        "Use ids and links from responses of this service, such as `links` of a job.",
        "there is no job 019a9d3c-5d64-7c1e-8a2b-6f0e3d2c1b0a",
    ),
    "method_not_allowed": ProblemPage(
        "The URL exists but does not support this method.",
        ("`GET` was sent instead of `POST`, or the reverse.",),
        "Use a method listed in the response header `Allow`.",
        "there is no PUT /v1/jobs",
    ),
    "job_final": ProblemPage(
        "The job has already ended; the operation requires an unfinished or a failed job.",
        (
            "The job ended before the cancel request arrived.",
            "The redrive request names a job that did not fail.",
        ),
        "Read the job; `state` and `error` say how it ended.",
        "job 019a9d3c-5d64-7c1e-8a2b-6f0e3d2c1b0a has succeeded",
    ),
    "job_not_finished": ProblemPage(
        "The requested resource exists only after the job has ended.",
        ("The request fetches an output or redrives a job that is still running.",),
        "Wait for the job to end: use `Prefer: wait=60`, the event stream, or a webhook.",
        "job 019a9d3c-5d64-7c1e-8a2b-6f0e3d2c1b0a is running; try again when it has succeeded",
    ),
    "no_picture": ProblemPage(
        "`Accept` names only pictures, and the job has ended without one.",
        ("The job failed or was canceled.", "Its `outputs` do not name `image`."),
        "Read the job at `Location`: `state` and `error` say how it ended, `outputs` what it has.",
        "job 019a9d3c-5d64-7c1e-8a2b-6f0e3d2c1b0a has failed: the photo shows no person",
    ),
    "upload_missing": ProblemPage(
        "The job refers to an upload that has no photo yet.",
        ("The PUT to `put_url` was not sent, failed, or is still in progress.",),
        "PUT the photo to `put_url` with the upload's `headers`, then send the request again.",
        "the upload has no photo yet; PUT the photo to its put_url, with its headers, and send "
        "this request again",
    ),
    "job_deleted": ProblemPage(
        "The job or batch and its files were deleted.",
        ("A client with a key of this tenant deleted the job, or its batch.",),
        "Submit the photo or the batch again, without the old `Idempotency-Key`.",
        "job 019a9d3c-5d64-7c1e-8a2b-6f0e3d2c1b0a was deleted",
    ),
    "inputs_expired": ProblemPage(
        "The photo or its intermediate files have expired.",
        ("Photos are kept for one day by default.",),
        "Submit the photo again.",
        "the photo of job 019a9d3c-5d64-7c1e-8a2b-6f0e3d2c1b0a has expired",
    ),
    "output_expired": ProblemPage(
        "The output has expired and was deleted.",
        ("Results are kept for one week by default.",),
        "Submit the photo again, and download outputs before the job's `expires_at`.",
        "the output has expired and was deleted; submit the photo again",
    ),
    "precondition_failed": ProblemPage(
        "The output has another ETag than the header `If-Match` names.",
        ("The job was corrected since the first part of a download.",),
        "Download the output again, without `If-Match`.",
        'the output has the ETag "0b1c2d3e4f5061728394a5b6c7d8e9fa"',
    ),
    "range_not_satisfiable": ProblemPage(
        "The file has none of the bytes that the header `Range` asks for.",
        ("A download was continued that was complete already.",),
        "Compare the length that you have with the one in `Content-Range`, or omit `Range`.",
        "the file has 48213 bytes",
    ),
    "link_expired": ProblemPage(
        "The signed link has ended; the output may still exist.",
        ("Links are valid for an hour by default; see `output_links_expire_at` of the job.",),
        "Get a new link: `output_links` of `GET /v1/jobs/{id}`, which takes `expires_in`.",
        "the link has expired",
    ),
    "idempotency_in_progress": ProblemPage(
        "Another request with the same `Idempotency-Key` is still in progress.",
        (
            "The client sent a slow request again.",
            "The process that handled the first request died. The key is free after a minute.",
        ),
        "Retry the same request after one second, with the same `Idempotency-Key`.",
        "the first request with this Idempotency-Key is still in progress",
    ),
    "idempotency_mismatch": ProblemPage(
        "The `Idempotency-Key` was used for another request within the last 24 hours.",
        ("The body, path or method differs from the first request.",),
        "Generate a new `Idempotency-Key` for every new request; reuse one only to retry the same "
        "request.",
        "this Idempotency-Key was used for another request; generate a new one",
        ("/Idempotency-Key",),
    ),
    "photo_too_large": ProblemPage(
        "An image or the whole body exceeds a size limit.",
        (
            "The image has more than 40,000,000 bytes.",
            "The image has more than 50,000,000 pixels, or a side of more than 65,500.",
            "The other form fields have more than 1,000,000 bytes.",
        ),
        "Scale the image down, or encode it with a lower quality.",
        "the photo is 10000 × 5001 pixels; at most 50 megapixels are accepted",
        ("/photo",),
    ),
    "unsupported_media": ProblemPage(
        "The image format, or the type or encoding of the body, is not supported.",
        (
            "The operation does not accept the `Content-Type` of the body.",
            "The file is empty, or is text, SVG, PDF, ZIP, or an image in another format.",
            "The image header is truncated or declares zero pixels.",
            "The body is compressed (`Content-Encoding`).",
        ),
        "Send JSON as `application/json`, a form with files as `multipart/form-data`, without "
        f"`Content-Encoding`. Send pictures as {_IMAGE}.",
        "the photo is a JPEG 2000; save it as JPEG or PNG; accepted are JPEG, PNG, WebP, AVIF, "
        "HEIC, GIF, BMP and TIFF",
        ("/photo",),
    ),
    "invalid_recipe": ProblemPage(
        "A recipe field is unknown or has an invalid value.",
        (
            "A field name is misspelled or given twice.",
            "A number is out of range, or a value is not one of the allowed values.",
            "The recipe names a model, background or filter that this server does not have.",
        ),
        "Fix every field that `errors` points to. `GET /openapi.json` describes every field of a "
        "recipe; `/v1/models`, `/v1/backgrounds` and `/v1/filters` list what it can name.",
        "/quality: 0 is not an integer from 1 to 100",
        ("/quality",),
    ),
    "contradiction": ProblemPage(
        "Each field is valid, but their combination is not.",
        (
            "`format=jpg` with a transparent background.",
            "A background file together with another background.",
        ),
        "Remove one of the fields that `errors` points to.",
        "/background, /format: jpg has no transparency; ask for png or webp",
        ("/background", "/format"),
    ),
    "invalid_request": ProblemPage(
        "A field of the JSON body has an invalid value.",
        ("A field is misspelled, missing, of the wrong type, or out of range.",),
        "Fix every field that `errors` points to.",
        "/scopes: has fewer than 1 item",
        ("/scopes",),
    ),
    "invalid_photo_url": ProblemPage(
        "`photo_url` is not a URL that can be fetched.",
        (
            "It is not a complete `http` or `https` URL.",
            "It contains a user name or a password, or the host is written in an unusual form.",
            "Its host or port is not reached unless SMART_FILTER_OUTBOUND_ALLOW names the host.",
            "The name of the field is misspelled, such as `photo_ur`.",
        ),
        "Send the complete public URL of the photo, or send the photo itself.",
        "/photo_url: is not a web address; write https://HOST/PATH, or http://",
        ("/photo_url",),
    ),
    "invalid_webhook_url": ProblemPage(
        "`webhook_url`, or the `url` of a webhook, is not a URL that events can be sent to.",
        (
            "It is not a complete `http` or `https` URL.",
            "It contains a user name or a password, or the host is written in an unusual form.",
            "Its host or port is not reached unless SMART_FILTER_OUTBOUND_ALLOW names the host.",
            "The name of the field is misspelled, such as `webhook_ur`.",
        ),
        "Send the complete public URL of your receiver.",
        "/webhook_url: is not a web address; write https://HOST/PATH, or http://",
        ("/webhook_url",),
    ),
    "webhook_disabled": ProblemPage(
        "The webhook is disabled; nothing is delivered to it.",
        (
            "Its owner paused it.",
            "Its server answered 410 Gone.",
        ),
        'Enable it first: `PATCH /v1/webhooks/{id}` with `{"enabled": true}`.',
        "webhook 5b1f9a52-3d0e-4a57-9d2c-1f6f0a7b8c9d is disabled (paused); PATCH it with "
        '{"enabled": true} first',
    ),
    "not_available": ProblemPage(
        "The field or value is valid, but this server does not support it.",
        (
            "A later version introduces the field.",
            "No worker of this server runs the model.",
            "A required setting is missing, such as the key that encrypts secrets.",
        ),
        "Remove what `errors` points to, or ask the operator to enable it.",
        "/webhook_url: webhooks need the setting SMART_FILTER_SECRETS_KEY here",
        ("/webhook_url",),
    ),
    "rate_limited": ProblemPage(
        "The tenant exceeded a rate limit.",
        (
            "More requests per minute than allowed: see the header `RateLimit-Policy`.",
            "More megapixels per day than allowed.",
            "More event streams and waits open at a time than one key or tenant can have.",
            "More bytes of bodies at a time than one tenant or device can have.",
            "More lists or writes of batches at a time than a process does for one tenant.",
        ),
        "Retry after the number of seconds in `Retry-After`.",
        "6000 requests per minute are allowed; retry in 1 s",
    ),
    "queue_full": ProblemPage(
        "The tenant has its maximum of unfinished jobs, webhook deliveries or stored bytes.",
        (
            "Photos are submitted faster than they are processed.",
            "The receiver of a webhook fails, or is slower than the jobs.",
            "Jobs and uploads take up the tenant's quota of bytes.",
        ),
        "Retry after the number of seconds in `Retry-After`. Repair or disable failing"
        " webhooks; delete jobs.",
        "you have 10000 unfinished jobs, the maximum",
    ),
    "internal": ProblemPage(
        "The service has an internal error; the request is not at fault.",
        ("A bug. The server log has its traceback under the id in `instance`.",),
        "Report `instance` to the operator. A request with an `Idempotency-Key` can be retried.",
        "an internal error; the server log has it under `instance`",
    ),
    "unavailable": ProblemPage(
        "The database or the object storage cannot be reached, or the service is full.",
        (
            "The database or the object storage is restarting, overloaded or down.",
            "All tenants together have the maximum of unfinished jobs, or of bodies under way.",
            "More lists at a time than a process reads for all tenants.",
            "A list takes too long: narrow it.",
            "The job would end after its `deadline_ms`: extend the deadline.",
        ),
        "Retry after the number of seconds in `Retry-After`, with the same `Idempotency-Key`.",
        "database, storage or room on a disk is missing; retry the request",
    ),
}

_TRY_AGAIN = "Try again. If it fails again, tell the operator the id of the job."
# For codes with which jobs fail, where the page of a problem with that code says something else.
_REMEDIES_OF_JOBS: Mapping[str, str] = {
    "image_unreadable": "Save the photo again with another program, or send another copy of it.",
    "image_too_large": PAGES["photo_too_large"].remedy,
    "photo_unreachable": "Check that the address gives a picture to everyone, and submit it again.",
    "no_person": "Submit a photo that shows a person, or turn `require_person` off.",
    "no_mask": "Send a png, webp or avif with transparency, or a mask of the photo's size, or leave"
    " `mask` out.",
    "photo_too_small": "Send a larger photo, ask for a smaller `size`, or raise `max_enlarge`.",
    "document_refused": "Do what the report or the detail says, or leave `require` out.",
    "model_failed": _TRY_AGAIN,
    "poison": "Save the photo in another format and submit that. Tell the operator the id of the "
    "job.",
    "deadline": "Submit the photo again, with more time or without a deadline.",
    "unavailable": "Try again later, or send the photo again.",
    "internal": _TRY_AGAIN,
}


def find_remedy(code: str, *, of_job: bool) -> str:
    """Return what to do about an error; of_job: of a failed job, else of a request."""
    if of_job and code in _REMEDIES_OF_JOBS:
        return _REMEDIES_OF_JOBS[code]
    return PAGES[code].remedy if code in PAGES else ""
