"""Request models of strokes, which say what of a photo is people."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from smart_filter_shared.feedback.corrections import MAX_POINTS, MAX_STROKES, MAX_WIDTH_PX

Point = Annotated[list[float], Field(min_length=2, max_length=2, description="x, y")]


class Stroke(BaseModel):
    """A line drawn on the photo, in pixels of the upright photo.

    keep: true where the line covers people, false where it covers background.
    snap: each point marks the area around it in place of the line: `part`, all that resembles it
    up to the next edge, at most a quarter of the matte, or `region`, a small piece of that.
    width: needed without snap.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, strict=True)

    points: list[Point] = Field(min_length=1, max_length=MAX_POINTS)
    width: float | None = Field(default=None, gt=0, le=MAX_WIDTH_PX)
    keep: bool
    snap: Literal["part", "region"] | None = None


Strokes = Annotated[list[Stroke], Field(min_length=1, max_length=MAX_STROKES)]


class SentStrokes(BaseModel):
    """The strokes of a submission."""

    strokes: Strokes
