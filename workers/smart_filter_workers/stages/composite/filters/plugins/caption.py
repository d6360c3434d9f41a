"""A line or a few of text at the bottom or the top, on a plate or outlined, so it can be read."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from PIL import Image, ImageDraw

from smart_filter_shared.parameters import Parameters, str_of
from smart_filter_workers.results import Matte8, Srgb8
from smart_filter_workers.stages.composite.filters import lettering, pasting
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
_PAD: Final = 0.85  # beside letters, in their size; half of it above and below
_EVEN: Final = 0.2  # lines are as long as each other to within this, in sizes of letters
# A ground is busy when its brightness, 0..1, varies by more than this.
_BUSY_FROM: Final = 0.13
_LIGHT_FROM: Final = 0.56
_LEAST_LETTER_PX: Final = 6.0
_LEAST_PX: Final = 24  # of the shorter side, for anything to be read


@dataclass(frozen=True, slots=True)
class _Set:
    """A text in lines, the size of its letters and the longest line, in pixels."""

    lines: tuple[str, ...]
    size: float
    width: float


def draw(picture: Srgb8 | Srgba8, scene: Scene, parameters: Parameters) -> Verdict:
    """Write a caption; letters that the typeface lacks are left out, and named."""
    if scene.side < _LEAST_PX:
        return Verdict(applied=False, reason="the picture is too small for letters")
    text, missing = lettering.writable(str_of(parameters, "text"))
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
        plate = _rounded(shape, pad)
        _tint(ground, plate, behind, 0.66 if dark_letters else 0.5)
    else:
        halo = _letters(setting, shape, thick=_OUTLINE * setting.size)
        soft = cv2.GaussianBlur(halo, (0, 0), max(0.6, 0.12 * setting.size))
        _tint(ground, np.asarray(soft, np.uint8), behind, 0.45)
        _tint(ground, halo, behind, 0.55)
    _tint(ground, _letters(setting, shape, thick=_BOLD * setting.size), ink, 1.0)


def _letters(setting: _Set, shape: tuple[int, int], *, thick: float) -> Matte8:
    return lettering.written(
        setting.lines,
        shape,
        size=setting.size,
        line_px=_LINE * setting.size,
        thick=thick,
    )


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
    alpha = cv2.convertScaleAbs(mask, alpha=opacity)
    colours = [cv2.convertScaleAbs(alpha, alpha=level / 255) for level in colour]
    pasting.over(ground, np.asarray(cv2.merge([*colours, alpha]), np.uint8))


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
    advances = lettering.advances(text)
    room = max(1.0, scene.width - 2 * _MARGIN * scene.side)
    size = _LARGEST * scene.side
    while True:
        # In sizes of letters, less what the plate adds on both sides.
        lines = _wrapped(text, advances, room / size - 2 * _PAD)
        fits = (
            len(lines) <= _MOST_LINES and _LINE * size * len(lines) <= _MOST_HEIGHT * scene.height
        )
        if fits or size * _SMALLER < max(_SMALLEST * scene.side, _LEAST_LETTER_PX):
            lines = _evened(text, advances, lines)
            return _Set(lines, size, max(_length(line, advances) for line in lines) * size)
        size *= _SMALLER


def _wrapped(text: str, advances: Mapping[str, float], room: float) -> tuple[str, ...]:
    """Break a text into lines that fit, inside of words only when one alone does not."""
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


def _evened(text: str, advances: Mapping[str, float], lines: tuple[str, ...]) -> tuple[str, ...]:
    """Return as many lines, as long as each other where words allow: no word stands alone."""
    if " ".join(lines) != text:  # a word was broken
        return lines
    low, high = 0.0, max(_length(line, advances) for line in lines)
    best = lines
    while high - low > _EVEN:
        middle = (low + high) / 2
        tried = _wrapped(text, advances, middle)
        if " ".join(tried) == text and len(tried) <= len(lines):
            best, high = tried, middle
        else:
            low = middle
    return best


def _length(line: str, advances: Mapping[str, float]) -> float:
    return sum(advances[letter] for letter in line)
