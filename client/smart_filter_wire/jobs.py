"""Jobs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from smart_filter_wire.findings import (
    AppliedFilter,
    AttachedThing,
    ChosenBackground,
    Face,
    Frame,
    Person,
    Rating,
    TakeReport,
)
from smart_filter_wire.formats import Id, JsonObject, Moment, Score, described
from smart_filter_wire.printability import DocumentReport, Printability
from smart_filter_wire.words import JobState, OutputName, StageName, StageState, TaskName

FINAL_STATES: Final = frozenset({"succeeded", "failed", "canceled"})
_DURATION: Final = described(
    "Seconds from now; null while an operator has paused a queue that the job still needs", ge=0
)


@dataclass(frozen=True, slots=True)
class Picture:
    """Size and format of a picture; width and height in pixels."""

    width: int
    height: int
    format: str


@dataclass(frozen=True, slots=True)
class Photo(Picture):
    """The photo, upright."""

    quarter_turns: int = field(
        default=0,
        metadata=described(
            "Counterclockwise quarter turns that make the photo upright, after its EXIF "
            "orientation is applied",
            ge=0,
            le=3,
        ),
    )


@dataclass(frozen=True, slots=True)
class Image(Picture):
    """Size and encoding of the image file.

    quality: null for a png.  blurhash: a blurred preview in a few characters (blurha.sh).
    """

    bytes: int
    quality: int | None = None
    blurhash: str | None = None


@dataclass(frozen=True, slots=True)
class QueuePosition:
    """Place of a job in the queue and its estimated completion: median and 90th percentile."""

    position: int = field(
        metadata=described(
            "Place in its queue, 1 for the next; 0: the job is running. Values from 10,000 "
            "are lower bounds",
            ge=0,
        )
    )
    eta_p50_s: float | None = field(metadata=_DURATION)
    eta_p90_s: float | None = field(metadata=_DURATION)


@dataclass(frozen=True, slots=True)
class RankTerms:
    """The reasons for a photo's rank in its album.

    rating: 0 to 100, as `points` of the job's.  of: number of ranked photos.  alike: number of
    photos that show the same scene, this one included.  better: the job of the best of those; null
    for the best itself.
    """

    rating: int | None
    of: int
    alike: int
    better: Id | None
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class JobLinks:
    """Links of a job."""

    self: str
    photo: str = field(
        metadata=described(
            "The photo, available from the time when `photo` is set until it expires"
        )
    )
    events: str
    cancel: str


@dataclass(frozen=True, slots=True)
class JobError:
    """Why a job failed: a stable code for programs, and texts for people; remedy: what to do."""

    code: str
    title: str
    detail: str
    remedy: str
    stage: StageName


@dataclass(frozen=True, slots=True)
class StageModel:
    """A model that a stage runs, and the digest of its weights."""

    task: TaskName
    name: str
    digest: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """The state of one stage; seconds: how long its code ran.

    model: the leading model.  models: all models of the stage, the leading one included.
    """

    name: StageName
    model: str
    digest: str | None = field(
        default=None,
        metadata=described(
            "SHA-256 of the leading model's weights that produced the result; null until "
            "then, and for a model without weights (docs/learning.md)"
        ),
    )
    models: tuple[StageModel, ...] = ()
    state: StageState
    attempt: int
    seconds: float | None
    reused: bool = field(
        default=False,
        metadata=described("Whether the result is an earlier job's; nothing ran then"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job: the processing of one photo."""

    id: Id
    state: JobState
    parent_id: Id | None = None
    batch_id: Id | None = None
    created_at: Moment
    finished_at: Moment | None
    expires_at: Moment | None = None
    recipe: JsonObject
    seed: int
    metadata: Mapping[str, str]
    photo_name: str | None = field(
        default=None,
        metadata=described("Name of the photo's file, without folders; null if unknown"),
    )
    photo: Photo | None
    subject: Literal["people", "object"] | None = field(
        metadata=described(
            "What was cut out: people, or else whatever stands out; null when nothing was found"
        )
    )
    people: int | None = field(
        metadata=described(
            "How many of `persons` are kept; of a model that does not separate persons, "
            "the number of faces. Null before people were searched, and when they are neither "
            "separated nor counted by their faces"
        )
    )
    persons: tuple[Person, ...] | None = field(
        metadata=described(
            "The persons in the photo; null when the model does not separate persons"
        )
    )
    attached: tuple[AttachedThing, ...] | None = field(
        default=None,
        metadata=described(
            "What the model added to the kept persons because it is in one piece with "
            "them; null when the model does not look for such things"
        ),
    )
    confidence: Score | None = field(
        metadata=described(
            "Agreement on the matte, 0 to 1, as intersection over union: of an ensemble's "
            "members, or of the networks of `people`; null for other models, and without a person"
        )
    )
    needs_review: bool = field(
        metadata=described(
            "Whether `confidence` is low, for an ensemble below the recipe's threshold, "
            "or null after a deadline lowered the model; or `persons` names a number that no "
            "person has; or one of `persons` is only possible, and the recipe names none; or "
            "subject=auto cut out what may be no person, since the server has no model for things"
        )
    )
    image: Image | None
    faces: tuple[Face, ...] | None
    faces_removed: int | None = field(
        default=None,
        metadata=described("The number of found faces that users removed; they do not count"),
    )
    emotions_notice: str | None = field(
        default=None,
        metadata=described(
            "What the people in the photo must be told, set when `faces` has emotions "
            "(docs/biometrics.md)"
        ),
    )
    rating: Rating | None
    rating_reason: str | None = field(metadata=described("`no_face`, `not_requested` or null"))
    printability: Printability | None
    document_report: DocumentReport | None = field(
        default=None,
        metadata=described("The checks of the recipe's `document`; null without one"),
    )
    background: ChosenBackground
    filters: tuple[AppliedFilter, ...]
    frame: Frame | None
    stages: tuple[Stage, ...]
    outputs: Mapping[OutputName, str]
    output_links: Mapping[OutputName, str] = field(
        default_factory=dict,
        metadata={
            **described(
                "Signed URLs of the outputs, which need no key; empty while there are no "
                "outputs, and when the server has no secrets key"
            ),
            "json_schema_extra": {"default": {}},
        },
    )
    output_links_expire_at: Moment | None = field(
        default=None, metadata=described("When `output_links` end; null without any")
    )
    rank: int | None = field(default=None, metadata=described("Rank in its album, 1 for the best"))
    rank_terms: RankTerms | None = None
    take: TakeReport | None = field(
        default=None,
        metadata=described("How the photo was composed of those of a batch; else null"),
    )
    queue: QueuePosition | None = field(
        default=None, metadata=described("Null once the job has ended")
    )
    degraded: tuple[str, ...] = field(
        default=(),
        metadata=described(
            "Recipe fields that were reduced to meet the deadline, such as `edge=fast`"
        ),
    )
    warnings: tuple[str, ...] = field(
        default=(),
        metadata=described(
            "Sentences on a photo in which no person was found to be cut out, on a picture "
            "with a side of less than 600 pixels, or with the photo enlarged more than 1.3 times"
        ),
    )
    links: JobLinks
    error: JobError | None

    @property
    def is_final(self) -> bool:
        """Whether the job has ended."""
        return self.state in FINAL_STATES

    @property
    def succeeded(self) -> bool:
        """Whether the job succeeded."""
        return self.state == "succeeded"


@dataclass(frozen=True, slots=True)
class JobPage:
    """A page of jobs, newest first; next_cursor: `cursor` of the next page."""

    items: tuple[Job, ...]
    next_cursor: str | None
