"""Jobs and their findings."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast

from smart_filter_client import files
from smart_filter_client.errors import NoOutput
from smart_filter_client.fields import Fields, JsonObject
from smart_filter_client.models.faces import (
    AttachedThing,
    Face,
    Person,
    Rating,
    attached_thing_from,
    face_from,
    person_from,
    rating_from,
)
from smart_filter_client.models.ranking import RankTerms, rank_terms_from
from smart_filter_client.printability import Printability, printability_from
from smart_filter_client.recipe import OutputName

JobState = Literal["queued", "running", "succeeded", "failed", "canceled"]
StageState = Literal["waiting", "ready", "running", "succeeded", "failed", "canceled"]
FINAL_STATES = frozenset[JobState]({"succeeded", "failed", "canceled"})


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture's size in pixels, and its format such as `jpg`.

    For the image also its bytes, its quality, 1 to 100 (None for a png), and its BlurHash.
    For the photo also the counterclockwise quarter turns that make it upright after its EXIF
    orientation is applied.
    """

    width: int
    height: int
    format: str
    bytes: int | None = None
    quality: int | None = None
    blurhash: str | None = None
    quarter_turns: int | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A possible background: its score 0..1, and the terms of the score."""

    name: str
    score: float
    terms: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Background:
    """The background, and the reason for the choice.

    candidates: the best few if the photo decided, the chosen one first.  contrast: of the outline
    against it, by the names of the API; None for the photo's own and for transparency.
    """

    kind: str
    name: str | None
    keywords: tuple[str, ...]
    reason: str | None
    candidates: tuple[Candidate, ...] = ()
    contrast: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Filtered:
    """The result of a filter: whether it was applied, None until that is known, and why."""

    name: str
    applied: bool | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a job.

    digest: identifies the weights that made its result; None until then.
    reused: whether the result is an earlier job's; nothing ran then.
    """

    name: str
    model: str | None
    state: StageState
    attempt: int
    seconds: float | None
    digest: str | None = None
    reused: bool = False


@dataclass(frozen=True, slots=True)
class Queue:
    """The position of a job in its queue, and its ETA in seconds.

    eta_p50_s, eta_p90_s: half, and nine of ten, of such jobs have ended after this time; None while
    an operator has paused a queue that the job needs.
    """

    position: int
    eta_p50_s: float | None
    eta_p90_s: float | None


@dataclass(frozen=True, slots=True)
class Frame:
    """Where the photo lies in the picture: its point (x, y) is at left + scale·x, top + scale·y.

    foreground: x, y, width, height around the people, in pixels of the picture; None without any.
    """

    width: int
    height: int
    scale: float
    left: float
    top: float
    foreground: tuple[float, ...] | None


@dataclass(frozen=True, slots=True)
class Output:
    """An output; media_type: such as `image/jpeg`."""

    media_type: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job failed; `code` is stable, `stage` is where, `remedy` what to do."""

    code: str
    title: str
    detail: str
    stage: str | None
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """One photo with its recipe, state and results.

    parent_id: the job that it was derived from.  batch_id: the batch that it belongs to.
    rank, rank_terms: in a ranked album: 1 is the best, and the reasons.
    expires_at: when its pictures expire.  photo_name: of the photo's file.
    recipe: the recipe with defaults filled in.
    queue: its position and ETA, if the server gives them.  degraded: what was simplified to meet
    the deadline.
    subject: what was cut out; None when nothing was found.
    persons: every person that the model separates, kept or not; None if it cannot.
    attached: what the model added to kept persons because it is in one piece with them; None if it
        looks for no such things.
    people, faces, rating: None when the job does not need them, or does not know them yet.
    faces_removed: the number of found faces that users removed; None as for faces.
    emotions_notice: what the people in the photo must be told; None unless faces have emotions.
    printability: how well the picture prints; None unless people were rated.
    confidence: the agreement on the matte, 0 to 1: of an ensemble's members, or of the networks of
        `people`; None for other models, and when no person was found.
    needs_review: whether the cutout may be wrong (docs/api/jobs.md).
    outputs: the path on the server of each available output.
    files: the outputs in memory, of a job that `run` returned.
    output_links: signed URLs of the outputs, which need no key, until output_links_expire_at.
    document: the unparsed JSON.
    """

    id: str
    state: JobState
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
    outputs: Mapping[OutputName, str]
    error: Failure | None
    document: JsonObject = field(repr=False, compare=False)
    parent_id: str | None = None
    expires_at: dt.datetime | None = None
    recipe: JsonObject = field(default_factory=dict, repr=False)
    queue: Queue | None = None
    degraded: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    frame: Frame | None = None
    batch_id: str | None = None
    photo_name: str | None = None
    rank: int | None = None
    rank_terms: RankTerms | None = None
    persons: tuple[Person, ...] | None = None
    files: Mapping[OutputName, Output] = field(default_factory=dict, repr=False, compare=False)
    output_links: Mapping[str, str] = field(default_factory=dict, repr=False)
    output_links_expire_at: dt.datetime | None = None
    subject: Literal["people", "object"] | None = None
    attached: tuple[AttachedThing, ...] | None = None
    emotions_notice: str | None = None
    faces_removed: int | None = None

    @property
    def is_final(self) -> bool:
        """Whether the job has ended."""
        return self.state in FINAL_STATES

    @property
    def succeeded(self) -> bool:
        """Whether the job succeeded."""
        return self.state == "succeeded"

    def save(self, to: Path | str, name: OutputName = "image") -> Path:
        """Write an output of a job that `run` returned to a file; return its path.

        The file appears complete or not at all.
        Raises NoOutput when the job has no such output in memory, and OSError.
        """
        place = Path(to)
        files.write_file(place, self._file(name).content)
        return place

    def _file(self, name: OutputName) -> Output:
        if name in self.files:
            return self.files[name]
        if self.error is not None:
            raise NoOutput(f"job {self.id} {self.state}: {self.error.code}, {self.error.detail}")
        if name in self.outputs:
            raise NoOutput(f"{name} of job {self.id} is on the server: use the client's `download`")
        names = ", ".join(self.outputs) or "none"
        raise NoOutput(f"job {self.id} ({self.state}) has no output {name!r}; it has {names}")


def job_from(document: object) -> Job:
    """Parse a job.  Raises UnexpectedAnswer."""
    fields = Fields(document, "a job")
    faces = fields.objects_or_none("faces")
    persons = fields.objects_or_none("persons")
    attached = fields.objects_or_none("attached")
    return Job(
        id=fields.text("id"),
        state=cast("JobState", fields.text("state")),
        created_at=fields.time_or_none("created_at"),
        finished_at=fields.time_or_none("finished_at"),
        seed=fields.integer_or_none("seed"),
        metadata=fields.texts_by_name("metadata"),
        photo_name=fields.text_or_none("photo_name"),
        photo=_picture(fields.object_or_none("photo")),
        image=_picture(fields.object_or_none("image")),
        subject=cast("Literal['people', 'object'] | None", fields.text_or_none("subject")),
        emotions_notice=fields.text_or_none("emotions_notice"),
        people=fields.integer_or_none("people"),
        confidence=fields.number_or_none("confidence"),
        needs_review=fields.document.get("needs_review") is True,
        faces=None if faces is None else tuple(face_from(face) for face in faces),
        faces_removed=fields.integer_or_none("faces_removed"),
        rating=rating_from(fields.object_or_none("rating")),
        rating_reason=fields.text_or_none("rating_reason"),
        printability=printability_from(fields.object_or_none("printability")),
        background=_background(fields.object_or_none("background")),
        filters=tuple(_filtered(filter_) for filter_ in fields.objects_or_none("filters") or ()),
        stages=tuple(_stage(stage) for stage in fields.objects_or_none("stages") or ()),
        outputs=cast("Mapping[OutputName, str]", fields.texts_by_name("outputs")),
        error=failure_from(fields.object_or_none("error")),
        document=fields.document,
        parent_id=fields.text_or_none("parent_id"),
        expires_at=fields.time_or_none("expires_at"),
        recipe=fields.mapping("recipe"),
        queue=_queue(fields.object_or_none("queue")),
        degraded=fields.texts("degraded"),
        warnings=fields.texts("warnings"),
        frame=_frame(fields.object_or_none("frame")),
        batch_id=fields.text_or_none("batch_id"),
        rank=fields.integer_or_none("rank"),
        rank_terms=rank_terms_from(fields.object_or_none("rank_terms")),
        persons=None if persons is None else tuple(person_from(person) for person in persons),
        attached=None
        if attached is None
        else tuple(attached_thing_from(thing) for thing in attached),
        output_links=fields.texts_by_name("output_links"),
        output_links_expire_at=fields.time_or_none("output_links_expire_at"),
    )


def failure_from(fields: Fields | None) -> Failure | None:
    """Parse a failure, or return None."""
    if fields is None:
        return None
    return Failure(
        code=fields.text_or_none("code") or "internal",
        title=fields.text_or_none("title") or "",
        detail=fields.text_or_none("detail") or "",
        stage=fields.text_or_none("stage"),
        remedy=fields.text_or_none("remedy") or "",
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
        quarter_turns=fields.integer_or_none("quarter_turns"),
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
        contrast=fields.numbers_by_name("contrast") or None,
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
        state=cast("StageState", fields.text("state")),
        attempt=fields.integer_or_none("attempt") or 0,
        seconds=fields.number_or_none("seconds"),
        digest=fields.text_or_none("digest"),
        reused=fields.boolean_or_none("reused") is True,
    )


def _queue(fields: Fields | None) -> Queue | None:
    if fields is None:
        return None
    return Queue(
        position=fields.integer_or_none("position") or 0,
        eta_p50_s=fields.number_or_none("eta_p50_s"),
        eta_p90_s=fields.number_or_none("eta_p90_s"),
    )


def _frame(fields: Fields | None) -> Frame | None:
    if fields is None:
        return None
    return Frame(
        width=fields.integer_or_none("width") or 0,
        height=fields.integer_or_none("height") or 0,
        scale=fields.number("scale"),
        left=fields.number("left"),
        top=fields.number("top"),
        foreground=fields.numbers("foreground") or None,
    )
