"""A line or a few of text at the bottom or the top, on a plate or outlined, so it can be read.

The typeface is the one that Pillow brings: Aileron Regular by Sora Sagano (CC0), in a cut that
holds Latin letters and little else.
"""

import bisect
import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from smart_filter_shared.parameters import Parameters, str_of
from smart_filter_workers.results import Matte8, Srgb8
from smart_filter_workers.stages.composite.filters import pasting
from smart_filter_workers.stages.composite.filters.base import Verdict
from smart_filter_workers.stages.composite.filters.scene import Scene
from smart_filter_workers.stages.composite.models.base import Srgba8

# Of the shorter side: letters of a short text, the smallest that are tried, air to the border.
_LARGEST, _SMALLEST, _MARGIN = 0.075, 0.026, 0.05
_SMALLER: Final = 0.9  # from one try to the next
_MOST_LINES: Final = 4
_MOST_HEIGHT: Final = 0.3  # of the picture's
_LINE: Final = 1.22  # from one line to the next, in sizes of letters
_BOLD: Final = 0.018  # what letters are thickened by, in their size; the face has one weight
_OUTLINE: Final = 0.075
_PAD: Final = 0.42
# A ground is busy when its brightness, 0..1, varies by more than this.
_BUSY_FROM: Final = 0.13
_LIGHT_FROM: Final = 0.56
_LEAST_PX: Final = 24  # of the shorter side, for anything to be read
# No typeface has a letter here: what is drawn for it is what is drawn for any other it lacks.
_NO_LETTER: Final = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class _Set:
    """A text in lines, and the type that it is set in."""

    lines: tuple[str, ...]
    type_: ImageFont.FreeTypeFont
    size: float


def draw(picture: Srgb8 | Srgba8, scene: Scene, parameters: Parameters) -> Verdict:
    """Write a caption; letters that the typeface lacks are left out, and named."""
    if scene.side < _LEAST_PX:
        return Verdict(applied=False, reason="the picture is too small for letters")
    text, missing = _writable(str_of(parameters, "text"))
    left_out = f"{' '.join(missing)} left out: only Latin letters can be written" if missing else ""
    if not text:
        return Verdict(applied=False, reason=left_out or "there is no text")
    setting = _fitted(text, scene)
    at_top = str_of(parameters, "place") == "top"
    _write(picture, scene, setting, at_top=at_top, style=str_of(parameters, "style"))
    told = f"at the {'top' if at_top else 'bottom'}"
    return Verdict(applied=True, reason=f"{told}; {left_out}" if left_out else told)


def _write(
    picture: Srgb8 | Srgba8, scene: Scene, setting: _Set, *, at_top: bool, style: str
) -> None:
    step = _LINE * setting.size
    pad = _PAD * setting.size
    width = max(setting.type_.getlength(line) for line in setting.lines) + 2 * pad + setting.size
    height = len(setting.lines) * step + 2 * pad
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
        plate = _rounded(shape, 0.3 * setting.size + pad)
        _tint(ground, plate, behind, 0.66 if dark_letters else 0.5)
    else:
        halo = _letters(setting, shape, pad, thick=_OUTLINE * setting.size)
        soft = cv2.GaussianBlur(halo, (0, 0), max(0.6, 0.12 * setting.size))
        _tint(ground, np.asarray(soft, np.uint8), behind, 0.45)
        _tint(ground, halo, behind, 0.55)
    _tint(ground, _letters(setting, shape, pad, thick=_BOLD * setting.size), ink, 1.0)


def _letters(setting: _Set, shape: tuple[int, int], pad: float, *, thick: float) -> Matte8:
    """Return where letters are, (h, w) uint8, their strokes thicker by so many pixels."""
    sheet = Image.new("L", (shape[1], shape[0]))
    pen = ImageDraw.Draw(sheet)
    for number, line in enumerate(setting.lines):
        y = pad + (number + 0.5) * _LINE * setting.size
        pen.text(
            (shape[1] / 2, y),
            line,
            fill=255,
            font=setting.type_,
            anchor="mm",
            stroke_width=thick,
        )
    return np.asarray(sheet)


def _rounded(shape: tuple[int, int], radius: float) -> Matte8:
    """Return a plate with round corners, drawn large and shrunk for smooth edges."""
    height, width = shape
    sheet = Image.new("L", (2 * width, 2 * height))
    reach = min(2 * radius, height)
    ImageDraw.Draw(sheet).rounded_rectangle(
        (0, 0, 2 * width - 1, 2 * height - 1), radius=reach, fill=255
    )
    return np.asarray(sheet.resize((width, height), Image.Resampling.BOX))


def _tint(ground: Srgb8 | Srgba8, mask: Matte8, colour: Sequence[int], opacity: float) -> None:
    alpha = mask * np.float32(opacity)
    laid = np.empty((*mask.shape, 4), np.uint8)
    laid[..., :3] = alpha[..., None] * (np.array(colour, np.float32) / 255) + 0.5
    laid[..., 3] = alpha + 0.5
    pasting.over(ground, laid)


def _ground(part: Srgb8 | Srgba8) -> tuple[float, float, bool]:
    """Return how bright a ground is and how much that varies, 0..1; and whether one is there."""
    step = max(1, part.shape[0] // 40)
    pixels = part[::step, ::step].reshape(-1, part.shape[2]).astype(np.float32) / 255
    if pixels.shape[1] > 3:  # noqa: PLR2004 - what shows through may be anything
        if float(pixels[:, 3].mean()) < 0.9:  # noqa: PLR2004 - nearly all is covered
            return 0.0, 1.0, False
        pixels = pixels[:, :3]
    luma = pixels @ np.array((0.2126, 0.7152, 0.0722), np.float32)
    return float(luma.mean()), float(luma.std()), True


def _fitted(text: str, scene: Scene) -> _Set:
    """Set a text as large as fits: few lines, within the margins."""
    room = max(1.0, scene.width - 2 * _MARGIN * scene.side)
    size = _LARGEST * scene.side
    while True:
        type_ = _type(size)
        # What the plate adds on both sides.
        lines = _wrapped(text, type_, room - (1 + 2 * _PAD) * size)
        fits = (
            len(lines) <= _MOST_LINES and _LINE * size * len(lines) <= _MOST_HEIGHT * scene.height
        )
        if fits or size * _SMALLER < max(_SMALLEST * scene.side, 6.0):
            return _Set(_evened(text, type_, lines), type_, size)
        size *= _SMALLER


def _wrapped(text: str, type_: ImageFont.FreeTypeFont, room: float) -> tuple[str, ...]:
    """Break a text into lines that fit, inside of words only when one alone does not."""
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        longer = f"{line} {word}" if line else word
        if type_.getlength(longer) <= room:
            line = longer
            continue
        if line:
            lines.append(line)
        line = word
        while type_.getlength(line) > room and len(line) > 1:
            fitting = _fitting(line, type_, room)
            lines.append(line[:fitting])
            line = line[fitting:]
    return (*lines, line)


def _fitting(line: str, type_: ImageFont.FreeTypeFont, room: float) -> int:
    """Return how many letters of a line fit; one at the least."""
    counts = range(1, len(line))
    return bisect.bisect_right(counts, room, lo=1, key=lambda n: type_.getlength(line[:n]))


def _evened(text: str, type_: ImageFont.FreeTypeFont, lines: Sequence[str]) -> tuple[str, ...]:
    """Return as many lines, as long as each other where words allow: no word stands alone."""
    if " ".join(lines) != text:  # a word was broken
        return tuple(lines)
    low, high = 1.0, max(type_.getlength(line) for line in lines)
    best = tuple(lines)
    while high - low > 1:
        middle = (low + high) / 2
        tried = _wrapped(text, type_, middle)
        whole = " ".join(tried) == text
        if whole and len(tried) <= len(lines) and max(map(type_.getlength, tried)) <= middle:
            best, high = tried, middle
        else:
            low = middle
    return best


def _writable(text: str) -> tuple[str, list[str]]:
    """Return a text without the letters that the typeface lacks, and those, each once."""
    # Accents composed: the face has é, and no accent alone.
    text = " ".join(unicodedata.normalize("NFC", text).split())
    type_ = _type(16)
    lacking = _image(type_, _NO_LETTER)
    missing = [letter for letter in dict.fromkeys(text) if _image(type_, letter) == lacking]
    # Joiners and variants of what is left out cannot be seen.
    hidden = {one for one in text if unicodedata.category(one) in {"Cf", "Mn", "Cc"}}
    kept = "".join(letter for letter in text if letter not in {*missing, *hidden})
    return " ".join(kept.split()), [one for one in missing if one not in hidden]


def _image(type_: ImageFont.FreeTypeFont, letter: str) -> tuple[tuple[int, int], bytes]:
    mask = type_.getmask(letter)
    return mask.size, bytes(mask)


def _type(size: float) -> ImageFont.FreeTypeFont:
    type_ = ImageFont.load_default(size)
    if not isinstance(type_, ImageFont.FreeTypeFont):
        raise TypeError("Pillow was built without FreeType, which writes captions")
    # The simple layout is there on every machine, so letters stand alike on all.
    return type_.font_variant(layout_engine=ImageFont.Layout.BASIC)
