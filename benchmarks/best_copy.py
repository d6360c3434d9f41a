"""Measure how often an album chooses the original of a photo before a copy of it.

python -m benchmarks.best_copy WEIGHTS PHOTO…: the folder of weights, and photos with faces. Each
kind of copy is made of some of them, PAIRS in all, and each pair is ranked in both orders of its
ids.
"""

import io
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from benchmarks.best_shot import Reader, to_album_photo
from smart_filter_shared.albums import rank_album
from smart_filter_workers import images
from smart_filter_workers.results import Srgb8
from smart_filter_workers.stages.prepare import stage as prepare_stage
from smart_filter_workers.stages.prepare.models import scenes

PAIRS: Final = 40
_ORIGINAL_QUALITY: Final = 92
_INK, _OUTLINE = (255, 255, 255), (0, 0, 0)

Copy = Callable[[Srgb8, np.random.Generator], bytes]


def main(weights: Path, photos: Sequence[Path]) -> None:
    """Print in how many pairs the original is first, and the kinds of the others."""
    reader, upright = Reader(weights), scenes.load(weights)
    rng = np.random.default_rng(74)
    lost = []
    for number in range(PAIRS):
        path, kind = photos[number % len(photos)], list(COPIES)[number % len(COPIES)]
        srgb = images.decode(path.read_bytes()).srgb
        files = {"original": _jpeg(srgb), "copy": COPIES[kind](srgb, rng)}
        shots = {}
        for name, content in files.items():
            models: prepare_stage.Models = {"prepare": reader.propose, "orientation": upright}
            inputs = prepare_stage.Inputs(images.decode(content))
            (prepared,) = prepare_stage.run(models, [inputs])
            shots[name] = to_album_photo(name, prepared, *reader.rate(prepared))
        for first in files:
            pair = [replace(shot, id=f"{name != first}") for name, shot in shots.items()]
            album = rank_album(pair)
            if album.ranking[0].id != f"{first != 'original'}":
                lost.append(f"{path.name}, {kind}, in {len(album.groups)} scenes")
    print(f"{2 * PAIRS - len(lost)} of {2 * PAIRS}: the original is first")
    print(*lost, sep="\n")


def _jpeg(srgb: Srgb8, quality: int = _ORIGINAL_QUALITY) -> bytes:
    return images.encode_jpeg(srgb, quality=quality).content


def _png(srgb: Srgb8) -> bytes:
    file = io.BytesIO()
    Image.fromarray(srgb).save(file, "PNG")
    return file.getvalue()


def _scale(srgb: Srgb8, factor: float) -> Srgb8:
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return _asarray(cv2.resize(srgb, None, fx=factor, fy=factor, interpolation=way))


def _pad(srgb: Srgb8, rows: float, columns: float, level: int) -> Srgb8:
    down, across = (round(share * min(srgb.shape[:2])) for share in (rows, columns))
    sides = ((down, down), (across, across), (0, 0))
    return np.pad(srgb, sides, constant_values=level)


def _write(srgb: Srgb8, words: str, *, at: tuple[float, float], size: float, alpha: int) -> Srgb8:
    """Return the photo with words around a point, in shares of its width and height."""
    height, width = srgb.shape[:2]
    layer = Image.new("RGBA", (width, height))
    place = at[0] * width, at[1] * height
    font = ImageFont.load_default(round(size * min(width, height)))
    ImageDraw.Draw(layer).text(
        place,
        words,
        (*_INK, alpha),
        font,
        "mm",
        stroke_width=round(0.06 * size * min(width, height)),
        stroke_fill=(*_OUTLINE, alpha),
    )
    photo = Image.fromarray(srgb).convert("RGBA")
    return _asarray(Image.alpha_composite(photo, layer).convert("RGB"))


def _turn(srgb: Srgb8, degrees: float, *, is_cut: bool) -> Srgb8:
    """Return the photo turned a little, with black corners or cut to have none."""
    height, width = srgb.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    turned = cv2.warpAffine(srgb, matrix, (width, height), flags=cv2.INTER_CUBIC)
    slope = abs(math.tan(math.radians(degrees))) / 2
    top, left = (1 + round(slope * side) if is_cut else 0 for side in (width, height))
    return _asarray(turned[top : height - top, left : width - left])


def _asarray(picture: object) -> Srgb8:
    return np.ascontiguousarray(np.asarray(picture, np.uint8))


COPIES: Final[Mapping[str, Copy]] = {
    "compressed": lambda srgb, rng: _jpeg(srgb, int(rng.integers(5, 30))),
    "compressed a little": lambda srgb, rng: _jpeg(srgb, int(rng.integers(40, 75))),
    "compressed, as PNG": lambda srgb, rng: _png(
        images.decode(_jpeg(srgb, int(rng.integers(15, 60)))).srgb
    ),
    "shrunk": lambda srgb, rng: _jpeg(_scale(srgb, rng.uniform(0.4, 0.75))),
    "enlarged": lambda srgb, _: _jpeg(_scale(srgb, 2)),
    "shrunk and enlarged": lambda srgb, rng: _jpeg(
        _scale(_scale(srgb, rng.uniform(0.35, 0.65)), 2)
    ),
    "sent by a messenger": lambda srgb, rng: _jpeg(_scale(srgb, rng.uniform(0.5, 0.7)), 60),
    "a screen's picture": lambda srgb, _: _png(_pad(_scale(srgb, 1.5), 0.3, 0, 0)),
    "bars": lambda srgb, rng: _jpeg(_pad(srgb, rng.uniform(0.04, 0.12), 0, 0)),
    "a frame": lambda srgb, _: _jpeg(_pad(srgb, 0.05, 0.05, 255)),
    "a caption": lambda srgb, _: _jpeg(
        _write(srgb, "HAPPY BIRTHDAY!", at=(0.5, 0.9), size=0.09, alpha=255)
    ),
    "a watermark": lambda srgb, _: _jpeg(
        _write(srgb, "SAMPLE", at=(0.5, 0.5), size=0.25, alpha=90)
    ),
    "a sign": lambda srgb, _: _jpeg(
        _write(srgb, "studio.example", at=(0.8, 0.95), size=0.05, alpha=200)
    ),
    "turned a little": lambda srgb, rng: _jpeg(_turn(srgb, rng.uniform(1, 3), is_cut=False)),
    "turned and cut": lambda srgb, rng: _jpeg(_turn(srgb, -rng.uniform(1, 2.5), is_cut=True)),
    "turned by a quarter": lambda srgb, rng: _jpeg(_asarray(np.rot90(srgb, rng.choice([1, 3])))),
}


if __name__ == "__main__":
    folder, *files = map(Path, sys.argv[1:])
    main(folder, files)
