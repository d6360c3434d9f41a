"""Declare, parse and format framing fields: crop, scale, position, region, size and aspect.

Names and meanings follow remove.bg; `aspect`, `crop=faces` and paper sizes are additions.
`str` of each value is its text in a recipe.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from functools import partial
from operator import attrgetter
from typing import Final

from pydantic import WithJsonSchema

from smart_filter_shared.catalog.scalars import format_number, quote_value
from smart_filter_shared.pipeline import PICTURE_OUTPUTS, StageName
from smart_filter_shared.recipe.declaration import declare, spelling
from smart_filter_shared.recipe.document_photos import DocumentPhoto, find_document
from smart_filter_shared.suggestions import did_you_mean
from smart_filter_wire.words import Output

# A subject this close to a border, as a share of that side, is cut off by it.
TOUCHES_WITHIN: Final = 0.004
MAX_MARGIN_PX: Final = 500
# Times: beyond any size that a photo of the least size is asked in.
MAX_ENLARGE: Final = 1000
MAX_MARGIN_PERCENT: Final = 50
MIN_SCALE_PERCENT: Final = 10
MIN_SIDE_PX: Final = 16
MAX_PICTURE_SIDE_PX: Final = 16383  # WebP's; JPEG and AVIF hold more
MAX_MEGAPIXELS: Final = 50
MAX_ASPECT_RATIO: Final = 10
DOTS_PER_INCH: Final = 300
CM_PER_INCH: Final = 2.54
# Maximum pixels of named sizes, in millions; `full` is the photo's own size.  Source: remove.bg.
MEGAPIXELS: Final[Mapping[str, float]] = {"preview": 0.25, "medium": 1.5, "hd": 4.0}
# Common print sizes in centimeters, the shorter side first.
PRINT_SIZES_CM: Final[Mapping[str, tuple[float, float]]] = {
    "9x13": (9, 13),
    "10x15": (10, 15),
    "13x18": (13, 18),
    "15x20": (15, 20),
    "20x30": (20, 30),
    "a6": (10.5, 14.8),
    "a5": (14.8, 21),
    "a4": (21, 29.7),
}

_LENGTH = re.compile(r"([0-9]{1,5}(?:\.[0-9]{1,4})?)(px|%)?")
_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,4})?)%")
_ASPECT = re.compile(r"([1-9][0-9]{0,3}):([1-9][0-9]{0,3})")
_PIXELS = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})")
_SIZE_NAMES = ("full", *MEGAPIXELS, *(f"print:{size}" for size in PRINT_SIZES_CM))
_PRINT_SIZES = " ".join(f"`{size}`" for size in PRINT_SIZES_CM)
_CENTER = 0.5
_ORIGINAL = "original"
_WHOLE_PHOTO = "0% 0% 100% 100%"


class Require(StrEnum):
    """What the checks of a document must say for the job to succeed."""

    NONE = "none"
    PASS = "pass"  # noqa: S105 - no password


class Sheet(StrEnum):
    """The paper of a print sheet, at the document's resolution."""

    CM_10X15 = "10x15"
    IN_4X6 = "4x6"
    A4 = "a4"


class Crop(StrEnum):
    """The part of the photo that the image shows: all, around the people, or around faces."""

    NONE = "false"
    SUBJECT = "true"
    FACES = "faces"


@dataclass(frozen=True, slots=True)
class Length:
    """A length in pixels, or in percent of another length when `percent`."""

    value: float
    percent: bool

    def to_px(self, whole_px: float) -> float:
        """Return the length in pixels.  whole_px: the length that percents refer to."""
        return self.value * whole_px / 100 if self.percent else self.value

    def __str__(self) -> str:
        """Return the length as a recipe writes it."""
        return f"{format_number(self.value)}{'%' if self.percent else 'px'}"


@dataclass(frozen=True, slots=True)
class OutputSize:
    """The requested size of the image.

    exact: width and height in pixels.  paper: sides of a print in pixels, the shorter first; the
    picture's orientation decides which is the width.  megapixels: an upper limit.
    """

    text: str = "full"
    exact: tuple[int, int] | None = None
    paper: tuple[int, int] | None = None
    megapixels: float | None = None

    def __str__(self) -> str:
        """Return the size as a recipe writes it."""
        return self.text


def read_margin(text: str) -> tuple[Length, Length, Length, Length]:
    """Return top, right, bottom and left from one, two or four lengths, in the order of CSS."""
    lengths = [_length(part) for part in text.split()]
    match lengths:
        case [length]:
            margin = (length, length, length, length)
        case [across, down]:
            margin = (across, down, across, down)
        case [top, right, bottom, left]:
            margin = (top, right, bottom, left)
        case _:
            raise ValueError(f"{quote_value(text)} is not 1, 2 or 4 lengths such as 10% or 30px")
    for side in margin:
        if side.value > (MAX_MARGIN_PERCENT if side.percent else MAX_MARGIN_PX):
            raise ValueError(
                f"{side} is more than {MAX_MARGIN_PERCENT}% of the subject or {MAX_MARGIN_PX}px"
            )
    return margin


def read_percent(text: str, *, least: float = 0) -> float:
    """Parse a percentage up to `100%`; return the share."""
    match = _PERCENT.fullmatch(text)
    if match is None or not least <= float(match[1]) <= 100:  # noqa: PLR2004 - %
        raise ValueError(f"{quote_value(text)} is not {least}% to 100%")
    return float(match[1]) / 100


def read_position(text: str) -> tuple[float, float]:
    """Parse `center`, `30%` or `30% 70%`; return the shares."""
    if text == "center":
        return _CENTER, _CENTER
    shares = [read_percent(part) for part in text.split()]
    if len(shares) not in {1, 2}:
        raise ValueError(
            f"{quote_value(text)} is not original, center, or one or two of 0% to 100%"
        )
    return shares[0], shares[-1]


def read_roi(text: str) -> tuple[Length, Length, Length, Length]:
    """Return left, top, right and bottom of a region of interest.

    Raises ValueError for a region without area.
    """
    parts = [_length(part) for part in text.split()]
    if len(parts) != 4 or any(part.percent and part.value > 100 for part in parts):  # noqa: PLR2004
        raise ValueError(
            f"{quote_value(text)} is not left, top, right and bottom; write 10% 0% 90% 100% or "
            "100px 50px 900px 700px"
        )
    left, top, right, bottom = parts
    for low, high in ((left, right), (top, bottom)):
        if low.percent == high.percent and low.value >= high.value:
            raise ValueError(f"{quote_value(text)} has no area: {high} is not more than {low}")
    return left, top, right, bottom


def read_size(text: str) -> OutputSize:
    """Parse `full`, a named size, `1080x1350` or `print:10x15`; return the size."""
    if text in {"full", "auto"}:
        return OutputSize()
    if text in MEGAPIXELS:
        return OutputSize(text, megapixels=MEGAPIXELS[text])
    if text.startswith("print:") and text.removeprefix("print:") in PRINT_SIZES_CM:
        shorter, longer = (
            round(side / CM_PER_INCH * DOTS_PER_INCH)
            for side in PRINT_SIZES_CM[text[len("print:") :]]
        )
        return OutputSize(text, paper=(shorter, longer))
    match = _PIXELS.fullmatch(text)
    if match is None:
        raise ValueError(
            f"{quote_value(text)} is not full, {', '.join(MEGAPIXELS)}, WIDTHxHEIGHT in pixels, or "
            f"print: with one of {', '.join(PRINT_SIZES_CM)}{did_you_mean(text, _SIZE_NAMES)}"
        )
    width, height = int(match[1]), int(match[2])
    if (
        not min(width, height) >= MIN_SIDE_PX
        or max(width, height) > MAX_PICTURE_SIDE_PX
        or width * height > MAX_MEGAPIXELS * 1e6
    ):
        raise ValueError(
            f"{text} is out of range: each side must be {MIN_SIDE_PX} to {MAX_PICTURE_SIDE_PX}"
            f" pixels, and the whole at most {MAX_MEGAPIXELS} million pixels"
        )
    _check_aspect_ratio(text, Fraction(width, height))
    return OutputSize(text, exact=(width, height))


def read_aspect(text: str) -> tuple[int, int]:
    """Parse `4:5`; return width and height."""
    match = _ASPECT.fullmatch(text)
    if match is None:
        meant = text.replace("x", ":")
        hint = f"; did you mean {meant}?" if _ASPECT.fullmatch(meant) else ""
        raise ValueError(
            f"{quote_value(text)} is not original, or WIDTH:HEIGHT such as 4:5"
            f"{hint or did_you_mean(text, (_ORIGINAL,))}"
        )
    width, height = int(match[1]), int(match[2])
    _check_aspect_ratio(text, Fraction(width, height))
    return width, height


def write_lengths(lengths: Sequence[Length]) -> str:
    """Return lengths as a recipe writes them."""
    return " ".join(map(str, lengths))


def write_margin(sides: tuple[Length, Length, Length, Length]) -> str:
    """Return a margin in the shortest form of CSS that `read_margin` reads."""
    top, right, bottom, left = sides
    if (top, right) != (bottom, left):
        return write_lengths(sides)
    return str(top) if top == right else write_lengths((top, right))


def write_share(share: float) -> str:
    """Return a share in percent, as a recipe writes it."""
    # Four decimals, as many as `_PERCENT` reads, hide floating-point error, such as in 100 * 0.07.
    return f"{format_number(round(100 * share, 4))}%"


@dataclass(frozen=True, slots=True)
class Framing:
    """The part of the photo that the image shows, its size, and where the people are in it.

    margin: top, right, bottom, left around the subject of `crop`; percents are of its sides.
    scale: size of the subject as a share of the image, 0.1 to 1; None leaves it unchanged.
    position: of the subject, 0 (far left or top) to 1; None leaves it unchanged.
    roi: left, top, right, bottom; nothing outside counts as a person.  None: the whole photo.
    aspect: width and height of the image's shape; None for the photo's shape.
    """

    crop: Crop = declare(
        Crop.NONE,
        """`true`: crop around the people; `faces`: frame a portrait of the faces

        A portrait has the eyes on the upper third, to the waist in a tall picture, else to the
        chest
        """,
        [
            WithJsonSchema(
                {"anyOf": [{"type": "string", "enum": list(Crop)}, {"type": "boolean"}]},
                "validation",
            ),
        ],
    )
    margin: tuple[Length, Length, Length, Length] = declare(
        (Length(0, percent=False),) * 4,
        f"""Margin around the crop: 1, 2 or 4 values in CSS order, such as `30px` (at most
        {MAX_MARGIN_PX}) or `10%` (at most {MAX_MARGIN_PERCENT})

        Of the photo's pixels, or of the subject's sides; a side where the photo cuts people off
        has none. Without `crop`: `contradiction`
        """,
        spelling(read_margin, write_margin),
    )
    aspect: tuple[int, int] | None = declare(
        None,
        f"Aspect ratio, such as `1:1`, `4:5` or `9:16`; at most {MAX_ASPECT_RATIO}:1",
        spelling(read_aspect, "{0[0]}:{0[1]}".format, none=_ORIGINAL),
    )
    size: OutputSize = declare(
        OutputSize(),
        f"""Output size: `full`, `preview`, `medium`, `hd`, `1080x1350`, `print:10x15`

        At most 0.25 MP (`preview`), 1.5 (`medium`) or 4 (`hd`); exactly `WIDTHxHEIGHT`
        ({MIN_SIDE_PX} to {MAX_PICTURE_SIDE_PX} a side, {MAX_MEGAPIXELS} MP); or `print:` and
        {_PRINT_SIZES} (cm), at {DOTS_PER_INCH} dpi, in the image's orientation. Pixels with an
        `aspect` of another shape: `contradiction`
        """,
        spelling(read_size),
    )
    scale: float | None = declare(
        None,
        f"""Size of the people in the image, `{MIN_SCALE_PERCENT}%` to `100%`

        The share that they fill; implies `position=center`, or the lower border for people whom
        the photo cuts off below
        """,
        spelling(partial(read_percent, least=MIN_SCALE_PERCENT), write_share, none=_ORIGINAL),
        replaces=True,
    )
    position: tuple[float, float] | None = declare(
        None,
        """Position of the people: `center`, or one or two values from `0%` to `100%`, across and
        down
        """,
        spelling(read_position, lambda shares: " ".join(map(write_share, shares)), none=_ORIGINAL),
        replaces=True,
    )
    max_enlarge: int = declare(
        MAX_ENLARGE,
        """How many times a small photo may be enlarged at most

        Beyond it the job fails as `photo_too_small`; marketplaces' recipes set 2
        """,
        least=1,
        most=MAX_ENLARGE,
    )
    roi: tuple[Length, Length, Length, Length] | None = declare(
        None,
        """Region that holds the people: left, top, right, bottom, in `px` or `%`

        People are searched only there
        """,
        spelling(read_roi, write_lengths, none=_WHOLE_PHOTO),
        stages=(StageName.SEGMENTATION, StageName.COMPOSITE),
    )

    document: DocumentPhoto | None = declare(
        None,
        """Photo for a document, such as `us`, `uk`, `schengen` or `badge`: its size, place of the
        head, background, file size and checks

        [All of them](../documents.md). What sets another frame or retouches, such as `size` or
        `filters`, is a `contradiction`
        """,
        spelling(find_document, attrgetter("name"), none="none"),
        outputs=PICTURE_OUTPUTS,
    )
    require: Require = declare(
        Require.NONE,
        """`pass`: fail when a check of `document` fails or is unsure

        The error is `document_refused`; the report has the reasons
        """,
    )
    sheet: Sheet = declare(
        Sheet.CM_10X15,
        "Paper of the output `sheet`, the document's photo many times with cutting marks",
        outputs=frozenset({Output.SHEET}),
    )

    @property
    def moves_people(self) -> bool:
        """Whether the people are placed elsewhere on their background."""
        return self.scale is not None or self.position is not None

    @property
    def exact_pixels(self) -> tuple[int, int] | None:
        """Width and height of the image, if they are asked for."""
        return self.size.exact if self.document is None else self.document.fit_pixels(0)

    @property
    def asks_for_people(self) -> bool:
        """Whether the framing depends on where the people are."""
        return (
            self.crop != Crop.NONE
            or self.moves_people
            or self.aspect is not None
            or self.document is not None
            or self.size.exact is not None
            or self.size.paper is not None
        )


def matches_aspect(size: OutputSize, aspect: tuple[int, int] | None) -> bool:
    """Return whether a size in pixels has the requested shape, to the nearest pixel."""
    if aspect is None or size.exact is None:
        return True
    width, height = size.exact
    return math.isclose(width * aspect[1] / aspect[0], height, abs_tol=1) or math.isclose(
        height * aspect[0] / aspect[1], width, abs_tol=1
    )


def _check_aspect_ratio(text: str, shape: Fraction) -> None:
    if not Fraction(1, MAX_ASPECT_RATIO) <= shape <= MAX_ASPECT_RATIO:
        raise ValueError(f"{quote_value(text)} is more elongated than {MAX_ASPECT_RATIO}:1")


def _length(text: str) -> Length:
    match = _LENGTH.fullmatch(text)
    if match is None:
        raise ValueError(f"{quote_value(text)} is not a length such as 10% or 30px")
    return Length(float(match[1]), percent=match[2] == "%")
