"""Every error of ours, in three families that decide what happens next.

    Error
    ├── Rejected    the caller must change something; never retried
    ├── Conflict    somebody moved first; drop the work
    └── TryAgain    infrastructure is away, or for now it is enough; retried with backoff

Anything else is a defect: it is logged once with its traceback and its stage is
tried again while attempts remain. `code` is stable and is the thread from here
through problem documents to the client's exceptions; the message is for the
operator and says what, which id, and what was expected.
"""

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from typing import ClassVar


class Error(Exception):
    """Anything of ours that can be raised."""

    code: ClassVar[str] = "internal"


class Rejected(Error):
    """The caller must change it; never retried."""


class Conflict(Error):
    """Somebody moved first; the work is dropped."""


class TryAgain(Error):
    """Infrastructure is away; tried again with backoff."""

    code = "unavailable"


# --- refused at the door ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field that is wrong.

    pointer: JSON Pointer (RFC 6901) into the recipe, such as `/background`, or the body; a
        parameter or header by its name, such as `/limit`; empty for the body as a whole.
    detail: what is wrong and what would be right, for a person.
    """

    pointer: str
    detail: str


class Misstated(Rejected):
    """Something that was sent is wrong; `errors` names every place of it."""

    errors: list[FieldError]

    def __init__(self, message: str, *, pointer: str = "") -> None:
        super().__init__(message)
        self.errors = [FieldError(pointer, message)]


class MalformedRequest(Misstated):
    """The request cannot be read: broken multipart or JSON, or no photo."""

    code = "malformed_request"


class Unauthorized(Misstated):
    """No key, or one that is not valid."""

    code = "unauthorized"

    def __init__(self, message: str, *, pointer: str = "/Authorization") -> None:
        super().__init__(message, pointer=pointer)


class OutOfScope(Rejected):
    """The key is valid, but may not do this."""

    code = "scope"


class Forged(Rejected):
    """A session's request that another page may have made the browser send."""

    code = "csrf"


class NotFound(Rejected):
    """There is no such thing for this tenant."""

    code = "not_found"


class JobDeleted(Rejected):
    """The job was deleted; nothing of it is kept."""

    code = "job_deleted"


class OutputExpired(Rejected):
    """The output was kept for its time and is gone."""

    code = "output_expired"


class PhotoTooLarge(Misstated):
    """More bytes than accepted, or more pixels by its header."""

    code = "photo_too_large"


class UnsupportedMedia(Misstated):
    """Not a picture of an accepted format."""

    code = "unsupported_media"


class SizeUnreadable(UnsupportedMedia):
    """A picture of an accepted format whose header does not say how large it is."""


class InvalidRecipe(Misstated):
    """One or more fields of the recipe are wrong; `errors` names every one."""

    code = "invalid_recipe"

    def __init__(self, errors: list[FieldError]) -> None:
        pointers: dict[str, list[str]] = {}
        for error in errors:
            pointers.setdefault(error.detail, []).append(error.pointer)
        # What several fields share is said once: `/shadow, /background: …`.
        told = [f"{', '.join(dict.fromkeys(of))}: {detail}" for detail, of in pointers.items()]
        super().__init__("; ".join(told))
        self.errors = errors


class IdempotencyMismatch(Misstated):
    """The key was used for another request."""

    code = "idempotency_mismatch"

    def __init__(self, message: str, *, pointer: str = "/Idempotency-Key") -> None:
        super().__init__(message, pointer=pointer)


class IdempotencyInProgress(Conflict):
    """A request with this key is being worked on."""

    code = "idempotency_in_progress"


class Contradiction(InvalidRecipe):
    """Fields that are right one by one do not go together."""

    code = "contradiction"


class InvalidRequest(InvalidRecipe):
    """One or more fields of a body that is no recipe are wrong; `errors` names every one."""

    code = "invalid_request"


class WebhookDisabled(Conflict):
    """Nothing is sent to the webhook now: it was paused, or its server answered 410."""

    code = "webhook_disabled"


class NotAvailable(InvalidRecipe):
    """A recipe name or value that the contract knows and this version does not serve yet."""

    code = "not_available"


class PictureRefused(Rejected):
    """A picture cannot become a background, or not under this name; the message says why."""

    code = "picture_refused"


class VersionRefused(Rejected):
    """Weights cannot be registered or moved as was asked; the message says why."""

    code = "version_refused"


# --- a stage finds that the photo itself cannot be used ---------------------------------


class Unusable(Rejected):
    """The photo cannot become what was asked for; its job fails with `code`, told plainly."""


class ImageUnreadable(Unusable):
    """The pixels are truncated or corrupt."""

    code = "image_unreadable"


class ImageTooLarge(Unusable):
    """The pixels are more than the header promised, or than is accepted."""

    code = "image_too_large"


class PhotoUnreachable(Unusable):
    """A picture cannot be fetched from its address."""

    code = "photo_unreachable"


class NoPerson(Unusable):
    """`require_person` was asked for and nobody is in the photo."""

    code = "no_person"


class ParameterRefused(Unusable):
    """A parameter asks a model for what it does not have."""

    code = "model_failed"


class Poison(Unusable):
    """The photo stops its workers."""

    code = "poison"


class InputsExpired(Unusable):
    """The photo, or what was made from it, is not kept any more."""

    code = "inputs_expired"


class ArtifactsGone(InputsExpired):
    """Something that stages of a job have made is gone; it can be made again.

    keys: of all of it.
    """

    def __init__(self, message: str, keys: Collection[str] = ()) -> None:
        super().__init__(message)
        self.keys = tuple(keys)


# --- somebody moved first ---------------------------------------------------------------


class JobFinal(Conflict):
    """The job has ended already."""

    code = "job_final"


class JobNotFinished(Conflict):
    """What was asked for does not exist before the job ends."""

    code = "job_not_finished"


class LeaseLost(Conflict):
    """Another worker has the row by now, or nobody may work on it any more."""

    code = "lease_lost"


# --- infrastructure ---------------------------------------------------------------------


class StorageUnavailable(TryAgain):
    """The object store did not answer, or answered that it cannot."""


class StorageRefused(StorageUnavailable):
    """It answers, and does not take the settings: the keys, the bucket, the region."""


class BucketMissing(StorageRefused):
    """It has no such bucket."""


class ObjectMissing(Rejected):
    """No object under this key."""

    code = "object_missing"


class DatabaseUnavailable(TryAgain):
    """The database did not answer, or asked for the transaction to be run again."""


class RowUnreadable(TryAgain):
    """A row holds what this version cannot read, as after a roll-back; a later version can."""


class BrokerUnavailable(TryAgain):
    """The broker did not take the message; the sweeper rings again."""


class PictureLate(TryAgain):
    """A picture did not come from its address.

    Whoever serves it may do so later. It is no infrastructure of ours: trying again spends
    attempts, and a job fails with this code when none is left.
    """

    code = "photo_unreachable"


class Limited(TryAgain):
    """The caller has to wait: it has had its share, or has not done yet what comes before.

    retry_after_seconds: when it may come again.
    """

    def __init__(self, message: str, *, retry_after_seconds: float) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class RateLimited(Limited):
    """More requests a minute, or more megapixels a day, than the tenant may send."""

    code = "rate_limited"


class UploadMissing(Limited):
    """The upload is named before its photo was put."""

    code = "upload_missing"


class QueueFull(Limited):
    """As many jobs wait, of the tenant or of all, as may."""

    code = "queue_full"


class ServiceFull(Limited):
    """As many jobs wait as may, whoever's they are: no fault of the caller."""

    code = "unavailable"


class Overdue(Limited):
    """The deadline cannot be met as things stand; nothing was begun."""

    code = "unavailable"


class ModelNotLoaded(TryAgain):
    """A model cannot be loaded on this machine; another worker may have it.

    leads: whether a capability is named after it, so that none of that can be served here.
    capability: that one, when it is another than of the stage that asked: an ensemble's
        member, or what gives GrabCut its first guess.
    """

    def __init__(self, message: str, *, leads: bool, capability: str = "") -> None:
        super().__init__(message)
        self.leads = leads
        self.capability = capability

    def __reduce__(self) -> tuple[object, ...]:
        """Return how it is pickled, keywords included: a child's errors come to its parent so."""
        remade = partial(type(self), leads=self.leads, capability=self.capability)
        return remade, self.args


# --- set-up -----------------------------------------------------------------------------


class SetupFailed(Rejected):
    """A prerequisite is missing; the message is one line with the remedy."""

    code = "setup_failed"


class FolderUnreadable(SetupFailed):
    """A folder of photos with known answers lacks something, or holds what cannot be read."""
