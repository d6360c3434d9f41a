"""Every error of Smart Filter, in three families that decide what happens next.

    Error
    ├── Rejected    the caller must change something; never retried
    ├── Conflict    another process acted first; drop the work
    └── TryAgain    infrastructure is down, or a limit is reached; retried with backoff

Any other exception is a defect: it is logged once with its traceback, and its stage is tried again
while attempts remain. `code` is stable: problem documents and the client's exceptions have the same
codes. The message is for the operator and says what failed, which id, and what was expected.
"""

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Final, Self

from smart_filter_wire.printability import DocumentReport


class Error(Exception):
    """Base of all errors of Smart Filter."""

    code: ClassVar[str] = "internal"


class Rejected(Error):
    """The caller must change something; never retried."""


class Conflict(Error):
    """Another process acted first; the work is dropped."""


class TryAgain(Error):
    """Infrastructure is down, or a limit is reached; retried with backoff."""

    code = "unavailable"


# How the detail of a field's error begins when the field is its subject.
_VERBS: Final = ("is ", "are ", "has ", "does ", "contains ")

# --- rejected requests ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FieldError:
    """The error of one field.

    pointer: JSON Pointer (RFC 6901) into the recipe, such as `/background`, or into the body; a
        parameter or header by its name, such as `/limit`; empty for the body as a whole.
    detail: the error and the valid values, for people.
    """

    pointer: str
    detail: str

    @property
    def sentence(self) -> str:
        """The error as a sentence; one that begins with its verb gets the field as its subject."""
        subject = self.pointer.removeprefix("/").replace("/", ".") or "the body"
        return f"{subject} {self.detail}" if self.detail.startswith(_VERBS) else self.detail


class InvalidInput(Rejected):
    """Part of the request is invalid; `errors` lists every place."""

    errors: list[FieldError]

    def __init__(self, message: str, *, pointer: str = "") -> None:
        super().__init__(message)
        self.errors = [FieldError(pointer, message)]

    @classmethod
    def of_fields(cls, errors: list[FieldError]) -> Self:
        """Return the error for several places."""
        made = cls("; ".join(f"{error.pointer}: {error.detail}" for error in errors))
        made.errors = errors
        return made


class MalformedRequest(InvalidInput):
    """The request cannot be parsed: broken multipart or JSON, no photo, or a wrong parameter."""

    code = "malformed_request"


class Unauthorized(InvalidInput):
    """The key is missing or invalid."""

    code = "unauthorized"

    def __init__(self, message: str, *, pointer: str = "/Authorization") -> None:
        super().__init__(message, pointer=pointer)


class InsufficientScope(Rejected):
    """The key is valid, but lacks the scope for this request."""

    code = "scope"


class TokenUsedUp(Rejected):
    """The device token has submitted its maximum number of jobs."""

    code = "token_used_up"


class CsrfRejected(Rejected):
    """A request with a session cookie that a page of another origin may have caused."""

    code = "csrf"


class SignInAgain(Rejected):
    """The session is too old for a sensitive change."""

    code = "sign_in_again"


class NotFound(Rejected):
    """The tenant has no such resource."""

    code = "not_found"


class JobDeleted(Rejected):
    """The job and its data were deleted."""

    code = "job_deleted"


class OutputExpired(Rejected):
    """The retention time of the output is over, and the output is deleted."""

    code = "output_expired"


class PreconditionFailed(Rejected):
    """The header If-Match names other versions of the output."""

    code = "precondition_failed"


class RangeNotSatisfiable(Rejected):
    """The request wants a part of a file that is shorter; length: of the file, in bytes."""

    code = "range_not_satisfiable"

    def __init__(self, message: str, *, length: int) -> None:
        super().__init__(message)
        self.length = length


class LinkInvalid(Rejected):
    """The signed link does not grant what the request asks for."""

    code = "link_invalid"


class LinkExpired(Rejected):
    """The signed link was valid and has ended."""

    code = "link_expired"


class PhotoTooLarge(InvalidInput):
    """The photo has too many bytes, or too many pixels according to its header."""

    code = "photo_too_large"


class UnsupportedMedia(InvalidInput):
    """The file is not a picture of an accepted format."""

    code = "unsupported_media"


class SizeUnreadable(UnsupportedMedia):
    """The picture's format is accepted, but its header has no readable size."""


class InvalidRecipe(InvalidInput):
    """One or more fields of the recipe are invalid; `errors` lists every one."""

    code = "invalid_recipe"

    def __init__(self, errors: list[FieldError]) -> None:
        pointers: dict[str, list[str]] = {}
        for error in errors:
            pointers.setdefault(error.detail, []).append(error.pointer)
        # Fields with the same error share one sentence: `/shadow, /background: …`.
        sentences = [
            f"{', '.join(dict.fromkeys(fields))}: {detail}" for detail, fields in pointers.items()
        ]
        super().__init__("; ".join(sentences))
        self.errors = errors

    @classmethod
    def of_fields(cls, errors: list[FieldError]) -> Self:
        """Return the error for several fields."""
        return cls(errors)


class IdempotencyMismatch(InvalidInput):
    """The idempotency key was used for another request."""

    code = "idempotency_mismatch"

    def __init__(self, message: str, *, pointer: str = "/Idempotency-Key") -> None:
        super().__init__(message, pointer=pointer)


class IdempotencyInProgress(Conflict):
    """A request with this idempotency key is in progress."""

    code = "idempotency_in_progress"


class Contradiction(InvalidRecipe):
    """Fields that are valid alone contradict each other."""

    code = "contradiction"


class InvalidRequest(InvalidRecipe):
    """One or more fields of a body other than a recipe are invalid; `errors` lists every one."""

    code = "invalid_request"


class InvalidPhotoUrl(InvalidRequest):
    """The URL of the photo is not valid."""

    code = "invalid_photo_url"


class InvalidWebhookUrl(InvalidRequest):
    """The URL that receives the final event of a job or batch is not valid."""

    code = "invalid_webhook_url"


class WebhookDisabled(Conflict):
    """The webhook is disabled: it was paused, or its server answered 410."""

    code = "webhook_disabled"


class NotAvailable(InvalidRecipe):
    """The recipe has a name or value of the contract that is not served now."""

    code = "not_available"


class PictureRefused(Rejected):
    """The picture cannot be added as a background under this name; the message says why.

    field: the part of its description that is at fault.
    """

    code = "picture_refused"

    def __init__(self, message: str, *, field: str = "name") -> None:
        super().__init__(message)
        self.field = field


class VersionRefused(Rejected):
    """Weights cannot be registered or moved as requested; the message says why."""

    code = "version_refused"


# --- photos that a stage cannot process -------------------------------------------------


class UnusablePhoto(Rejected):
    """The photo cannot be processed as requested; its job fails with `code` and this message."""


class ImageUnreadable(UnusablePhoto):
    """The image data are truncated or corrupt."""

    code = "image_unreadable"


class ImageTooLarge(UnusablePhoto):
    """The image has more pixels than its header declares, or more than are accepted."""

    code = "image_too_large"


class PhotoUnreachable(UnusablePhoto):
    """A picture cannot be fetched from its URL."""

    code = "photo_unreachable"


class NoPerson(UnusablePhoto):
    """The recipe has `require_person`, and the photo shows no person."""

    code = "no_person"


class NoMask(UnusablePhoto):
    """The recipe has `mask=upload`, and the photo no transparency, or a mask has another size."""

    code = "no_mask"


class PhotoTooSmall(UnusablePhoto):
    """The photo would be enlarged more than the recipe's `max_enlarge`."""

    code = "photo_too_small"


class DocumentRefused(UnusablePhoto):
    """The recipe has `require=pass`, and a check of its document does not pass."""

    code = "document_refused"

    def __init__(self, names: str, report: DocumentReport | None = None) -> None:
        """Keep the report, which says why, next to the names of the checks."""
        super().__init__(names)
        self.report = report


class ParameterRefused(UnusablePhoto):
    """A parameter names something that the model does not have."""

    code = "model_failed"


class Poison(UnusablePhoto):
    """The photo crashes its workers."""

    code = "poison"


class InputsExpired(UnusablePhoto):
    """The photo, or an artifact made from it, has expired."""

    code = "inputs_expired"


class ArtifactsGone(InputsExpired):
    """Artifacts of a job's stages are missing; the stages can run again.

    keys: the keys of all missing artifacts.
    """

    def __init__(self, message: str, keys: Collection[str] = ()) -> None:
        super().__init__(message)
        self.keys = tuple(keys)


# --- conflicts --------------------------------------------------------------------------


class JobFinal(Conflict):
    """The job has already ended."""

    code = "job_final"


class NoPicture(Conflict):
    """The job has ended without a picture, and its client accepts nothing else."""

    code = "no_picture"


class JobNotFinished(Conflict):
    """The requested resource does not exist before the job ends."""

    code = "job_not_finished"


class LeaseLost(Conflict):
    """Another worker has the lease, or the stage is no longer runnable."""

    code = "lease_lost"


# --- infrastructure ---------------------------------------------------------------------


class StorageUnavailable(TryAgain):
    """The object store did not answer, or reported an error of its own."""


class StorageMisconfigured(StorageUnavailable):
    """The object store rejects the settings: the keys, the bucket or the region."""


class BucketMissing(StorageMisconfigured):
    """The object store has no such bucket."""


class ObjectMissing(Rejected):
    """There is no object under the key."""

    code = "object_missing"


class ObjectTooLarge(ObjectMissing):
    """The object has more bytes than its reader takes, so it is not the expected one."""


class ObjectReplaced(ObjectMissing):
    """The object under the key is no longer the one with the given ETag."""


class DatabaseUnavailable(TryAgain):
    """The database did not answer, or the transaction must be retried."""


class OutcomeUnknown(DatabaseUnavailable):
    """A COMMIT, or a statement that commits itself, was sent and its result is not known.

    It may have been executed, or be executed later: remove and refund nothing; send it again only
    if executing it twice does no harm.
    """


class DatabaseMisconfigured(DatabaseUnavailable):
    """The database rejects the settings: the user, its rights, the password or the name."""


class StatementTimedOut(DatabaseUnavailable):
    """The database canceled a statement, which took too long."""


class BrokerUnavailable(TryAgain):
    """The broker does not answer, or takes no writes; workers do without it."""


class DecoderUnavailable(TryAgain):
    """The process that decodes pictures cannot be started."""


class DecodingStopped(DecoderUnavailable):
    """Decoding a picture was stopped, or did not begin: it was canceled, or slow pictures wait."""


class RowUnreadable(TryAgain):
    """A later version wrote the row, and this one cannot read it, such as after a rollback."""


class PictureTemporarilyUnreachable(TryAgain):
    """A picture's server did not deliver it, but may do so later.

    The server is not part of this installation, so each retry spends an attempt; the job fails with
    this code when none is left.
    """

    code = "photo_unreachable"


class RetryAfter(TryAgain):
    """The caller must wait: a quota is used up, or a preceding step is missing.

    retry_after_seconds: seconds until the caller can retry.
    """

    def __init__(self, message: str, *, retry_after_seconds: float) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class RateLimited(RetryAfter):
    """The tenant has sent too many requests in a minute, or too many megapixels in a day."""

    code = "rate_limited"


class UploadMissing(RetryAfter):
    """A request names the upload before its photo was put."""

    code = "upload_missing"


class QueueFull(RetryAfter):
    """The tenant has its maximum number of unfinished jobs, webhook deliveries or stored bytes."""

    code = "queue_full"


class ServiceFull(RetryAfter):
    """All tenants together have the maximum number of unfinished jobs."""

    code = "unavailable"


class EqualPhotoDeleted(RetryAfter):
    """The equal photo of an earlier job, which a job was to share, has been deleted meanwhile."""

    code = "unavailable"


class ListTooSlow(RetryAfter):
    """The database could not read a list in time."""

    code = "unavailable"


class DeadlineInfeasible(RetryAfter):
    """The deadline cannot be met with the present queue; no job was created."""

    code = "unavailable"


class ModelNotLoaded(TryAgain):
    """A model cannot be loaded on this machine; another worker may have it.

    leads: whether a capability is named after the model, so that this machine cannot serve it.
    capability: that capability, when it differs from the stage's: of an ensemble's member, or of
        the model that gives GrabCut its first guess.
    """

    def __init__(self, message: str, *, leads: bool, capability: str = "") -> None:
        super().__init__(message)
        self.leads = leads
        self.capability = capability

    def __reduce__(self) -> tuple[object, ...]:
        """Return the pickled form with keywords, for errors that a child sends to its parent."""
        rebuild = partial(type(self), leads=self.leads, capability=self.capability)
        return rebuild, self.args


class S3FolderMisconfigured(TryAgain):
    """An S3 folder's recipe or server cannot be used; its objects wait for the operator.

    The message is for the tenant too: it has no address.
    """


# --- set-up -----------------------------------------------------------------------------


class SetupFailed(Rejected):
    """A prerequisite is missing; the message is one line with the remedy."""

    code = "setup_failed"


class FolderUnreadable(SetupFailed):
    """A folder of labeled photos is incomplete, or contains an unreadable file."""
