"""What the API answers about jobs and models, in the contract's own shapes.

The fields of a job are null until the stage that knows them has succeeded.
"""

import datetime as dt
import uuid
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, Field

from smart_filter_shared.cards import LEADING_TASK, ModelCard, TaskName
from smart_filter_shared.jobs.queries import JobRow, Json, StageRow
from smart_filter_shared.jobs.states import JobState, StageState
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.rating import EYES_SHARE, LEVEL_WEIGHTS, SMILE_SHARE, SmileLevel, rate
from smart_filter_shared.recipe import BackgroundKind, Format, Output, Recipe

# A matte over less of the photo than this is taken for noise: nobody is there.
NOBODY_BELOW_COVERAGE = 0.005


def _in_utc(moment: dt.datetime) -> dt.datetime:
    return moment.astimezone(dt.UTC)


# RFC 3339 with a Z, whatever the time zone of the database's session.
Moment = Annotated[dt.datetime, AfterValidator(_in_utc)]


class ModelChoice(BaseModel):
    """Which model was asked for: `auto` or a name."""

    model: str


class RecipeAnswer(BaseModel):
    """What the job was asked for, defaults filled in."""

    background: str
    outputs: list[Output]
    format: Format
    quality: int
    require_person: bool
    segmentation: ModelChoice
    face: ModelChoice
    smile: ModelChoice
    eyes: ModelChoice


class Picture(BaseModel):
    """Size and format of a picture; width and height in pixels."""

    width: int
    height: int
    format: str


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
    """

    box: list[float] = Field(min_length=4, max_length=4, description="x, y, width, height")
    score: float
    landmarks: list[Annotated[list[float], Field(min_length=2, max_length=2)]] = Field(
        min_length=5, max_length=5
    )
    smile: SmileAnswer
    emotion: dict[str, float] | None = None
    eyes: EyesAnswer


class RatingAnswer(BaseModel):
    """The rating with every term: score = shares.smile × … + shares.eyes × …."""

    score: float
    avg_smiling_score: float
    open_eye_ratio: float
    faces: int
    open_eyes: int
    weights: dict[SmileLevel, float]
    shares: dict[str, float]


class BackgroundAnswer(BaseModel):
    """What stands behind the people, and why; what was asked for until it is chosen."""

    kind: str
    name: str | None
    keywords: list[str]
    reason: str | None


class StageAnswer(BaseModel):
    """Where one stage stands; seconds: how long its code ran."""

    name: StageName
    model: str
    state: StageState
    attempt: int
    seconds: float | None


class QueueAnswer(BaseModel):
    """How far away the turn of a job is."""

    position: int
    eta_p50_s: float
    eta_p90_s: float


class LinksAnswer(BaseModel):
    """Where to go from here."""

    self: str
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
    created_at: Moment
    finished_at: Moment | None
    expires_at: Moment | None = None
    recipe: RecipeAnswer
    seed: int
    metadata: dict[str, str]
    photo: Picture | None
    people: int | None
    image: Picture | None
    faces: list[FaceAnswer] | None
    rating: RatingAnswer | None
    rating_reason: str | None = Field(description="`no_face`, `not_requested` or null")
    background: BackgroundAnswer
    stages: list[StageAnswer]
    outputs: dict[Output, str]
    queue: QueueAnswer | None = None
    degraded: list[str] = []
    links: LinksAnswer
    error: FailureAnswer | None


class JobPage(BaseModel):
    """A page of jobs, newest first; next_cursor: what to ask the next page with."""

    items: list[JobAnswer]
    next_cursor: str | None


class WeightsAnswer(BaseModel):
    """A file of weights and the SHA-256 of its bytes."""

    name: str
    sha256: str


class ModelAnswer(BaseModel):
    """The card of a model."""

    name: str
    version: str
    task: TaskName
    stage: StageName
    family: str
    title: str
    source: str
    licence: str
    data_terms: str
    default: bool
    weights: list[WeightsAnswer]
    input_size: list[int] | None
    batch_size: int
    quality: dict[str, float]
    devices: list[str]

    @classmethod
    def of(cls, card: ModelCard) -> Self:
        """Return the answer about a card."""
        return cls(
            name=card.name,
            version=card.version,
            task=card.task,
            stage=card.stage,
            family=card.family,
            title=card.title,
            source=card.source,
            licence=card.licence,
            data_terms=card.data_terms,
            default=card.default,
            weights=[WeightsAnswer(name=file.name, sha256=file.sha256) for file in card.weights],
            input_size=None if card.input_size is None else list(card.input_size),
            batch_size=card.batch_size,
            quality=dict(card.quality),
            devices=list(card.devices),
        )


class ModelPage(BaseModel):
    """All models that are served, on one page."""

    items: list[ModelAnswer]
    next_cursor: str | None = None


def job(row: JobRow) -> JobAnswer:
    """Return the answer about a job."""
    found = faces(row)
    path = f"/v1/jobs/{row.id}"
    return JobAnswer(
        id=row.id,
        state=row.state,
        created_at=row.created_at,
        finished_at=row.finished_at,
        recipe=RecipeAnswer.model_validate(row.recipe.as_json()),
        seed=row.seed,
        metadata=dict(row.recipe.metadata),
        photo=_picture(_facts(row, StageName.PREPARE)),
        people=_people(row),
        image=_picture(_file(row, Output.IMAGE)),
        faces=found,
        rating=None if found is None else rating(found),
        rating_reason=_rating_reason(row.recipe, found),
        background=_background(row),
        stages=[_stage(stage) for stage in row.stages],
        outputs={output: f"{path}/outputs/{output}" for output in _outputs(row)},
        links=LinksAnswer(self=path, events=f"{path}/events", cancel=f"{path}/cancel"),
        error=None if row.error is None else FailureAnswer.model_validate(row.error),
    )


def faces(row: JobRow) -> list[FaceAnswer] | None:
    """Return the faces of a job; None when they were not asked for, or are not rated yet."""
    detected = _facts(row, StageName.FACE)
    rated = _facts(row, StageName.SMILE)
    if detected is None or rated is None:
        return None
    return [
        FaceAnswer.model_validate({**face, "smile": smile, "eyes": eyes})
        for face, smile, eyes in zip(detected["faces"], rated["smiles"], rated["eyes"], strict=True)
    ]


def rating(found: list[FaceAnswer]) -> RatingAnswer | None:
    """Return the rating of a photo with these faces; None when there are none."""
    if not found:
        return None
    open_eyes = sum(
        is_open is True for face in found for is_open in (face.eyes.left_open, face.eyes.right_open)
    )
    rated = rate([face.smile.level for face in found], open_eyes)
    return RatingAnswer(
        score=rated.score,
        avg_smiling_score=rated.avg_smiling_score,
        open_eye_ratio=rated.open_eye_ratio,
        faces=rated.faces,
        open_eyes=rated.open_eyes,
        weights=dict(LEVEL_WEIGHTS),
        shares={"smile": SMILE_SHARE, "eyes": EYES_SHARE},
    )


def _rating_reason(recipe: Recipe, found: list[FaceAnswer] | None) -> str | None:
    if not recipe.rates_people:
        return "not_requested"
    return "no_face" if found == [] else None


def _people(row: JobRow) -> int | None:
    """Count the persons that the model tells apart, or judge by matte and faces."""
    segmented = _facts(row, StageName.SEGMENTATION)
    if not row.recipe.rates_people or segmented is None:
        return None
    if segmented["persons"] is not None:
        return int(segmented["persons"])
    if segmented["coverage"] < NOBODY_BELOW_COVERAGE:
        return 0
    detected = _facts(row, StageName.FACE)
    return None if detected is None else max(1, len(detected["faces"]))


def _background(row: JobRow) -> BackgroundAnswer:
    composed = _facts(row, StageName.COMPOSITE)
    if composed is not None and composed["background"] is not None:
        return BackgroundAnswer.model_validate(composed["background"])
    asked = row.recipe.background
    name = asked.value if asked.kind == BackgroundKind.PRESET else None
    return BackgroundAnswer(kind=asked.kind, name=name, keywords=[], reason=None)


def _stage(row: StageRow) -> StageAnswer:
    return StageAnswer(
        name=row.name,
        model=row.models[LEADING_TASK[row.name]],
        state=StageState(row.state),
        attempt=row.attempt,
        seconds=row.seconds,
    )


def _outputs(row: JobRow) -> tuple[Output, ...]:
    return row.recipe.outputs if row.state == JobState.SUCCEEDED else ()


def _picture(known: Json | None) -> Picture | None:
    return None if known is None else Picture.model_validate(known)


def _file(row: JobRow, output: Output) -> Json | None:
    result = row.result(StageName.COMPOSITE)
    return None if result is None else result["files"].get(str(output))


def _facts(row: JobRow, stage: StageName) -> Json | None:
    result = row.result(stage)
    return None if result is None else result["facts"]
