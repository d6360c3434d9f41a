"""Photos for passports, visas and badges: what each document asks for, as rows of data.

`documents.toml` has ours; an operator adds rows, in the same form, in the file that
SMART_FILTER_DOCUMENTS names.
"""

import datetime as dt
import functools
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError, with_config

from smart_filter_shared import documents
from smart_filter_shared.catalog.scalars import quote_value
from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.recipe.declaration import (
    MAX_BYTES_LOWER_BOUND,
    MAX_BYTES_UPPER_BOUND,
    has_alpha,
    is_srgb,
)
from smart_filter_shared.suggestions import did_you_mean

OWN_ROWS: Final = "SMART_FILTER_DOCUMENTS"
MM_PER_INCH: Final = 25.4
_MAX_PX: Final = 4000
# A sheet is as fine as its photo: A4 at 60 pixels per mm has 220 megapixels.
_MAX_PX_PER_MM: Final = 60
# The side of a photo that fits on the smallest paper.
_MAX_PRINT_MM: Final = 90
_MAX_SHAPE: Final = 4
_LEAST_HEAD: Final = 0.1
# A JPEG of quality 100 of a portrait, which has more only in noise.
_MAX_BYTES_PER_PX: Final = 1.5
_UNKNOWN: Final = "unexpected_keyword_argument"
# A recipe has `none` for no document.
_NAME: Final = re.compile("(?!none$)[a-z0-9][a-z0-9_-]{0,39}")


def _check_order(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] > pair[1]:
        raise ValueError("the least is more than the most")
    return pair


def _check_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError("a document's name has small letters, digits, - and _, and is not none")
    return name


_Side = Annotated[float, Field(gt=0, le=_MAX_PRINT_MM)]
_Length = Annotated[float, Field(ge=0, le=_MAX_PRINT_MM)]
_Span = Annotated[tuple[_Length, _Length], AfterValidator(_check_order)]
_Pixels = Annotated[int, Field(ge=100, le=_MAX_PX)]
_Least = Annotated[int, Field(ge=0)]
_Most = Annotated[int, Field(ge=MAX_BYTES_LOWER_BOUND, le=MAX_BYTES_UPPER_BOUND)]
_Bytes = Annotated[tuple[_Least, _Most], AfterValidator(_check_order)]
_Name = Annotated[str, AfterValidator(_check_name)]
# Letters, and no invisible characters.
_Title = Annotated[str, Field(max_length=80, pattern=r"^\P{C}*\w\P{C}*$")]


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True)
class DocumentPhoto:
    """What one document asks of its photo; lengths in millimeters of the print.

    size: width and height.  heights: the least and the most pixels of the file's height.
    head: the least and the most from the chin to the top of the head.  hair: whether the hair
    counts as head.
    eyes: the least and the most from the lower border to the line of the eyes, None if not asked.
    above: the same from the upper border to the top of the head.
    backgrounds: CSS colors; the first is drawn.
    bytes: the least and the most of the file; None for no limit.  ratio: how many times it may be
    compressed.
    width: the least and the most of the head's width.
    neutral: whether the mouth must be closed and not smile.  glasses: whether they are allowed.
    gray: whether a photo in black and white is allowed.
    source, checked: the page that states the figures, and the day on which it did; None for
    proportions that no authority asks for.  authority: whose own page that is; None: a secondary
    page.
    """

    title: _Title
    size: tuple[_Side, _Side]
    heights: Annotated[tuple[_Pixels, _Pixels], AfterValidator(_check_order)]
    head: _Span
    backgrounds: Annotated[tuple[str, ...], Field(min_length=1)]
    hair: bool = False
    eyes: _Span | None = None
    above: _Span | None = None
    bytes: _Bytes | None = None
    ratio: Annotated[float, Field(ge=5)] = math.inf
    width: _Span | None = None
    neutral: bool = True
    glasses: bool = True
    gray: bool = False
    authority: str | None = None
    source: Annotated[str, Field(pattern="^https?://[^\\s]+$")] | None = None
    checked: dt.date | None = None
    name: str = ""

    def __post_init__(self) -> None:
        """Raise ValueError for figures that no photo has."""
        height = self.size[1]
        above = 0 if self.above is None else self.above[0]
        faults = {
            "the head does not fit": above + self.head[1] >= height,
            # The eyes are in a head's middle.
            "the head does not fit to its eyes": self.eyes is not None
            and not self.head[0] / 2 <= self.eyes[0] <= self.eyes[1] <= height - self.head[0] / 2,
            "no head has such a width": self.width is not None
            and not self.head[0] / 2 <= self.width[1] <= self.size[0],
            "the head is less than a tenth of the photo": self.head[0] < _LEAST_HEAD * height,
            f"one side is more than {_MAX_SHAPE} times the other": max(self.size)
            > _MAX_SHAPE * min(self.size),
            f"heights are over {_MAX_PX_PER_MM} pixels for each mm of size": self.heights[1]
            > _MAX_PX_PER_MM * height,
            "give eyes or above, not both": None not in {self.eyes, self.above},
            "ratio asks for more bytes than bytes allows": self.bytes is not None
            and self.least_bytes(*self.fit_pixels(0)) > self.bytes[1],
            "bytes asks for more than the pixels hold": self.bytes is not None
            and self.bytes[0] > _MAX_BYTES_PER_PX * math.prod(self.fit_pixels(math.inf)),
            "a color is not opaque": any(map(has_alpha, self.backgrounds)),
            "a color is outside sRGB": not all(map(is_srgb, self.backgrounds)),
        }
        for fault, applies in faults.items():
            if applies:
                raise ValueError(fault)

    @property
    def is_gone(self) -> bool:
        """Whether the row was removed after a job asked for it."""
        return self.name not in document_photos()

    def fit_pixels(self, px_per_mm: float) -> tuple[int, int]:
        """Return width and height of the file that is nearest to a resolution."""
        least, most = self.heights
        height = round(min(most, max(least, px_per_mm * self.size[1])))
        return round(height * self.size[0] / self.size[1]), height

    def least_bytes(self, width: int, height: int) -> int:
        """Return the least bytes of a file of this size in pixels."""
        least = 0 if self.bytes is None else self.bytes[0]
        return max(least, math.ceil(3 * width * height / self.ratio))

    def dots_per_inch(self, height_px: int) -> int:
        """Return the resolution at which a file of this height prints in its size."""
        return round(height_px / self.size[1] * MM_PER_INCH)


@functools.cache
def document_photos() -> Mapping[str, DocumentPhoto]:
    """Return the rows by name: ours, and the operator's, who may replace ours.

    Raises SetupFailed when the operator's file has another form.
    """
    ours = resources.files("smart_filter_shared.recipe") / "documents.toml"
    rows = _read_rows(ours.read_text("utf-8"))
    file = os.environ.get(OWN_ROWS)
    if not file:
        return rows
    try:
        if not Path(file).is_file():
            raise ValueError("it is missing, or no regular file")  # noqa: TRY301 - as a faulty file
        return {**rows, **_read_rows(documents.read_file(Path(file)).decode("utf-8-sig"))}
    except ValidationError as invalid:
        errors = invalid.errors(include_url=False)
        # A misspelled field is missing, too.
        fault = max(errors, key=lambda each: each["type"] == _UNKNOWN)
        *row, name = (str(each) for each in fault["loc"] if each != "[key]")
        says = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == _UNKNOWN:
            says = f"is not a field{did_you_mean(name, DocumentPhoto.__dataclass_fields__)}"
        where = quote_value(".".join((*row, name)))
        raise SetupFailed(f"{OWN_ROWS}: {file}: {where}: {says}") from invalid
    except (OSError, ValueError) as error:
        raise SetupFailed(f"{OWN_ROWS}: {file} cannot be read ({error})") from error


def find_document(name: str) -> DocumentPhoto:
    """Return the row of a name.  Raises ValueError, which lists the names, for another."""
    rows = document_photos()
    if name not in rows:
        raise ValueError(
            f"{quote_value(name)} is not one of {', '.join(rows)}{did_you_mean(name, rows)}"
        )
    return rows[name]


def find_stored_document(name: str) -> DocumentPhoto:
    """Return the row of a stored name; one without a meaning, `is_gone`, where it was removed."""
    row = document_photos().get(_check_name(name))
    return row or DocumentPhoto(name, (35, 45), (531, 531), (32, 34), ("#ffffff",), name=name)


def _read_rows(text: str) -> dict[str, DocumentPhoto]:
    rows = {
        name: {**row, "name": name} if isinstance(row, dict) else row
        for name, row in documents.parse_toml(text).items()
    }
    return TypeAdapter(dict[_Name, DocumentPhoto]).validate_python(rows)
