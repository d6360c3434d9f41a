"""Letters for captions: Latin ones, accents included, in the typeface that Pillow brings.

That is Aileron Regular by Sora Sagano (CC0), in a cut without accents: they are drawn here.
"""

import math
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from smart_filter_workers.results import Matte8

Type: TypeAlias = ImageFont.FreeTypeFont
# Lines through places x, y: in sizes of letters, x from the letter's middle, y from where its
# marks begin, upward (above a letter) or downward (below it).
_Strokes: TypeAlias = Sequence[Sequence[tuple[float, float]]]

# A line's thickness, in sizes of letters, as the typeface's own.
_STEM: Final = 0.085
_GAP: Final = 0.075  # between a letter and its mark
_MEASURED_PX: Final = 64  # letters are as wide in other sizes, but for rounding
_STACKED: Final = 0.16  # from one mark above to the next
_FINE: Final = 4  # marks are drawn so much larger, then shrunk
# No typeface has a letter here: what is drawn for it is what is drawn for any other it lacks.
_NO_LETTER: Final = "\U0010ffff"
# What is usually written instead. Source: Unicode CLDR, Latin-ASCII, but for the dashes.
_INSTEAD: Final = str.maketrans(
    {"ß": "ss", "ẞ": "SS", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "þ": "th", "Þ": "TH"}
    | {"–": "-", "—": "-", "−": "-", "‐": "-", "‑": "-", "€": "EUR", "₂": "2", "×": "x"}
    # As people write who have no such keys.
    | {"¡": "", "¿": ""}
    | {"‚": ",", "„": "”", "′": "'", "″": '"', "ı": "i"}
)
# Letters with a line through them, which Unicode does not take apart: the letter below, and
# the line's ends as shares of half its box, from its middle.
_STRUCK: Final[Mapping[str, tuple[str, tuple[tuple[float, float], tuple[float, float]]]]] = {
    "ø": ("o", ((-0.8, 0.85), (0.8, -0.85))),
    "Ø": ("O", ((-0.8, 0.85), (0.8, -0.85))),
    "ł": ("l", ((-1.5, 0.15), (1.5, -0.15))),
    "Ł": ("L", ((-1.2, 0.12), (-0.3, -0.12))),
    "đ": ("d", ((-0.15, -0.62), (1.3, -0.62))),
    "Đ": ("D", ((-1.15, 0.0), (-0.2, 0.0))),
    "Ħ": ("H", ((-1.1, -0.45), (1.1, -0.45))),
    "ħ": ("h", ((-1.3, -0.62), (0.15, -0.62))),
}
# Thicker than a line, as the dot of an i.
_DOT: Final = [(-0.012, 0.0), (0.012, 0.0), (0.012, 0.024), (-0.012, 0.024)]
_RING: Final = [
    (0.075 * math.cos(turn), 0.075 + 0.075 * math.sin(turn)) for turn in np.linspace(0, 6.3, 20)
]
_ABOVE: Final[Mapping[str, _Strokes]] = {
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
_BELOW: Final[Mapping[str, _Strokes]] = {
    "\u0323": [_DOT],
    "\u0326": [[(0.02, 0.0), (-0.03, 0.12)]],
    "\u0327": [[(0.0, -0.04), (0.0, 0.02), (0.06, 0.07), (0.03, 0.14), (-0.06, 0.14)]],
    "\u0328": [[(0.08, -0.06), (0.01, 0.05), (0.06, 0.13), (0.12, 0.12)]],
}
_DOTTED: Final = frozenset("ij")


def writable(text: str) -> tuple[str, list[str]]:
    """Return a text as it can be written, on one line, and the letters that cannot, each once."""
    text = unicodedata.normalize("NFC", " ".join(text.translate(_INSTEAD).split()))
    face = _typeface(_MEASURED_PX)
    lacking = _image(face, _NO_LETTER)
    missing = []
    for letter in dict.fromkeys(text):
        base, marks = _taken_apart(letter)
        known = all(mark in _ABOVE or mark in _BELOW or mark in _STRUCK for mark in marks)
        if not known or (base != " " and _image(face, base) == lacking):
            missing.append(letter)
    # Joiners and variants of what is left out cannot be seen.
    hidden = {one for one in text if unicodedata.category(one) in {"Cf", "Mn", "Cc"}}
    kept = "".join(letter for letter in text if letter not in {*missing, *hidden})
    return " ".join(kept.split()), [one for one in missing if one not in hidden]


def _typeface(size: float) -> Type:
    """Return the typeface in a size, in pixels; not shared: it is not safe for threads."""
    face = ImageFont.load_default(size)
    if not isinstance(face, ImageFont.FreeTypeFont):
        raise TypeError("Pillow was built without FreeType, which writes captions")
    # The simple layout is there on every machine, so letters stand alike on all.
    return face.font_variant(layout_engine=ImageFont.Layout.BASIC)


def advances(text: str) -> dict[str, float]:
    """Return how much room each letter of a text takes in a line, in sizes of letters."""
    face = _typeface(_MEASURED_PX)
    return {letter: face.getlength(_plain(letter)) / _MEASURED_PX for letter in {*text, " "}}


def written(
    lines: Sequence[str], shape: tuple[int, int], *, size: float, line_px: float, thick: float
) -> Matte8:
    """Return where letters are, (h, w) uint8: lines one below the other, in the middle.

    size: of letters, in pixels.  thick: by how many pixels strokes are wider on either side.
    """
    face = _typeface(size)
    sheet = Image.new("L", (shape[1], shape[0]))
    pen = ImageDraw.Draw(sheet)
    ascent, descent = face.getmetrics()
    top = (shape[0] - line_px * len(lines)) / 2
    marks: list[list[tuple[float, float]]] = []
    for number, line in enumerate(lines):
        baseline = top + (number + 0.5) * line_px + (ascent - descent) / 2
        left = (shape[1] - face.getlength(_plain(line))) / 2
        plain = _plain(line)
        pen.text((left, baseline), plain, fill=255, font=face, anchor="ls", stroke_width=thick)
        for index, letter in enumerate(line):
            base, accents = _taken_apart(letter)
            if not accents:
                continue
            x = left + face.getlength(plain[:index])
            box = face.getbbox(base, anchor="ls")
            if base in _DOTTED and any(mark in _ABOVE for mark in accents):
                box = _without_dot(sheet, face, base, (x, baseline), thick)
            marks += _strokes(accents, (x, baseline), box, face.size)
    return _marked(np.array(sheet), marks, width=_STEM * face.size + 2 * thick)


def _strokes(
    accents: str, at: tuple[float, float], box: tuple[float, float, float, float], size: float
) -> list[list[tuple[float, float]]]:
    """Return the lines of marks of a letter; box: left, top, right, bottom from where it stands."""
    x = at[0] + (box[0] + box[2]) / 2
    above = at[1] + box[1] - _GAP * size
    found = []
    for accent in accents:
        if accent in _STRUCK:
            half = ((box[2] - box[0]) / 2, (box[3] - box[1]) / 2)
            y = at[1] + (box[1] + box[3]) / 2
            found.append([(x + half[0] * dx, y + half[1] * dy) for dx, dy in _STRUCK[accent][1]])
        elif accent in _ABOVE:
            found += [
                [(x + size * dx, above - size * dy) for dx, dy in line] for line in _ABOVE[accent]
            ]
            above -= _STACKED * size
        else:
            y = at[1] + box[3] + _GAP * size
            found += [
                [(x + size * dx, y + size * dy) for dx, dy in line] for line in _BELOW[accent]
            ]
    return found


def _without_dot(
    sheet: Image.Image, face: Type, base: str, at: tuple[float, float], thick: float
) -> tuple[float, float, float, float]:
    """Take the dot off an i or a j, and return the box of what is left."""
    left, top, right, bottom = face.getbbox(base, anchor="ls")
    low = face.getbbox("x", anchor="ls")[1]
    room = (at[0] + left - thick, at[1] + top - thick, at[0] + right + thick, at[1] + low - thick)
    ImageDraw.Draw(sheet).rectangle((*room[:3], max(room[1], room[3] - 1)), fill=0)
    return left, low, right, bottom


def _marked(sheet: Matte8, marks: list[list[tuple[float, float]]], *, width: float) -> Matte8:
    if not marks:
        return sheet
    height, wide = sheet.shape
    large = np.zeros((_FINE * height, _FINE * wide), np.uint8)
    for line in marks:
        places = np.round(np.array(line) * _FINE).astype(np.int32)
        cv2.polylines(large, [places], isClosed=False, color=255, thickness=round(width * _FINE))
    small = cv2.resize(large, (wide, height), interpolation=cv2.INTER_AREA)
    return np.asarray(np.maximum(sheet, small), np.uint8)


def _plain(line: str) -> str:
    """Return a line without its marks, one letter for each."""
    return "".join(_taken_apart(letter)[0] for letter in line)


def _taken_apart(letter: str) -> tuple[str, str]:
    """Return a letter's base and its marks; of one with a line through it the letter itself."""
    if letter in _STRUCK:
        return _STRUCK[letter][0], letter
    parts = unicodedata.normalize("NFD", letter)
    return parts[0], parts[1:]


def _image(face: Type, letter: str) -> tuple[tuple[int, int], bytes]:
    mask = face.getmask(letter)
    return mask.size, bytes(mask)
