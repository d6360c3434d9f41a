"""Jobs, and what happens to them, as answers show them."""

import uuid
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field

from smart_filter_api.schemas.moments import Moment
from smart_filter_api.schemas.stages import StageAnswer
from smart_filter_shared.jobs.events import EventType
from smart_filter_shared.jobs.states import JobState
from smart_filter_shared.parameters import Scalar
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.printability import Printability
from smart_filter_shared.rating import SmileLevel
from smart_filter_shared.recipe import Crop, Edge, Effort, Format, Output, Priority


def _to_hundredths(pixels: float) -> float:
    return round(pixels, 2)


def _to_millionths(scale: float) -> float:
    return round(scale, 6)


# No detector tells a place to a hundredth of a pixel; a scale is multiplied by thousands of them.
Pixels = Annotated[float, AfterValidator(_to_hundredths)]
Scale = Annotated[float, AfterValidator(_to_millionths)]
_FROM_NOW = "seconds from now; null while an operator has paused something that it still needs"


class ModelChoice(BaseModel):
    """Which model was asked for, `auto` or a name, and what was set for it."""

    model: str
    params: dict[str, Scalar] = {}


class FilterChoice(BaseModel):
    """A filter that was asked for, and what was set for it."""

    name: str
    params: dict[str, Scalar] = {}


class RecipeAnswer(BaseModel):
    """What the job was asked for, defaults filled in."""

    background: str
    outputs: list[Output]
    format: Format
    quality: int
    matte_bits: int
    max_bytes: int | None = Field(description="of image and cut-out, each")
    keep_metadata: bool
    effort: Effort
    edge: Edge
    crop: Crop
    margin: str
    scale: str
    position: str
    roi: str
    size: str
    aspect: str
    shadow: str
    outline: str
    light_wrap: str
    harmonise: str
    filters: list[FilterChoice]
    require_person: bool
    persons: str = Field(description="`all`, `largest`, or numbers such as `1,3`")
    priority: Priority
    run_at: Moment | None
    deadline_ms: int | None = Field(description="from its acceptance")
    segmentation: ModelChoice
    face: ModelChoice
    smile: ModelChoice
    eyes: ModelChoice


class Picture(BaseModel):
    """Size and format of a picture; width and height in pixels."""

    width: int
    height: int
    format: str


class PhotoAnswer(Picture):
    """The photo, upright."""

    quarter_turns: int = Field(
        default=0,
        ge=0,
        le=3,
        description="by how many it lay wrong, its EXIF obeyed: counter-clockwise is upright",
    )


class ImageAnswer(Picture):
    """The file of the image: how large it is, and how it was encoded.

    quality: null of a png.  blurhash: a blurred preview in a few letters (blurha.sh).
    """

    bytes: int
    quality: int | None = None
    blurhash: str | None = None


class SmileAnswer(BaseModel):
    """How much a face smiles; score 0..1."""

    level: SmileLevel
    score: float


class EyesAnswer(BaseModel):
    """Whether the person's own left and right eye are open; null when it cannot be told."""

    left_open: bool | None
    right_open: bool | None


class FaceAnswer(BaseModel):
    """One face, in pixels of the upright photo.

    Landmarks: right eye, left eye, nose, right and left mouth corner.
    Emotion: the shares, summing to 1, of neutral, happiness, surprise, sadness, anger, disgust,
    fear and contempt; null where the model of smiles does not read them.
    """

    box: list[Pixels] = Field(min_length=4, max_length=4, description="x, y, width, height")
    score: float
    landmarks: list[Annotated[list[Pixels], Field(min_length=2, max_length=2)]] = Field(
        min_length=5, max_length=5
    )
    smile: SmileAnswer
    emotion: dict[str, float] | None = None
    eyes: EyesAnswer


class PersonAnswer(BaseModel):
    """A person that the model tells apart from the others, in pixels of the upright photo.

    number: what `persons` of a recipe names, 1 the leftmost; the same in derived jobs with the same
    `segmentation` and `roi`.
    """

    number: int = Field(ge=1)
    box: list[Pixels] = Field(min_length=4, max_length=4, description="x, y, width, height")
    kept: bool = Field(description="whether the recipe's `persons` keeps this one")


class RatingAnswer(BaseModel):
    """The rating with every term: score = shares.smile × … + shares.eyes × …."""

    score: float
    avg_smiling_score: float
    open_eye_ratio: float
    faces: int
    open_eyes: int
    weights: dict[SmileLevel, float]
    shares: dict[str, float]


class TermsAnswer(BaseModel):
    """What makes a background's score, 0 to 1 each."""

    mood: float = Field(description="whether it goes with what the faces say")
    contrast: float = Field(description="how well the people stand out from it")
    harmony: float = Field(description="whether its hues go with clothes, hair and skin")
    variety: float = Field(description="chance, by the seed")


class CandidateAnswer(BaseModel):
    """A background that could have been chosen; `preset:NAME` asks for it."""

    name: str
    score: float
    terms: TermsAnswer


class BackgroundAnswer(BaseModel):
    """What stands behind the people, and why; what was asked for until it is chosen."""

    kind: str
    name: str | None
    keywords: list[str]
    reason: str | None
    candidates: list[CandidateAnswer] = Field(
        default=[], description="the best five when the people chose, the chosen one first"
    )


class FrameAnswer(BaseModel):
    """Where the photo lies in the picture: (x, y) of the one is at left + scale·x, top + scale·y.

    foreground: x, y, width and height around the people in the picture; null without any, or
    where nobody was looked for.
    """

    width: int
    height: int
    scale: Scale
    left: Pixels
    top: Pixels
    foreground: list[int] | None = Field(min_length=4, max_length=4)


class FilteredAnswer(BaseModel):
    """What became of a filter that was asked for; null until it is known.

    reason: what was drawn, or why nothing was, for people.
    """

    name: str
    applied: bool | None
    reason: str | None


class QueueAnswer(BaseModel):
    """How far away the end of a job is: half of such jobs, and nine tenths, take no longer."""

    position: int = Field(
        ge=0,
        description="in the queue that it waits in, 1 the next; 0: it is worked on; at least so"
        " many from 10,000",
    )
    eta_p50_s: float | None = Field(ge=0, description=_FROM_NOW)
    eta_p90_s: float | None = Field(ge=0, description=_FROM_NOW)


class RankTermsAnswer(BaseModel):
    """Why a photo stands where it stands in its album.

    of: how many were ranked.  alike: how many photos of them show the same scene, itself too.
    better: the job of the best of those, null for that one itself.
    """

    rating: float | None
    of: int
    alike: int
    better: uuid.UUID | None
    reasons: list[str]


class LinksAnswer(BaseModel):
    """Where to go from here."""

    self: str
    photo: str = Field(description="the photo, as soon as `photo` is told and while it is kept")
    events: str
    cancel: str


class FailureAnswer(BaseModel):
    """Why a job failed: a stable code, and what happened, for people."""

    code: str
    title: str
    detail: str
    stage: StageName


class JobAnswer(BaseModel):
    """One photo on its way."""

    id: uuid.UUID
    state: JobState
    parent_id: uuid.UUID | None = None
    batch_id: uuid.UUID | None = None
    created_at: Moment
    finished_at: Moment | None
    expires_at: Moment | None = None
    recipe: RecipeAnswer
    seed: int
    metadata: dict[str, str]
    photo: PhotoAnswer | None
    people: int | None
    persons: list[PersonAnswer] | None = Field(
        description="everybody whom the model tells apart; null when it does not"
    )
    confidence: float | None = Field(
        description="how far an ensemble's members agree, 0 to 1: intersection over union"
    )
    needs_review: bool = Field(description="whether they agree less than the recipe wants")
    image: ImageAnswer | None
    faces: list[FaceAnswer] | None
    rating: RatingAnswer | None
    rating_reason: str | None = Field(description="`no_face`, `not_requested` or null")
    printability: Printability | None
    background: BackgroundAnswer
    filters: list[FilteredAnswer]
    frame: FrameAnswer | None
    stages: list[StageAnswer]
    outputs: dict[Output, str]
    rank: int | None = Field(default=None, description="in its album, 1 the best")
    rank_terms: RankTermsAnswer | None = None
    queue: QueueAnswer | None = Field(default=None, description="null once it has ended")
    degraded: list[str] = Field(
        default=[], description="what was given up for its deadline, such as `edge=fast`"
    )
    links: LinksAnswer
    error: FailureAnswer | None


class EventAnswer(BaseModel):
    """Something that happened to a job; data: the job as it is when this is told."""

    type: EventType
    timestamp: Moment
    data: JobAnswer


class JobPage(BaseModel):
    """A page of jobs, newest first; next_cursor: what to ask the next page with."""

    items: list[JobAnswer]
    next_cursor: str | None
