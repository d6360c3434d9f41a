"""Faces, persons and the rating of a photo."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

from smart_filter_client.fields import Fields

SmileLevel = Literal["none", "mild", "moderate", "huge"]


@dataclass(frozen=True, slots=True)
class Smile:
    """How much a person smiles; score of the model."""

    level: SmileLevel
    score: float | None


@dataclass(frozen=True, slots=True)
class Eyes:
    """Whether the eyes are open, by the person's own left and right; None: unknown."""

    left_open: bool | None
    right_open: bool | None


@dataclass(frozen=True, slots=True)
class Face:
    """A face.

    box: x, y of its top left, width, height, in pixels of the upright photo.
    landmarks: right eye, left eye, nose, right and left mouth corner, as x, y.
    emotion: the share of each emotion, 0 to 1; None if no model reads it.
    added: whether a user added it.
    """

    box: tuple[float, ...]
    score: float | None
    landmarks: tuple[tuple[float, ...], ...]
    smile: Smile | None
    eyes: Eyes | None
    emotion: Mapping[str, float] | None = None
    added: bool = False


@dataclass(frozen=True, slots=True)
class Person:
    """A person that the model separates from the others.

    number: the number for `persons` of a recipe.  box: as for a face.
    kept: whether the recipe keeps this person.  role: `subject`; `bystander`, who is not
    photographed; or `possible`, which only one network sees. A recipe keeps the others by number.
    """

    number: int
    box: tuple[float, ...]
    kept: bool
    role: str = "subject"


@dataclass(frozen=True, slots=True)
class AttachedThing:
    """A thing that a person holds or wears, or a lost part of the person, that the model added.

    box: as for a face.  person: the person's number; None if the model separates none.
    """

    box: tuple[float, ...]
    person: int | None


@dataclass(frozen=True, slots=True)
class Rating:
    """How well the people look, with the terms of the score.

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
    """Parse a person.  Raises UnexpectedAnswer."""
    return Person(
        number=fields.integer("number"),
        box=fields.numbers("box"),
        kept=fields.boolean_or_none("kept") is True,
        role=fields.text_or_none("role") or "subject",
    )


def attached_thing_from(fields: Fields) -> AttachedThing:
    """Parse an attached thing.  Raises UnexpectedAnswer."""
    return AttachedThing(box=fields.numbers("box"), person=fields.integer_or_none("person"))


def face_from(fields: Fields) -> Face:
    """Parse a face.  Raises UnexpectedAnswer."""
    smile = fields.object_or_none("smile")
    eyes = fields.object_or_none("eyes")
    return Face(
        box=fields.numbers("box"),
        score=fields.number_or_none("score"),
        landmarks=fields.points("landmarks"),
        smile=None if smile is None else _smile(smile),
        eyes=None if eyes is None else _eyes(eyes),
        emotion=fields.numbers_by_name("emotion") or None,
        added=fields.boolean_or_none("added") is True,
    )


def rating_from(fields: Fields | None) -> Rating | None:
    """Parse a rating, or return None.  Raises UnexpectedAnswer."""
    # A webhook about a crowd has a link in place of the terms.
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
    return Smile(cast("SmileLevel", fields.text("level")), fields.number_or_none("score"))


def _eyes(fields: Fields) -> Eyes:
    return Eyes(fields.boolean_or_none("left_open"), fields.boolean_or_none("right_open"))
