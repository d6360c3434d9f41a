"""The words that fields of answers hold.

A newer server may send a word that is not among them.
Words that programs compare are Literal types, so that type checkers find a misspelled one.
"""

from enum import StrEnum
from typing import Annotated, Literal

from smart_filter_wire.formats import Words

JobState = Annotated[
    Literal["queued", "running", "succeeded", "failed", "canceled"],
    Words("JobState", "The state of a job."),
]
StageState = Annotated[
    Literal["waiting", "ready", "running", "succeeded", "failed", "canceled"],
    Words(
        "StageState",
        """The state of a stage.

waiting: for stages that it needs, or until `not_before`.  ready: can be claimed.
running: a worker holds its lease.  The other states are final.""",
    ),
]
BatchState = Annotated[
    Literal["running", "finished"],
    Words("BatchState", "The state of a batch; finished: every job of the batch has ended."),
]
DeliveryState = Annotated[
    Literal["waiting", "sending", "succeeded", "failed"],
    Words(
        "DeliveryState",
        "The state of a delivery; the last two are final until the delivery is replayed.",
    ),
]
SmileLevel = Annotated[
    Literal["none", "mild", "moderate", "huge"], Words("SmileLevel", "The level of a smile.")
]
OutputName = Annotated[
    Literal[
        "image",
        "cutout",
        "matte",
        "persons",
        "zip",
        "regions",
        "thumbnail",
        "sheet",
        "faces",
        "rating",
        "printability",
        "debug",
    ],
    Words("Output", "An output of a job."),
]


class Output(StrEnum):
    """An output of a job."""

    IMAGE = "image"
    CUTOUT = "cutout"
    MATTE = "matte"
    PERSONS = "persons"
    ZIP = "zip"
    REGIONS = "regions"
    THUMBNAIL = "thumbnail"
    SHEET = "sheet"
    FACES = "faces"
    RATING = "rating"
    PRINTABILITY = "printability"
    DEBUG = "debug"


class StageName(StrEnum):
    """A stage of a job's processing."""

    PREPARE = "prepare"
    SEGMENTATION = "segmentation"
    FACE = "face"
    SMILE = "smile"
    COMPOSITE = "composite"


class TaskName(StrEnum):
    """The task of a model."""

    PREPARE = "prepare"
    ORIENTATION = "orientation"
    SEGMENTATION = "segmentation"
    FACE = "face"
    SMILE = "smile"
    EYES = "eyes"
    COMPOSITE = "composite"


class Commercial(StrEnum):
    """Whether a model may be used commercially: the least of its code, weights and training data.

    YES: all of them allow it.  ASK: the terms of one are unknown, unclear or to be agreed on.
    NO: the terms of one are for research only, or were never given.
    """

    YES = "yes"
    ASK = "ask"
    NO = "no"


class VersionState(StrEnum):
    """The state of a weight version."""

    CANDIDATE = "candidate"
    LIVE = "live"
    RETIRED = "retired"


class FilterNeed(StrEnum):
    """The results that a filter needs: the places of faces, or also their smiles."""

    FACES = "faces"
    SMILES = "smiles"


class Mood(StrEnum):
    """The mood of the faces in a photo, and of the backgrounds that suit them."""

    JOYFUL = "joyful"
    CALM = "calm"
    TENDER = "tender"
    SURPRISED = "surprised"
    SERIOUS = "serious"
    SAD = "sad"
    TENSE = "tense"


class BackgroundSource(StrEnum):
    """The provider of a background, which its name has before a slash, except a generated one's.

    generated: drawn.  site: a picture of the operator's, for all tenants.  tenant: a tenant's own
    picture, which no other tenant sees.
    """

    GENERATED = "generated"
    SITE = "site"
    TENANT = "tenant"


class KeywordKind(StrEnum):
    """The kind of a keyword; a word of several kinds counts as the first of them.

    name: the name of a background.
    """

    COLOR = "color"
    TONE = "tone"
    MOOD = "mood"
    TAG = "tag"
    NAME = "name"
    SYNONYM = "synonym"


class PictureUse(StrEnum):
    """The use of a picture: as a background, or as the `logo` of recipes."""

    BACKGROUND = "background"
    LOGO = "logo"


class PictureState(StrEnum):
    """The state of the bytes that were sent last.

    pending: a worker will read them.  ready: recipes can name the picture.  refused: `error` says
    why.
    """

    PENDING = "pending"
    READY = "ready"
    REFUSED = "refused"


class Scope(StrEnum):
    """The permissions of a key.

    submit: submit and cancel jobs.  read: read them.  admin: administer its own tenant; a key of
    the operator's tenant administers any tenant.  operator: see and stop the whole service; this
    scope cannot be granted over HTTP.
    """

    SUBMIT = "submit"
    READ = "read"
    ADMIN = "admin"
    OPERATOR = "operator"


class AuditEvent(StrEnum):
    """The event that a row of the security log reports."""

    SIGNED_IN = "signed_in"
    SIGNED_OUT = "signed_out"
    SIGN_IN_FAILED = "sign_in_failed"
    KEY_ISSUED = "key_issued"
    KEY_REVOKED = "key_revoked"
    KEY_REFUSED = "key_refused"
    SCOPE_REFUSED = "scope_refused"
    CSRF_REFUSED = "csrf_refused"
    TENANT_CHANGED = "tenant_changed"
    RECIPE_SAVED = "recipe_saved"
    RECIPE_DELETED = "recipe_deleted"
    PICTURE_ADDED = "picture_added"
    PICTURE_DELETED = "picture_deleted"
    WEBHOOK_CREATED = "webhook_created"
    WEBHOOK_CHANGED = "webhook_changed"
    WEBHOOK_DELETED = "webhook_deleted"
    WEBHOOK_SECRET_ROTATED = "webhook_secret_rotated"  # noqa: S105 - the name of an event
    JOBS_CANCELED = "jobs_canceled"
    JOBS_REDRIVEN = "jobs_redriven"
    QUEUE_PAUSED = "queue_paused"
    QUEUE_RESUMED = "queue_resumed"
    WORKER_DRAINED = "worker_drained"
    WORKER_RESUMED = "worker_resumed"
