"""Response models of jobs and their events."""

import uuid
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field

from smart_filter_api.schemas.moments import UtcDatetime
from smart_filter_api.schemas.recipe import ResolvedRecipe
from smart_filter_api.schemas.takes import TakeReport
from smart_filter_shared.pipeline import StageName, TaskName
from smart_filter_shared.printability import Printability
from smart_filter_shared.queue.events import EventType
from smart_filter_shared.queue.states import JobState, StageState
from smart_filter_shared.rating import SmileLevel
from smart_filter_shared.recipe import Output
from smart_filter_shared.results import BackgroundCandidate, OutlineContrast, PersonRole


def rounded(digits: int) -> AfterValidator:
    """Return a validator that rounds a number."""
    return AfterValidator(lambda value: round(value, digits))


Thousandths = Annotated[float, rounded(3)]
# No detector is precise to a hundredth of a pixel. A scale is multiplied by thousands of pixels, so
# it keeps more digits.
Pixels = Annotated[float, rounded(2)]
Scale = Annotated[float, rounded(6)]
# No model rates more precisely.
Score = Annotated[float, rounded(4)]
# People compare stages by milliseconds; 0 stays for stages that took a result over.
StageSeconds = Annotated[
    float, AfterValidator(lambda value: max(0.001, round(value, 3)) if value else value)
]
_DURATION_DESCRIPTION = (
    "Seconds from now; null while an operator has paused a queue that the job still needs"
)


class Picture(BaseModel):
    """Size and format of a picture; width and height in pixels."""

    width: int
    height: int
    format: str


class Photo(Picture):
    """The photo, upright."""

    quarter_turns: int = Field(
        default=0,
        ge=0,
        le=3,
        description="Counterclockwise quarter turns that make the photo upright, after its EXIF "
        "orientation is applied",
    )


class Image(Picture):
    """Size and encoding of the image file.

    quality: null for a png.  blurhash: a blurred preview in a few characters (blurha.sh).
    """

    bytes: int
    quality: int | None = None
    blurhash: str | None = None


class Smile(BaseModel):
    """How much a face smiles; score: 0 to 1."""

    level: SmileLevel
    score: Score


class Eyes(BaseModel):
    """Whether the person's own left and right eye are open; null when it cannot be determined."""

    left_open: bool | None
    right_open: bool | None


class Face(BaseModel):
    """One face, in pixels of the upright photo.

    added: whether a user added it.

    Landmarks: right eye, left eye, nose, right and left mouth corner.
    Emotion: the shares of neutral, happiness, surprise, sadness, anger, disgust, fear and contempt,
    which sum to 1; null when the smile model does not rate them, or emotions are turned off.
    """

    box: list[Pixels] = Field(min_length=4, max_length=4, description="x, y, width, height")
    score: Score
    landmarks: list[Annotated[list[Pixels], Field(min_length=2, max_length=2)]] = Field(
        min_length=5, max_length=5
    )
    smile: Smile
    emotion: dict[str, float] | None = None
    eyes: Eyes
    added: bool = False


class Person(BaseModel):
    """A person whom the model separates from the others, in pixels of the upright photo.

    number: the number for `persons` of a recipe, 1 for the leftmost; the same in derived jobs with
    the same `segmentation` and `roi`. The possible ones come after all others.
    """

    number: int = Field(ge=1)
    box: list[Pixels] = Field(min_length=4, max_length=4, description="x, y, width, height")
    kept: bool = Field(description="Whether the recipe's `persons` includes this person")
    role: PersonRole = Field(
        default=PersonRole.SUBJECT,
        description="`bystander`: shows no face and is no main person of a photo of people with "
        "faces; `possible`: only one network sees a person. A recipe keeps both by their numbers "
        "only",
    )


class AttachedThing(BaseModel):
    """A thing that a person holds or wears, or a lost part of the person, that the model added.

    All in pixels of the upright photo.
    """

    box: list[Pixels] = Field(min_length=4, max_length=4, description="x, y, width, height")
    person: int | None = Field(
        ge=1, description="The number of its person; null when the model does not separate persons"
    )


class Rating(BaseModel):
    """The rating with every term: score = shares.smile × … + shares.eyes × …."""

    score: Score
    avg_smiling_score: Score
    open_eye_ratio: Score
    faces: int
    open_eyes: int
    weights: dict[SmileLevel, float]
    shares: dict[str, float]


class ChosenBackground(BaseModel):
    """The background and why it was chosen; until then, the requested one."""

    kind: str
    name: str | None
    keywords: list[str]
    reason: str | None
    candidates: list[BackgroundCandidate] = Field(
        default=[],
        description="The five best backgrounds when it was chosen automatically, the chosen one "
        "first",
    )
    contrast: OutlineContrast | None = Field(
        default=None,
        description="Null before it is drawn, for the photo's own background and transparency",
    )


class Frame(BaseModel):
    """Position of the photo in the image: photo (x, y) is at (left + scale·x, top + scale·y).

    foreground: x, y, width and height of the box around the people in the image; null without
    people, or when they were not detected.
    """

    width: int
    height: int
    scale: Scale
    left: Pixels
    top: Pixels
    foreground: list[int] | None = Field(min_length=4, max_length=4)


class AppliedFilter(BaseModel):
    """The result of a requested filter; null until it is known.

    reason: what was drawn, or why nothing was, as text for people.
    """

    name: str
    applied: bool | None
    reason: str | None


class QueuePosition(BaseModel):
    """Place of a job in the queue and its estimated completion: median and 90th percentile."""

    position: int = Field(
        ge=0,
        description="Place in its queue, 1 for the next; 0: the job is running. Values from 10,000 "
        "are lower bounds",
    )
    eta_p50_s: float | None = Field(ge=0, description=_DURATION_DESCRIPTION)
    eta_p90_s: float | None = Field(ge=0, description=_DURATION_DESCRIPTION)


class RankTerms(BaseModel):
    """The reasons for a photo's rank in its album.

    of: number of ranked photos.  alike: number of photos that show the same scene, this one
    included.  better: the job of the best of those; null for the best itself.
    """

    rating: Score | None
    of: int
    alike: int
    better: uuid.UUID | None
    reasons: list[str]


class JobLinks(BaseModel):
    """Links of a job."""

    self: str
    photo: str = Field(
        description="The photo, available from the time when `photo` is set until it expires"
    )
    events: str
    cancel: str


class JobError(BaseModel):
    """Why a job failed: a stable code for programs, and texts for people; remedy: what to do."""

    code: str
    title: str
    detail: str
    remedy: str
    stage: StageName


class StageModel(BaseModel):
    """A model that a stage runs, and the digest of its weights."""

    task: TaskName
    name: str
    digest: str | None


class Stage(BaseModel):
    """The state of one stage; seconds: how long its code ran.

    model: the leading model.  models: all models of the stage, the leading one included.
    """

    name: StageName
    model: str
    digest: str | None = Field(
        default=None,
        description="SHA-256 of the leading model's weights that produced the result; null until "
        "then, and for a model without weights (docs/learning.md)",
    )
    models: list[StageModel] = []
    state: StageState
    attempt: int
    seconds: StageSeconds | None
    reused: bool = Field(
        default=False, description="Whether the result is an earlier job's; nothing ran then"
    )


class Job(BaseModel):
    """A job: the processing of one photo."""

    id: uuid.UUID
    state: JobState
    parent_id: uuid.UUID | None = None
    batch_id: uuid.UUID | None = None
    created_at: UtcDatetime
    finished_at: UtcDatetime | None
    expires_at: UtcDatetime | None = None
    recipe: ResolvedRecipe
    seed: int
    metadata: dict[str, str]
    photo_name: str | None = Field(
        default=None, description="Name of the photo's file, without folders; null if unknown"
    )
    photo: Photo | None
    subject: Literal["people", "object"] | None = Field(
        description="What was cut out: people, or else whatever stands out; null when nothing was "
        "found"
    )
    people: int | None = Field(
        description="How many of `persons` are kept; of a model that does not separate persons, "
        "the number of faces. Null before people were searched, and when they are neither "
        "separated nor counted by their faces"
    )
    persons: list[Person] | None = Field(
        description="The persons in the photo; null when the model does not separate persons"
    )
    attached: list[AttachedThing] | None = Field(
        default=None,
        description="What the model added to the kept persons because it is in one piece with "
        "them; null when the model does not look for such things",
    )
    confidence: Score | None = Field(
        description="Agreement on the matte, 0 to 1, as intersection over union: of an ensemble's "
        "members, or of the networks of `people`; null for other models, and without a person"
    )
    needs_review: bool = Field(
        description="Whether `confidence` is low, for an ensemble below the recipe's threshold, "
        "or null after a deadline lowered the model; or `persons` names a number that no person "
        "has; or one of `persons` is only possible, and the recipe names none; or subject=auto cut "
        "out what may be no person, since the server has no model for things"
    )
    image: Image | None
    faces: list[Face] | None
    faces_removed: int | None = Field(
        default=None, description="The number of found faces that users removed; they do not count"
    )
    emotions_notice: str | None = Field(
        default=None,
        description="What the people in the photo must be told, set when `faces` has emotions "
        "(docs/biometrics.md)",
    )
    rating: Rating | None
    rating_reason: str | None = Field(description="`no_face`, `not_requested` or null")
    printability: Printability | None
    background: ChosenBackground
    filters: list[AppliedFilter]
    frame: Frame | None
    stages: list[Stage]
    outputs: dict[Output, str]
    output_links: dict[Output, str] = Field(
        default={},
        description="Signed URLs of the outputs, which need no key; empty while there are no "
        "outputs, and when the server has no secrets key",
    )
    output_links_expire_at: UtcDatetime | None = Field(
        default=None, description="When `output_links` end; null without any"
    )
    rank: int | None = Field(default=None, description="Rank in its album, 1 for the best")
    rank_terms: RankTerms | None = None
    take: TakeReport | None = Field(
        default=None, description="How the photo was composed of those of a batch; else null"
    )
    queue: QueuePosition | None = Field(default=None, description="Null once the job has ended")
    degraded: list[str] = Field(
        default=[],
        description="Recipe fields that were reduced to meet the deadline, such as `edge=fast`",
    )
    warnings: list[str] = Field(
        default=[],
        description="Sentences on a photo in which no person was found to be cut out, on a picture "
        "with a side of less than 600 pixels, or with the photo enlarged more than 1.3 times",
    )
    links: JobLinks
    error: JobError | None


class JobEvent(BaseModel):
    """An event of a job; data: the job when the event is sent."""

    type: EventType
    stage: StageName | None = Field(
        default=None, description="The stage of `job.stage`; null for other events"
    )
    timestamp: UtcDatetime
    data: Job


class JobView(StrEnum):
    """How much of each job a list shows."""

    FULL = "full"
    SUMMARY = "summary"


class JobPage(BaseModel):
    """A page of jobs, newest first; next_cursor: `cursor` of the next page."""

    items: list[Job]
    next_cursor: str | None
