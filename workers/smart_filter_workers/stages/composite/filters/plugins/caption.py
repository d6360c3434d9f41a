"""Caption: a few lines of text at the bottom or top, on a plate or outlined for legibility.

The typeface is Noto Sans SemiBold (OFL), its Latin letters only.
"""

import io
import itertools
import math
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from smart_filter_shared.catalog.parameters import Parameters, str_of
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Matte8, Srgb8, Srgba8
from smart_filter_workers.srgb import LUMA_WEIGHTS
from smart_filter_workers.stages.composite.filters import drawings, tiles
from smart_filter_workers.stages.composite.filters.drawing import FilterVerdict, Scene

# Shares of the shorter side: size of letters at first, the smallest size tried, and the margin.
_LARGEST, _SMALLEST, _MARGIN = 0.075, 0.026, 0.05
_SHRINK_STEP: Final = 0.9  # from one try to the next
_MAX_LINES: Final = 4
_MAX_HEIGHT_SHARE: Final = 0.3  # share of the picture's height
_LINE: Final = 1.22  # distance of lines, in letter sizes
_OUTLINE: Final = 0.075
_PAD: Final = 0.85  # left and right of the letters, in letter sizes; half of it above and below
_BALANCE_TOLERANCE: Final = 0.2  # difference in length between lines, in letter sizes
# A ground is busy when the standard deviation of its brightness, 0..1, is above this.
_BUSY_FROM: Final = 0.13
_LIGHT_FROM: Final = 0.56
_MIN_LETTER_PX: Final = 6.0
_MIN_SIDE_PX: Final = 24  # shorter side below which no text is legible

_MEASURED_PX: Final = 64  # widths scale with the size, except for rounding
# No typeface has this letter: its image is the one drawn for every missing letter.
_MISSING_GLYPH: Final = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class _TextLayout:
    """A text in lines, with its letters' size and its longest line's length, in pixels."""

    lines: tuple[str, ...]
    size: float
    width: float


def draw(picture: Srgb8 | Srgba8, scene: Scene, parameters: Parameters) -> FilterVerdict:
    """Write a caption; letters missing from the typeface are left out and named in the verdict."""
    if scene.side < _MIN_SIDE_PX:
        return FilterVerdict(applied=False, reason="the picture is too small for letters")
    text, missing = to_writable(str_of(parameters, "text"))
    left_out = f"{' '.join(missing)} left out: only Latin letters can be written" if missing else ""
    if not text:
        return FilterVerdict(applied=False, reason=left_out or "there is no text")
    setting = _fit_text(text, scene)
    at_top = str_of(parameters, "place") == "top"
    _write(picture, scene, setting, at_top=at_top, style=str_of(parameters, "style"))
    place = f"at the {'top' if at_top else 'bottom'}"
    return FilterVerdict(applied=True, reason=f"{place}; {left_out}" if left_out else place)


def _write(
    picture: Srgb8 | Srgba8, scene: Scene, setting: _TextLayout, *, at_top: bool, style: str
) -> None:
    step = _LINE * setting.size
    pad = _PAD * setting.size
    width = setting.width + 2 * pad
    height = len(setting.lines) * step + pad
    margin = _MARGIN * scene.side
    left = max(0, math.floor((scene.width - width) / 2))
    right = min(scene.width, math.ceil((scene.width + width) / 2))
    upper = margin if at_top else scene.height - margin - height
    top, bottom = max(0, math.floor(upper)), min(scene.height, math.ceil(upper + height))
    ground = picture[top:bottom, left:right]
    level, varies, seen = _ground(ground)
    if style == "auto":
        style = "plate" if varies > _BUSY_FROM or not seen else "outline"
    dark_letters = seen and level >= _LIGHT_FROM
    ink, behind = ((24, 24, 28), (255, 255, 255)) if dark_letters else ((255,) * 3, (10, 10, 14))
    shape = (bottom - top, right - left)
    if style == "plate":
        plate = _rounded_plate(shape, pad)
        _tint(ground, plate, behind, 0.66 if dark_letters else 0.5)
    else:
        halo = _letters(setting, shape, thick=_OUTLINE * setting.size)
        soft = cv2.GaussianBlur(halo, (0, 0), max(0.6, 0.12 * setting.size))
        _tint(ground, np.asarray(soft, np.uint8), behind, 0.45)
        _tint(ground, halo, behind, 0.55)
    _tint(ground, _letters(setting, shape, thick=0), ink, 1.0)


def _letters(setting: _TextLayout, shape: tuple[int, int], *, thick: float) -> Matte8:
    return render_lines(
        setting.lines,
        shape,
        size=setting.size,
        line_px=_LINE * setting.size,
        thick=thick,
    )


def _rounded_plate(shape: tuple[int, int], radius: float) -> Matte8:
    """Return a plate with round corners, drawn at double size and shrunk for smooth edges."""
    height, width = shape
    sheet = Image.new("L", (2 * width, 2 * height))
    reach = min(2 * radius, height)
    ImageDraw.Draw(sheet).rounded_rectangle(
        (0, 0, 2 * width - 1, 2 * height - 1), radius=reach, fill=255
    )
    return np.asarray(sheet.resize((width, height), Image.Resampling.BOX))


def _tint(ground: Srgb8 | Srgba8, mask: Matte8, color: Sequence[int], opacity: float) -> None:
    alpha = cv2.convertScaleAbs(mask, alpha=opacity)
    colors = [cv2.convertScaleAbs(alpha, alpha=level / 255) for level in color]
    tiles.composite_over(ground, np.asarray(cv2.merge([*colors, alpha]), np.uint8))


def _ground(part: Srgb8 | Srgba8) -> tuple[float, float, bool]:
    """Return mean and deviation of a ground's brightness, 0..1, and whether it is opaque."""
    step = max(1, part.shape[0] // 40)
    pixels = part[::step, ::step].reshape(-1, part.shape[2]).astype(np.float32) / 255
    if pixels.shape[1] > 3:  # noqa: PLR2004 - the ground behind transparency is unknown
        if float(pixels[:, 3].mean()) < 0.9:  # noqa: PLR2004 - nearly opaque
            return 0.0, 1.0, False
        pixels = pixels[:, :3]
    luma = pixels @ np.array(LUMA_WEIGHTS, np.float32)
    return float(luma.mean()), float(luma.std()), True


def _fit_text(text: str, scene: Scene) -> _TextLayout:
    """Return the text laid out as large as fits: few lines, within the margins."""
    advances = measure_advances(text)
    room = max(1.0, scene.width - 2 * _MARGIN * scene.side)
    size = _LARGEST * scene.side
    while True:
        # In letter sizes, minus the plate's padding on both sides.
        lines = _wrap_lines(text, advances, room / size - 2 * _PAD)
        fits = (
            len(lines) <= _MAX_LINES
            and _LINE * size * len(lines) <= _MAX_HEIGHT_SHARE * scene.height
        )
        if fits or size * _SHRINK_STEP < max(_SMALLEST * scene.side, _MIN_LETTER_PX):
            lines = _balance_lines(text, advances, lines)
            return _TextLayout(lines, size, max(_length(line, advances) for line in lines) * size)
        size *= _SHRINK_STEP


def _wrap_lines(text: str, advances: Mapping[str, float], room: float) -> tuple[str, ...]:
    """Return the text in lines that fit; a word is broken only if it does not fit alone."""
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        longer = f"{line} {word}" if line else word
        if _length(longer, advances) <= room:
            line = longer
            continue
        if line:
            lines.append(line)
        line = word
        while _length(line, advances) > room and len(line) > 1:
            ends = itertools.accumulate(advances[letter] for letter in line)
            fitting = max(1, sum(end <= room for end in ends))
            lines.append(line[:fitting])
            line = line[fitting:]
    return (*lines, line) if line else tuple(lines)


def _balance_lines(
    text: str, advances: Mapping[str, float], lines: tuple[str, ...]
) -> tuple[str, ...]:
    """Return the same number of lines with similar lengths, so that no word stands alone."""
    if " ".join(lines) != text:  # a word was broken
        return lines
    low, high = 0.0, max(_length(line, advances) for line in lines)
    best = lines
    while high - low > _BALANCE_TOLERANCE:
        middle = (low + high) / 2
        tried = _wrap_lines(text, advances, middle)
        if " ".join(tried) == text and len(tried) <= len(lines):
            best, high = tried, middle
        else:
            low = middle
    return best


def _length(line: str, advances: Mapping[str, float]) -> float:
    return sum(advances[letter] for letter in line)


def to_writable(text: str) -> tuple[str, list[str]]:
    """Return a text in writable letters on one line, and the letters that cannot be written."""
    text = unicodedata.normalize("NFC", " ".join(text.replace("₂", "2").split()))
    face = _typeface(_MEASURED_PX)
    lacking = _image(face, _MISSING_GLYPH)
    missing = [
        letter
        for letter in dict.fromkeys(text)
        if letter != " " and _image(face, letter) == lacking
    ]
    # Joiners and variation selectors of removed letters are invisible.
    hidden = {letter for letter in text if unicodedata.category(letter) in {"Cf", "Mn", "Cc"}}
    kept = "".join(letter for letter in text if letter not in {*missing, *hidden})
    return " ".join(kept.split()), [letter for letter in missing if letter not in hidden]


def _typeface(size: float) -> ImageFont.FreeTypeFont:
    """Return the typeface in a size in pixels; a new object each time, as it is not thread-safe."""
    # The basic layout exists on every machine, so letters are placed the same everywhere.
    return ImageFont.truetype(io.BytesIO(_read_font()), size, layout_engine=ImageFont.Layout.BASIC)


@cache
def _read_font() -> bytes:
    return (resources.files(drawings) / "noto-sans.woff2").read_bytes()


def measure_advances(text: str) -> dict[str, float]:
    """Return the width of each letter of a text in a line, in letter sizes."""
    face = _typeface(_MEASURED_PX)
    return {letter: face.getlength(letter) / _MEASURED_PX for letter in {*text, " "}}


def render_lines(
    lines: Sequence[str], shape: tuple[int, int], *, size: float, line_px: float, thick: float
) -> Matte8:
    """Return the coverage of letters, (h, w) uint8: centered lines, one below the other.

    size: of letters, in pixels.  thick: pixels added to strokes on either side.
    """
    face = _typeface(size)
    sheet = Image.new("L", (shape[1], shape[0]))
    pen = ImageDraw.Draw(sheet)
    ascent, descent = face.getmetrics()
    top = (shape[0] - line_px * len(lines)) / 2
    for number, line in enumerate(lines):
        baseline = top + (number + 0.5) * line_px + (ascent - descent) / 2
        at = (shape[1] / 2, baseline)
        pen.text(at, line, fill=255, font=face, anchor="ms", stroke_width=thick)
    return np.array(sheet)


def _image(face: ImageFont.FreeTypeFont, letter: str) -> tuple[tuple[int, int], bytes]:
    mask = face.getmask(letter)
    return mask.size, bytes(mask)
