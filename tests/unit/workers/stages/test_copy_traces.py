"""The original of a photo is chosen among its copies."""

import io
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from smart_filter_shared import copies
from smart_filter_shared.albums import rank_album
from smart_filter_shared.best_shot import AlbumFace, AlbumPhoto
from smart_filter_shared.results import CopyTraces
from smart_filter_tests.browsing.photos import DATA
from smart_filter_workers import images
from smart_filter_workers.results import Photo, PreparedPhoto, Srgb8
from smart_filter_workers.stages.prepare import stage

with Image.open(DATA / "astronaut.png") as _photo:
    ASTRONAUT = np.asarray(_photo.convert("RGB"))


def jpeg(srgb: Srgb8, quality: int = 92) -> Photo:
    file = io.BytesIO()
    Image.fromarray(srgb).save(file, "JPEG", quality=quality)
    return images.decode(file.getvalue())


def scaled(factor: float, srgb: Srgb8 = ASTRONAUT) -> Srgb8:
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(srgb, None, fx=factor, fy=factor, interpolation=way), np.uint8)


def padded(rows: int, columns: int, level: int) -> Srgb8:
    sides = ((rows, rows), (columns, columns), (0, 0))
    return np.pad(ASTRONAUT, sides, constant_values=level)


def covered(rows: int) -> Srgb8:
    srgb = ASTRONAUT.copy()
    srgb[:rows] = srgb[-rows:] = 0
    return srgb


def written(words: str, *, y: int, size: int, alpha: int) -> Srgb8:
    layer = Image.new("RGBA", (512, 512))
    font = ImageFont.load_default(size)
    ImageDraw.Draw(layer).text((256, y), words, (255, 255, 255, alpha), font, "mm")
    photo = Image.fromarray(ASTRONAUT).convert("RGBA")
    return np.asarray(Image.alpha_composite(photo, layer).convert("RGB"))


def turned(degrees: float) -> Srgb8:
    matrix = cv2.getRotationMatrix2D((256, 256), degrees, 1)
    return np.asarray(cv2.warpAffine(ASTRONAUT, matrix, (512, 512), flags=cv2.INTER_CUBIC))


def prepare(photo: Photo, *, turns: int = 0) -> PreparedPhoto:
    models: stage.Models = {"prepare": lambda _: [()], "orientation": lambda *_: [turns]}
    (prepared,) = stage.run(models, [stage.Inputs(photo)])
    return prepared


def album_photo(id_: str, prepared: PreparedPhoto, rating: float) -> AlbumPhoto:
    return AlbumPhoto(id_, prepared.fingerprint, rating=rating, traces=prepared.traces)


COPIES: dict[str, tuple[Callable[[], Photo], str]] = {
    "compressed much": (lambda: jpeg(ASTRONAUT, 5), "is less compressed"),
    "compressed": (lambda: jpeg(ASTRONAUT, 60), "is less compressed"),
    "decompressed": (lambda: Photo(jpeg(ASTRONAUT, 20).srgb, "png"), "is less compressed"),
    "shrunk": (lambda: jpeg(scaled(0.6)), "shows more detail"),
    "enlarged": (lambda: jpeg(scaled(2)), "shows more detail"),
    "shrunk and enlarged": (lambda: jpeg(scaled(2, scaled(0.5))), "shows more detail"),
    "bars over it": (lambda: jpeg(covered(42)), "has no frame"),
    "bars": (lambda: jpeg(padded(60, 0, 0)), "has no frame"),
    "a frame": (lambda: jpeg(padded(30, 30, 255)), "has no frame"),
    "corners": (lambda: jpeg(turned(2)), "has no frame"),
    "a caption": (
        lambda: jpeg(written("HAPPY BIRTHDAY", y=470, size=44, alpha=255)),
        "has no mark on it",
    ),
    "a watermark": (
        lambda: jpeg(written("SAMPLE", y=256, size=120, alpha=90)),
        "has no mark on it",
    ),
}


@pytest.mark.parametrize("kind", COPIES)
def test_original_is_chosen_whatever_the_copy_is_rated(kind: str) -> None:
    make, reason = COPIES[kind]
    original, copy = prepare(jpeg(ASTRONAUT)), prepare(make())

    for names in ("ab", "ba"):
        shots = [album_photo(names[0], original, 0.5), album_photo(names[1], copy, 1.0)]
        album = rank_album(shots)

        assert [photo.id for photo in album.ranking] == list(names)
        assert album.ranking[1].reasons[-1] == (
            f"Although it is rated higher, the better photo {reason}."
        )


def test_photo_that_lies_on_its_side_is_the_copy() -> None:
    original = prepare(jpeg(ASTRONAUT))
    copy = prepare(jpeg(np.ascontiguousarray(np.rot90(ASTRONAUT))), turns=3)

    assert copies.compare(original.traces, copy.traces) > 1


def test_photos_that_differ_little_keep_their_order() -> None:
    traces = prepare(jpeg(ASTRONAUT)).traces
    assert traces is not None
    alike = [replace(traces, blocks=traces.blocks + more) for more in (0.02, 0.0, 0.04)]

    assert copies.order_copies([*alike, None], [0] * 4) == [0, 1, 2, 3]


def test_other_photos_are_no_copies() -> None:
    with Image.open(DATA / "grace_hopper.jpg") as photo:
        other = prepare(jpeg(np.asarray(photo.convert("RGB")), 10)).traces

    assert copies.compare(prepare(jpeg(ASTRONAUT)).traces, other) == 0


def test_camera_time_marks_an_original() -> None:
    traces = prepare(jpeg(ASTRONAUT)).traces
    assert traces is not None
    plain = CopyTraces(2000, None, 0.0, 0.3, 0.0, False, traces.edges)

    assert copies.order_copies([plain, replace(plain, is_from_camera=True)], [0, 0]) == [1, 0]


@pytest.mark.parametrize("level", [0, 255])
def test_dark_or_light_wall_is_no_bar(level: int) -> None:
    wall = np.full((200, 200, 3), level, np.uint8)
    cv2.circle(wall, (100, 140), 40, (128, 128, 128), -1)

    traces = prepare(Photo(wall, "png")).traces

    assert traces is not None
    assert traces.frame == 0


def test_shot_with_closed_eyes_is_no_copy() -> None:
    shots = [
        replace(album_photo("open", prepare(jpeg(ASTRONAUT, 60)), 1.0), faces=(AlbumFace(),)),
        replace(album_photo("closed", prepare(jpeg(ASTRONAUT)), 0.8), faces=(AlbumFace(1.0),)),
    ]

    album = rank_album(shots)

    assert [photo.id for photo in album.ranking] == ["open", "closed"]
    assert "compressed" not in album.ranking[1].reasons[-1]
