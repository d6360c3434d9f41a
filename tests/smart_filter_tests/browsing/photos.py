"""Realistic photo files, and files that are no photos; each made when first used."""

from functools import cached_property
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from PIL import Image, ImageFilter

from smart_filter_tests.pictures import encode

DATA: Final = Path(__file__).parents[2] / "data"
_OVERSIZED_SIDE = 5080
# Noise of this many levels makes a JPEG of that side 60 MB large.
_NOISE_LEVELS, _NOISE_QUALITY = 48.0, 97
_LARGE_SIDE = 2304
_GROUP_SIZE = (1500, 900)
_PAIR_SIZE = (1200, 600)


class Photos:
    """Files in a folder, made on demand.

    smiling: one woman who smiles, 512×512.  serious: one woman who hardly smiles, 512×600.
    """

    smiling = DATA / "astronaut.png"
    serious = DATA / "grace_hopper.jpg"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @cached_property
    def group(self) -> Path:
        """Three people side by side; two smile; 1500×900."""
        place = self._folder / "team.jpg"
        _group().save(place, quality=92)
        return place

    @cached_property
    def mug(self) -> Path:
        """A red mug on a light table; 640×640."""
        place = self._folder / "mug.png"
        picture = np.full((640, 640, 3), (214, 220, 226), np.uint8)
        cv2.ellipse(picture, (430, 320), (70, 90), 0, 0, 360, (40, 36, 190), 26)
        cv2.rectangle(picture, (200, 180), (430, 470), (44, 40, 200), -1)
        cv2.ellipse(picture, (315, 180), (115, 26), 0, 0, 360, (24, 20, 90), -1)
        cv2.imwrite(str(place), cv2.GaussianBlur(picture, (0, 0), 1.2))
        return place

    @cached_property
    def headless(self) -> Path:
        """A man below his shoulders, who may be a person; 512×270."""
        place = self._folder / "headless.png"
        with Image.open(self.serious) as photo:
            photo.crop((0, 330, photo.width, photo.height)).save(place)
        return place

    @cached_property
    def pair(self) -> Path:
        """Two people with a gap between them, so that models separate them; 1200×600."""
        place = self._folder / "pair.jpg"
        _pair().save(place, quality=92)
        return place

    @cached_property
    def large(self) -> Path:
        """The smiling woman at 2304×2304 with camera noise: 12 MB, which the browser can store."""
        place = self._folder / "large.jpg"
        place.write_bytes(_noisy(_LARGE_SIDE))
        return place

    @cached_property
    def oversized(self) -> Path:
        """A sound photo of 60 MB, which is more than the service accepts."""
        place = self._folder / "oversized.jpg"
        place.write_bytes(_noisy(_OVERSIZED_SIDE))
        return place

    @cached_property
    def text(self) -> Path:
        """Plain text in a file named .jpg."""
        place = self._folder / "notes.jpg"
        place.write_text("Buy milk.\n")
        return place

    @cached_property
    def sunset(self) -> Path:
        """A sunset over the sea, without people; 900×600."""
        place = self._folder / "sunset.jpg"
        rows = np.linspace(0, 1, 600)[:, None, None]
        sky = np.array([250, 170, 90]) * rows + np.array([60, 60, 120]) * (1 - rows)
        picture = np.repeat(sky, 900, axis=1).astype(np.uint8)
        picture[400:] = (40, 62, 90)
        cv2.circle(picture, (640, 400), 70, (255, 226, 160), cv2.FILLED, cv2.LINE_AA)
        picture[400:] = (picture[400:] * 0.55 + np.array([40, 62, 90]) * 0.45).astype(np.uint8)
        Image.fromarray(picture).filter(ImageFilter.GaussianBlur(1)).save(place, quality=92)
        return place

    @cached_property
    def album(self) -> list[Path]:
        """Six photos of a day: two show one scene, the sharper one first; one is cut off.

        By smiles the best are `smile.jpg` and `turned.jpg`, which are equally good.
        """
        with Image.open(self.smiling) as opened, Image.open(self.serious) as other:
            smiling, serious = opened.convert("RGB"), other.convert("RGB")
        turned, turned_serious = (
            face.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for face in (smiling, serious)
        )
        pictures = {
            "smile": smiling,
            "smile-blurred": smiling.filter(ImageFilter.GaussianBlur(3)),
            "serious": serious,
            "dark": turned_serious.point(lambda level: level // 3),
            "turned": turned,
        }
        folder = self._folder / "album"
        folder.mkdir()
        places = [folder / f"{name}.jpg" for name in (*pictures, "cut-off")]
        for place, picture in zip(places, pictures.values(), strict=False):
            picture.save(place, quality=93)
        whole = places[0].read_bytes()
        places[-1].write_bytes(whole[: len(whole) // 3])
        return places


def _noisy(side: int) -> bytes:
    with Image.open(Photos.smiling) as opened:
        photo = opened.convert("RGB").resize((side, side), Image.Resampling.BICUBIC)
    # Repeat one tile: as incompressible for JPEG, and made in a tenth of the time.
    tile = np.random.default_rng(60).normal(0, _NOISE_LEVELS, (side // 8, side // 8, 3))
    noise = np.tile(tile.astype(np.int16), (8, 8, 1))
    pixels = np.clip(np.asarray(photo) + noise, 0, 255).astype(np.uint8)
    return encode(Image.fromarray(pixels), "JPEG", quality=_NOISE_QUALITY, subsampling=0)


def _pair() -> Image.Image:
    """Put the woman of the matte, and her mirror image, in front of another photo's background."""
    with Image.open(Photos.serious) as opened:
        ground = opened.convert("RGB").resize(_PAIR_SIZE).filter(ImageFilter.GaussianBlur(60))
    width, height = _PAIR_SIZE
    side = round(0.85 * height)
    person = _cut_out(side)
    mirrored = person.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    ground.paste(person, (width // 40, height - side), person)
    ground.paste(mirrored, (width - side - width // 40, height - side), mirrored)
    return ground


def _cut_out(side: int) -> Image.Image:
    with Image.open(Photos.smiling) as opened, Image.open(DATA / "astronaut-matte.png") as matte:
        person = opened.convert("RGB").convert("RGBA")
        person.putalpha(matte.convert("L"))
    return person.resize((side, side), Image.Resampling.LANCZOS)


def _group() -> Image.Image:
    """Put the woman of the matte, twice, next to the other one, in front of her own background."""
    with Image.open(Photos.serious) as opened:
        serious = opened.convert("RGB")
    width, height = _GROUP_SIZE
    ground = serious.resize(_GROUP_SIZE).filter(ImageFilter.GaussianBlur(60))
    middle = serious.resize((round(serious.width * height / serious.height), height))
    fade = np.clip(np.minimum(np.arange(middle.width), np.arange(middle.width)[::-1]) / 90, 0, 1)
    rim = Image.fromarray(np.tile((255 * fade).astype(np.uint8), (height, 1)))
    ground.paste(middle, ((width - middle.width) // 2, 0), rim)
    side = 700
    cut_out = _cut_out(side)
    for person, left in (
        (cut_out, -150),
        (cut_out.transpose(Image.Transpose.FLIP_LEFT_RIGHT), 950),
    ):
        ground.paste(person, (left, height - side), person)
    return ground
