"""Caption: a few lines of text at the bottom or top, on a plate or outlined for legibility.

The typeface is Aileron Regular by Sora Sagano (CC0), without accents: they are drawn here.
"""

import itertools
import math
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from smart_filter_shared.catalog.parameters import Parameters, str_of
from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Matte8, Srgb8, Srgba8
from smart_filter_workers.srgb import LUMA_WEIGHTS
from smart_filter_workers.stages.composite.filters import tiles
from smart_filter_workers.stages.composite.filters.drawing import FilterVerdict, Scene

# Shares of the shorter side: size of letters at first, the smallest size tried, and the margin.
_LARGEST, _SMALLEST, _MARGIN = 0.075, 0.026, 0.05
_SHRINK_STEP: Final = 0.9  # from one try to the next
_MAX_LINES: Final = 4
_MAX_HEIGHT_SHARE: Final = 0.3  # share of the picture's height
_LINE: Final = 1.22  # distance of lines, in letter sizes
_BOLD: Final = 0.018  # added weight of strokes, in letter sizes; the typeface has one weight
_OUTLINE: Final = 0.075
_PAD: Final = 0.85  # left and right of the letters, in letter sizes; half of it above and below
_BALANCE_TOLERANCE: Final = 0.2  # difference in length between lines, in letter sizes
# A ground is busy when the standard deviation of its brightness, 0..1, is above this.
_BUSY_FROM: Final = 0.13
_LIGHT_FROM: Final = 0.56
_MIN_LETTER_PX: Final = 6.0
_MIN_SIDE_PX: Final = 24  # shorter side below which no text is legible

Typeface: TypeAlias = ImageFont.FreeTypeFont
# Lines through points x, y in letter sizes: x from the letter's middle, y from the start of its
# marks, upward (above a letter) or downward (below it).
_Strokes: TypeAlias = Sequence[Sequence[tuple[float, float]]]

# Thickness of a line in letter sizes, the same as the typeface's.
_STEM: Final = 0.085
_GAP: Final = 0.075  # between a letter and its mark
_MEASURED_PX: Final = 64  # widths scale with the size, except for rounding
_MARK_SPACING: Final = 0.16  # distance of stacked marks above a letter
_FINE: Final = 4  # marks are drawn this many times larger, then shrunk
# No typeface has this letter: its image is the one drawn for every missing letter.
_MISSING_GLYPH: Final = "\U0010ffff"
# Common replacements. Source: Unicode CLDR, Latin-ASCII, except for the dashes.
_REPLACEMENTS: Final = str.maketrans(
    {"ß": "ss", "ẞ": "SS", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "þ": "th", "Þ": "TH"}
    | {"–": "-", "—": "-", "−": "-", "‐": "-", "‑": "-", "€": "EUR", "₂": "2", "×": "x"}
    # As people without these keys write.
    | {"¡": "", "¿": ""}
    | {"‚": ",", "„": "”", "′": "'", "″": '"', "ı": "i"}
)
# Letters with a line through them, which Unicode does not decompose: the base letter, and the
# line's ends as shares of half its box, from its middle.
_STRUCK_THROUGH: Final[
    Mapping[str, tuple[str, tuple[tuple[float, float], tuple[float, float]]]]
] = {
    "ø": ("o", ((-0.8, 0.85), (0.8, -0.85))),
    "Ø": ("O", ((-0.8, 0.85), (0.8, -0.85))),
    "ł": ("l", ((-1.5, 0.15), (1.5, -0.15))),
    "Ł": ("L", ((-1.2, 0.12), (-0.3, -0.12))),
    "đ": ("d", ((-0.15, -0.62), (1.3, -0.62))),
    "Đ": ("D", ((-1.15, 0.0), (-0.2, 0.0))),
    "Ħ": ("H", ((-1.1, -0.45), (1.1, -0.45))),
    "ħ": ("h", ((-1.3, -0.62), (0.15, -0.62))),
}
# Thicker than a line, like the dot of an i.
_DOT: Final = [(-0.012, 0.0), (0.012, 0.0), (0.012, 0.024), (-0.012, 0.024)]
_RING: Final = [
    (0.075 * math.cos(turn), 0.075 + 0.075 * math.sin(turn)) for turn in np.linspace(0, 6.3, 20)
]
_MARKS_ABOVE: Final[Mapping[str, _Strokes]] = {
    "\u0300": [[(-0.1, 0.13), (0.05, 0.0)]],
    "\u0301": [[(-0.05, 0.0), (0.1, 0.13)]],
    "\u0302": [[(-0.13, 0.0), (0.0, 0.12), (0.13, 0.0)]],
    "\u0303": [[(-0.14, 0.0), (-0.08, 0.07), (0.0, 0.045), (0.08, 0.02), (0.14, 0.09)]],
    "\u0304": [[(-0.12, 0.03), (0.12, 0.03)]],
    "\u0306": [[(-0.12, 0.1), (-0.06, 0.01), (0.06, 0.01), (0.12, 0.1)]],
    "\u0307": [_DOT],
    "\u0308": [[(x + side, y) for x, y in _DOT] for side in (-0.105, 0.105)],
    "\u030a": [_RING],
    "\u030b": [[(-0.1, 0.0), (-0.03, 0.13)], [(0.05, 0.0), (0.14, 0.13)]],
    "\u030c": [[(-0.13, 0.12), (0.0, 0.0), (0.13, 0.12)]],
}
_MARKS_BELOW: Final[Mapping[str, _Strokes]] = {
    "\u0323": [_DOT],
    "\u0326": [[(0.02, 0.0), (-0.03, 0.12)]],
    "\u0327": [[(0.0, -0.04), (0.0, 0.02), (0.06, 0.07), (0.03, 0.14), (-0.06, 0.14)]],
    "\u0328": [[(0.08, -0.06), (0.01, 0.05), (0.06, 0.13), (0.12, 0.12)]],
}
_DOTTED: Final = frozenset("ij")


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
    _tint(ground, _letters(setting, shape, thick=_BOLD * setting.size), ink, 1.0)


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
    text = unicodedata.normalize("NFC", " ".join(text.translate(_REPLACEMENTS).split()))
    face = _typeface(_MEASURED_PX)
    lacking = _image(face, _MISSING_GLYPH)
    missing = []
    for letter in dict.fromkeys(text):
        base, marks = _decompose(letter)
        is_drawable = all(
            mark in _MARKS_ABOVE or mark in _MARKS_BELOW or mark in _STRUCK_THROUGH
            for mark in marks
        )
        if not is_drawable or (base != " " and _image(face, base) == lacking):
            missing.append(letter)
    # Joiners and variation selectors of removed letters are invisible.
    hidden = {
        character for character in text if unicodedata.category(character) in {"Cf", "Mn", "Cc"}
    }
    kept = "".join(letter for letter in text if letter not in {*missing, *hidden})
    return " ".join(kept.split()), [character for character in missing if character not in hidden]


def _typeface(size: float) -> Typeface:
    """Return the typeface in a size in pixels; a new object each time, as it is not thread-safe."""
    face = ImageFont.load_default(size)
    if not isinstance(face, ImageFont.FreeTypeFont):
        raise TypeError("Pillow was built without FreeType, which writes captions")
    # The basic layout exists on every machine, so letters are placed the same everywhere.
    return face.font_variant(layout_engine=ImageFont.Layout.BASIC)


def measure_advances(text: str) -> dict[str, float]:
    """Return the width of each letter of a text in a line, in letter sizes."""
    face = _typeface(_MEASURED_PX)
    return {letter: face.getlength(_strip_marks(letter)) / _MEASURED_PX for letter in {*text, " "}}


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
    marks: list[list[tuple[float, float]]] = []
    for number, line in enumerate(lines):
        baseline = top + (number + 0.5) * line_px + (ascent - descent) / 2
        left = (shape[1] - face.getlength(_strip_marks(line))) / 2
        plain = _strip_marks(line)
        pen.text((left, baseline), plain, fill=255, font=face, anchor="ls", stroke_width=thick)
        for index, letter in enumerate(line):
            base, accents = _decompose(letter)
            if not accents:
                continue
            x = left + face.getlength(plain[:index])
            box = face.getbbox(base, anchor="ls")
            if base in _DOTTED and any(mark in _MARKS_ABOVE for mark in accents):
                box = _remove_dot(sheet, face, base, (x, baseline), thick)
            marks += _strokes(accents, (x, baseline), box, face.size)
    return _draw_marks(np.array(sheet), marks, width=_STEM * face.size + 2 * thick)


def _strokes(
    accents: str, at: tuple[float, float], box: tuple[float, float, float, float], size: float
) -> list[list[tuple[float, float]]]:
    """Return the lines of a letter's marks; box: left, top, right, bottom from its origin."""
    x = at[0] + (box[0] + box[2]) / 2
    above = at[1] + box[1] - _GAP * size
    strokes = []
    for accent in accents:
        if accent in _STRUCK_THROUGH:
            half = ((box[2] - box[0]) / 2, (box[3] - box[1]) / 2)
            y = at[1] + (box[1] + box[3]) / 2
            strokes.append(
                [(x + half[0] * dx, y + half[1] * dy) for dx, dy in _STRUCK_THROUGH[accent][1]]
            )
        elif accent in _MARKS_ABOVE:
            strokes += [
                [(x + size * dx, above - size * dy) for dx, dy in line]
                for line in _MARKS_ABOVE[accent]
            ]
            above -= _MARK_SPACING * size
        else:
            y = at[1] + box[3] + _GAP * size
            strokes += [
                [(x + size * dx, y + size * dy) for dx, dy in line] for line in _MARKS_BELOW[accent]
            ]
    return strokes


def _remove_dot(
    sheet: Image.Image, face: Typeface, base: str, at: tuple[float, float], thick: float
) -> tuple[float, float, float, float]:
    """Erase the dot of an i or a j, and return the box of the rest."""
    left, top, right, bottom = face.getbbox(base, anchor="ls")
    low = face.getbbox("x", anchor="ls")[1]
    room = (at[0] + left - thick, at[1] + top - thick, at[0] + right + thick, at[1] + low - thick)
    ImageDraw.Draw(sheet).rectangle((*room[:3], max(room[1], room[3] - 1)), fill=0)
    return left, low, right, bottom


def _draw_marks(sheet: Matte8, marks: list[list[tuple[float, float]]], *, width: float) -> Matte8:
    if not marks:
        return sheet
    height, wide = sheet.shape
    large = np.zeros((_FINE * height, _FINE * wide), np.uint8)
    for line in marks:
        places = np.round(np.array(line) * _FINE).astype(np.int32)
        cv2.polylines(large, [places], isClosed=False, color=255, thickness=round(width * _FINE))
    small = cv2.resize(large, (wide, height), interpolation=cv2.INTER_AREA)
    return np.asarray(np.maximum(sheet, small), np.uint8)


def _strip_marks(line: str) -> str:
    """Return a line without its marks, one base letter for each letter."""
    return "".join(_decompose(letter)[0] for letter in line)


def _decompose(letter: str) -> tuple[str, str]:
    """Return a letter's base and its marks; for a struck-through letter the mark is itself."""
    if letter in _STRUCK_THROUGH:
        return _STRUCK_THROUGH[letter][0], letter
    parts = unicodedata.normalize("NFD", letter)
    return parts[0], parts[1:]


def _image(face: Typeface, letter: str) -> tuple[tuple[int, int], bytes]:
    mask = face.getmask(letter)
    return mask.size, bytes(mask)
