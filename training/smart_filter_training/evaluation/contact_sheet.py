"""Draw cut-outs of one photo side by side: a tile for the photo, and one for each model."""

import textwrap
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from smart_filter_training.evaluation import drawing
from smart_filter_training.evaluation.model_comparison import Comparison, CutOutResult, FailedModel
from smart_filter_workers.results import Srgb8

MAX_COLUMNS: Final = 4
_PICTURE_PX: Final = 520
_GAP_PX: Final = 28
_INNER_PX: Final = 10
_CAPTION_PX: Final = 66
_NAME_PX: Final = 25
_NOTE_PX: Final = 17
# Width of a character in a note, on average and with some reserve.
_CHARACTER_PX: Final = 10
_PAPER: Final = (250, 249, 246)
_INK: Final = (29, 31, 35)
_SOFT: Final = (106, 111, 120)
_ALARM: Final = (200, 60, 30)


def draw(compared: Comparison, *, title: str, picture_px: int = _PICTURE_PX) -> Srgb8:
    """Return the sheet, (H, W, 3) uint8 sRGB.

    title: the caption of the photo.  picture_px: the longer side of each picture.  Each model's
    tile has its cut-out above its matte.
    """
    photo = drawing.fit_longest_side(compared.photo_srgb, longest_side_px=picture_px)
    height, width = photo.shape[:2]
    tiles = 1 + len(compared.cuts)
    # As few rows as possible, of equal length.
    rows = -(-tiles // MAX_COLUMNS)
    across = -(-tiles // rows)
    tile_px = (width + _GAP_PX, _CAPTION_PX + 2 * height + _INNER_PX + _GAP_PX)
    size = (across * tile_px[0] + _GAP_PX, rows * tile_px[1] + _GAP_PX)
    sheet = Image.new("RGB", size, _PAPER)
    pen = ImageDraw.Draw(sheet)
    _caption(pen, (_GAP_PX, _GAP_PX), title, _describe_size(compared.photo_srgb), width)
    sheet.paste(Image.fromarray(photo), (_GAP_PX, _GAP_PX + _CAPTION_PX))
    for index, cut in enumerate(compared.cuts, start=1):
        place = divmod(index, across)
        left, top = _GAP_PX + place[1] * tile_px[0], _GAP_PX + place[0] * tile_px[1]
        if isinstance(cut, FailedModel):
            _caption(pen, (left, top), cut.name, "no result", width)
            why = textwrap.fill(cut.why, width // _CHARACTER_PX)
            at = (left, top + _CAPTION_PX)
            pen.multiline_text(at, why, fill=_ALARM, font=_font(_NOTE_PX), spacing=6)
            continue
        _caption(pen, (left, top), cut.name, describe_cut_out(cut), width)
        for picture, down in (
            (cut.cut_out, 0),
            (drawing.draw_matte(cut.matte), height + _INNER_PX),
        ):
            small = drawing.fit_longest_side(picture, longest_side_px=picture_px)
            sheet.paste(Image.fromarray(small), (left, top + _CAPTION_PX + down))
    return np.asarray(sheet)


def describe_cut_out(cut: CutOutResult) -> str:
    """Return one line about a cut-out: time, persons and coverage."""
    persons = {None: "", 0: " · no person", 1: " · 1 person"}.get(
        cut.persons, f" · {cut.persons} persons"
    )
    return f"{cut.ms:.0f} ms{persons} · {cut.coverage:.1%} of the photo"


def _describe_size(srgb: Srgb8) -> str:
    return f"{srgb.shape[1]} by {srgb.shape[0]} px, as the models see it"


def _caption(
    pen: ImageDraw.ImageDraw, at: tuple[int, int], name: str, note: str, width: int
) -> None:
    for line, size, down, color in ((name, _NAME_PX, 0, _INK), (note, _NOTE_PX, 34, _SOFT)):
        font = _font(size)
        shown = line
        while pen.textlength(shown, font=font) > width and len(shown) > 1:
            shown = f"{shown[:-2]}…"
        pen.text((at[0], at[1] + down), shown, fill=color, font=font)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return Pillow's built-in font."""
    return ImageFont.load_default(size)
