"""What a server answers, as frozen values.

Fields that a newer server adds are not an error; those that an older one lacks read as
None or empty. `document` keeps an answer whole, as it came.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

from smart_filter_client.fields import Fields, JsonObject
from smart_filter_client.printability import Printability, printability_from

FINAL_STATES = frozenset({"succeeded", "failed", "canceled"})


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture's size in pixels, and its format such as `jpg`.

    Of the image also how many bytes it has, its quality, 1 to 100 (None of a png), and the
    BlurHash that a preview is drawn from.
    """

    width: int
    height: int
    format: str
    bytes: int | None = None
    quality: int | None = None
    blurhash: str | None = None


@dataclass(frozen=True, slots=True)
class Smile:
    """How much somebody smiles: level none, mild, moderate or huge; score as the model gave it."""

    level: str
    score: float | None


@dataclass(frozen=True, slots=True)
class Eyes:
    """Whether somebody's eyes are open, by the person's own left and right; None: unknown."""

    left_open: bool | None
    right_open: bool | None


@dataclass(frozen=True, slots=True)
class Face:
    """A face.

    box: x, y of its top left, width, height, in pixels of the upright photo.
    landmarks: right eye, left eye, nose, right and left mouth corner, as x, y.
    """

    box: tuple[float, ...]
    score: float | None
    landmarks: tuple[tuple[float, ...], ...]
    smile: Smile | None
    eyes: Eyes | None


@dataclass(frozen=True, slots=True)
class Rating:
    """How well the people look, with the terms that made the score.

    shares: how much of the score is due to `smile` and `eyes`.
    """

    score: float
    avg_smiling_score: float
    open_eye_ratio: float
    faces: int
    open_eyes: int
    weights: Mapping[str, float]
    shares: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A background that could have been chosen: its score 0..1, and the terms that made it."""

    name: str
    score: float
    terms: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Background:
    """What stands behind the people now, and why it was chosen.

    candidates: the best few when the people chose, the chosen one first.
    """

    kind: str
    name: str | None
    keywords: tuple[str, ...]
    reason: str | None
    candidates: tuple[Candidate, ...] = ()


@dataclass(frozen=True, slots=True)
class Filtered:
    """What became of a filter: whether it was applied, None until that is known, and why."""

    name: str
    applied: bool | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Stage:
    """One stop of a job: waiting, ready, running, succeeded, failed or canceled."""

    name: str
    model: str | None
    state: str
    attempt: int
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job failed; `code` is stable, `stage` is where."""

    code: str
    title: str
    detail: str
    stage: str | None


@dataclass(frozen=True, slots=True)
class Job:
    """One photo on its way.

    state: queued, running, succeeded, failed or canceled.
    people, faces, rating: None when the job needs none of them, or does not know them yet.
    printability: how well the picture prints; None unless people were rated.
    confidence: how far an ensemble's members agree, 0 to 1; None for a single model.
    needs_review: whether that is less than the recipe wants.
    outputs: for each output that is there, its path on the server.
    document: the answer as it came.
    """

    id: str
    state: str
    created_at: dt.datetime | None
    finished_at: dt.datetime | None
    seed: int | None
    metadata: Mapping[str, str]
    photo: Picture | None
    image: Picture | None
    people: int | None
    confidence: float | None
    needs_review: bool
    faces: tuple[Face, ...] | None
    rating: Rating | None
    rating_reason: str | None
    printability: Printability | None
    background: Background | None
    filters: tuple[Filtered, ...]
    stages: tuple[Stage, ...]
    outputs: Mapping[str, str]
    error: Failure | None
    document: JsonObject = field(repr=False, compare=False)

    @property
    def is_final(self) -> bool:
        """Whether nothing will change any more."""
        return self.state in FINAL_STATES

    @property
    def succeeded(self) -> bool:
        """Whether it ended well."""
        return self.state == "succeeded"


@dataclass(frozen=True, slots=True)
class Model:
    """A model that the server knows for a task; `default`: `auto` means this one.

    offered: whether a recipe may name it.  fault: why not; of one that is offered, why no live
        worker can load it, so that jobs for it wait.
    """

    task: str
    name: str
    version: str
    title: str
    licence: str
    default: bool
    offered: bool
    fault: str | None
    document: JsonObject = field(repr=False, compare=False)


def job_from(document: object) -> Job:
    """Return the job that an answer describes; raises UnexpectedAnswer when it is none."""
    fields = Fields(document, "a job")
    faces = fields.objects_or_none("faces")
    return Job(
        id=fields.text("id"),
        state=fields.text("state"),
        created_at=fields.time_or_none("created_at"),
        finished_at=fields.time_or_none("finished_at"),
        seed=fields.integer_or_none("seed"),
        metadata=fields.texts_by_name("metadata"),
        photo=_picture(fields.object_or_none("photo")),
        image=_picture(fields.object_or_none("image")),
        people=fields.integer_or_none("people"),
        confidence=fields.number_or_none("confidence"),
        needs_review=fields.document.get("needs_review") is True,
        faces=None if faces is None else tuple(_face(face) for face in faces),
        rating=_rating(fields.object_or_none("rating")),
        rating_reason=fields.text_or_none("rating_reason"),
        printability=printability_from(fields.object_or_none("printability")),
        background=_background(fields.object_or_none("background")),
        filters=tuple(_filtered(one) for one in fields.objects_or_none("filters") or ()),
        stages=tuple(_stage(stage) for stage in fields.objects_or_none("stages") or ()),
        outputs=fields.texts_by_name("outputs"),
        error=_failure(fields.object_or_none("error")),
        document=fields.document,
    )


def model_from(document: object) -> Model:
    """Return the model that an answer describes; raises UnexpectedAnswer when it is none."""
    fields = Fields(document, "a model")
    return Model(
        task=fields.text("task"),
        name=fields.text("name"),
        version=fields.text_or_none("version") or "",
        title=fields.text_or_none("title") or "",
        licence=fields.text_or_none("licence") or "",
        default=fields.boolean_or_none("default") is True,
        # A server that is older lists what it offers only.
        offered=fields.boolean_or_none("offered") is not False,
        fault=fields.text_or_none("fault"),
        document=fields.document,
    )


def _picture(fields: Fields | None) -> Picture | None:
    if fields is None:
        return None
    return Picture(
        fields.integer_or_none("width") or 0,
        fields.integer_or_none("height") or 0,
        fields.text_or_none("format") or "",
        bytes=fields.integer_or_none("bytes"),
        quality=fields.integer_or_none("quality"),
        blurhash=fields.text_or_none("blurhash"),
    )


def _face(fields: Fields) -> Face:
    smile = fields.object_or_none("smile")
    eyes = fields.object_or_none("eyes")
    return Face(
        box=fields.numbers("box"),
        score=fields.number_or_none("score"),
        landmarks=fields.points("landmarks"),
        smile=None if smile is None else _smile(smile),
        eyes=None if eyes is None else _eyes(eyes),
    )


def _smile(fields: Fields) -> Smile:
    return Smile(fields.text("level"), fields.number_or_none("score"))


def _eyes(fields: Fields) -> Eyes:
    return Eyes(fields.boolean_or_none("left_open"), fields.boolean_or_none("right_open"))


def _rating(fields: Fields | None) -> Rating | None:
    if fields is None:
        return None
    return Rating(
        score=fields.number("score"),
        avg_smiling_score=fields.number("avg_smiling_score"),
        open_eye_ratio=fields.number("open_eye_ratio"),
        faces=fields.integer_or_none("faces") or 0,
        open_eyes=fields.integer_or_none("open_eyes") or 0,
        weights=fields.numbers_by_name("weights"),
        shares=fields.numbers_by_name("shares"),
    )


def _background(fields: Fields | None) -> Background | None:
    if fields is None:
        return None
    return Background(
        kind=fields.text("kind"),
        name=fields.text_or_none("name"),
        keywords=fields.texts("keywords"),
        reason=fields.text_or_none("reason"),
        candidates=tuple(map(_candidate, fields.objects_or_none("candidates") or ())),
    )


def _candidate(fields: Fields) -> Candidate:
    return Candidate(
        name=fields.text("name"),
        score=fields.number("score"),
        terms=fields.numbers_by_name("terms"),
    )


def _filtered(fields: Fields) -> Filtered:
    return Filtered(
        name=fields.text("name"),
        applied=fields.boolean_or_none("applied"),
        reason=fields.text_or_none("reason"),
    )


def _stage(fields: Fields) -> Stage:
    return Stage(
        name=fields.text("name"),
        model=fields.text_or_none("model"),
        state=fields.text("state"),
        attempt=fields.integer_or_none("attempt") or 0,
        seconds=fields.number_or_none("seconds"),
    )


def _failure(fields: Fields | None) -> Failure | None:
    if fields is None:
        return None
    return Failure(
        code=fields.text_or_none("code") or "internal",
        title=fields.text_or_none("title") or "",
        detail=fields.text_or_none("detail") or "",
        stage=fields.text_or_none("stage"),
    )
