"""A film for the browser's camera: a serious face, then a smiling one."""

from pathlib import Path
from typing import Final

from PIL import Image

from smart_filter_tests.browsing.photos import Photos
from smart_filter_tests.pictures import encode

SIZE: Final = (640, 360)
# Chromium shows films of this kind at 30 frames a second and repeats them.
FRAMES_PER_SECOND: Final = 30
SERIOUS_SECONDS: Final = 2.0
SMILING_SECONDS: Final = 2.0
_CROSSING_SECONDS = 0.4
_SWAY_PX = 24
_QUALITY = 75


def write_film(folder: Path) -> Path:
    """Write the film as Motion JPEG (concatenated JPEG files); about 3 MB.

    The heads sway, as those of people who hold a phone.
    """
    place = folder / "camera.mjpeg"
    serious, smiling = _crop_to_frame(Photos.serious, 0.1), _crop_to_frame(Photos.smiling, 0.04)
    crossing = round(_CROSSING_SECONDS * FRAMES_PER_SECOND)
    counts = [round(s * FRAMES_PER_SECOND) for s in (SERIOUS_SECONDS, SMILING_SECONDS)]
    shown = [0.0] * counts[0] + [(n + 1) / (crossing + 1) for n in range(crossing)]
    shown += [1.0] * counts[1] + [1 - (n + 1) / (crossing + 1) for n in range(crossing)]
    with place.open("wb") as written:
        for number, share in enumerate(shown):
            swing = abs(number / len(shown) * 2 - 1)  # 1 … 0 … 1: the end meets the beginning
            left = round(_SWAY_PX * swing)
            part = (left, 0, left + SIZE[0], SIZE[1])
            frame = Image.blend(serious.crop(part), smiling.crop(part), share)
            written.write(_jpeg(frame))
    return place


def _crop_to_frame(photo: Path, top_share: float) -> Image.Image:
    """Return a photo at the width of frame and sway, cropped from `top_share` of its height."""
    width, height = SIZE[0] + _SWAY_PX, SIZE[1]
    with Image.open(photo) as opened:
        scaled_height = round(opened.height * width / opened.width)
        whole = opened.convert("RGB").resize((width, scaled_height), Image.Resampling.LANCZOS)
    top = round(top_share * scaled_height)
    return whole.crop((0, top, width, top + height))


def _jpeg(frame: Image.Image) -> bytes:
    return encode(frame, "JPEG", quality=_QUALITY)
