"""Faces and persons, and how well the people look."""

from collections.abc import Mapping
from dataclasses import dataclass

from smart_filter_client.fields import Fields


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
    emotion: how much of each there is, 0 to 1; None where no model reads it.
    """

    box: tuple[float, ...]
    score: float | None
    landmarks: tuple[tuple[float, ...], ...]
    smile: Smile | None
    eyes: Eyes | None
    emotion: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """A person whom the model tells apart from the others.

    number: what `persons` of a recipe names.  box: as of a face.
    kept: whether the recipe keeps this one.
    """

    number: int
    box: tuple[float, ...]
    kept: bool


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


def person_from(fields: Fields) -> Person:
    """Return the person that an object describes; raises UnexpectedAnswer when it is none."""
    return Person(
        number=fields.integer("number"),
        box=fields.numbers("box"),
        kept=fields.boolean_or_none("kept") is True,
    )


def face_from(fields: Fields) -> Face:
    """Return the face that an object describes; raises UnexpectedAnswer when it is none."""
    smile = fields.object_or_none("smile")
    eyes = fields.object_or_none("eyes")
    return Face(
        box=fields.numbers("box"),
        score=fields.number_or_none("score"),
        landmarks=fields.points("landmarks"),
        smile=None if smile is None else _smile(smile),
        eyes=None if eyes is None else _eyes(eyes),
        emotion=fields.numbers_by_name("emotion") or None,
    )


def rating_from(fields: Fields | None) -> Rating | None:
    """Return the rating that an object describes, if there is one; raises UnexpectedAnswer."""
    # The webhook of a crowd has a link in place of the terms.
    if fields is None or fields.number_or_none("avg_smiling_score") is None:
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


def _smile(fields: Fields) -> Smile:
    return Smile(fields.text("level"), fields.number_or_none("score"))


def _eyes(fields: Fields) -> Eyes:
    return Eyes(fields.boolean_or_none("left_open"), fields.boolean_or_none("right_open"))
