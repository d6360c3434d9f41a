import datetime as dt
import io
import struct
import tracemalloc
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms
from PIL.TiffImagePlugin import IFDRational

from smart_filter_shared.errors import ImageTooLarge
from smart_filter_workers import images
from smart_filter_workers.images import EncodingOptions
from smart_filter_workers.images.fit_bytes import MIN_QUALITY
from smart_filter_workers.images.metadata import exif
from smart_filter_workers.results import EncodedFile, Srgb8


def a_ramp() -> Srgb8:
    """Draw a smooth picture, 96 × 64, in which every row and every column differs."""
    y, x = np.mgrid[0:64, 0:96]
    return np.stack([x * 2, y * 3, (x + y)], axis=-1).astype(np.uint8)


def read(encoded: EncodedFile) -> Image.Image:
    picture = Image.open(io.BytesIO(encoded.content))
    assert picture.size == (encoded.width, encoded.height)
    return picture


FORMATS = {"jpg": "JPEG", "webp": "WEBP", "png": "PNG", "avif": "AVIF"}
both_efforts = pytest.mark.parametrize("small", [False, True], ids=["fast", "small"])
every_format = pytest.mark.parametrize("format_", FORMATS)


@both_efforts
@every_format
def test_file_shows_the_picture_and_names_only_srgb(format_: str, *, small: bool) -> None:
    encoded = images.encode(a_ramp(), EncodingOptions(format_, quality=95, small=small))

    picture = read(encoded)
    assert encoded.format == format_
    assert encoded.media_type == Image.MIME[FORMATS[format_]]
    assert (picture.format, picture.mode) == (FORMATS[format_], "RGB")
    # A smooth ramp: quantization of a few levels; in a lossy WebP also half the chroma.
    difference = np.abs(np.asarray(picture).astype(int) - a_ramp())
    assert difference.mean() <= 2
    assert difference.max() <= {"png": 0, "webp": 255}.get(format_, 6)
    assert not picture.getexif()
    assert not {"exif", "xmp"} & set(picture.info)
    if format_ == "png":
        assert picture.info["srgb"] == 0
    if format_ in {"jpg", "webp"}:  # an AVIF says it in its own fields
        profile = ImageCms.ImageCmsProfile(io.BytesIO(picture.info["icc_profile"]))
        assert "sRGB" in ImageCms.getProfileDescription(profile)


@both_efforts
@every_format
def test_file_states_its_print_size(format_: str, *, small: bool) -> None:
    manner = EncodingOptions(format_, quality=80, small=small, dots_per_inch=300)

    picture = read(images.encode(a_ramp(), manner))

    if format_ in {"jpg", "png"}:
        # PNG counts whole pixels per meter.
        assert picture.info["dpi"] == pytest.approx((300, 300), abs=0.01)
        assert not picture.getexif()
    else:
        assert [picture.getexif()[tag] for tag in (0x011A, 0x011B, 0x0128)] == [300, 300, 2]


NOISE = np.random.default_rng(8).integers(0, 256, (61, 47, 3), dtype=np.uint8)
FLAT = np.full((61, 47, 3), 90, np.uint8)
FLAT[20:, 30:] = NOISE[20:, 30:]


def test_png_has_no_empty_chunk_of_pixels() -> None:
    # The compressor keeps the rows of one color until its end.
    content = images.encode_png(np.zeros((1024, 64), np.uint8)).content

    assert struct.pack(">I4s", 0, b"IDAT") not in content


@pytest.mark.parametrize(
    ("pixels", "mode"),
    [
        (a_ramp(), "RGB"),
        (NOISE, "RGB"),
        (FLAT, "RGB"),
        (NOISE[:1], "RGB"),
        (NOISE[:, :1].copy(), "RGB"),
        (a_ramp()[..., 0].copy(), "L"),
        (np.arange(96 * 64, dtype=np.uint16).reshape(64, 96) * 10, "I;16"),
    ],
    ids=["ramp", "noise", "flat", "row", "column", "gray", "gray of 16 bits"],
)
def test_png_keeps_every_pixel(pixels: np.ndarray, mode: str) -> None:
    picture = read(images.encode_png(pixels))

    assert picture.mode == mode
    assert np.array_equal(np.asarray(picture), pixels)


def test_hidden_pixels_are_black_and_all_others_keep_their_colors() -> None:
    alpha = np.zeros((64, 96), np.uint8)
    alpha[:, 40:] = 1
    alpha[:, 60:] = 255

    seen = np.asarray(read(images.encode_png(np.dstack([a_ramp(), alpha]))))

    assert np.array_equal(seen[..., 3], alpha)
    assert np.array_equal(seen[:, 40:, :3], a_ramp()[:, 40:])
    assert not seen[:, :40, :3].any()


@pytest.mark.parametrize(
    ("encode", "quality"),
    [
        (images.encode_webp, 60),
        *((images.encode_avif, quality) for quality in (1, 60, 95)),
    ],
)
def test_alpha_is_kept_exactly(encode: Callable[..., EncodedFile], quality: int) -> None:
    alpha = np.random.default_rng(3).integers(0, 256, (64, 96), dtype=np.uint8)
    alpha[:20], alpha[-20:] = 0, 255

    picture = read(encode(np.dstack([a_ramp(), alpha]), quality=quality))

    seen = np.asarray(picture)
    assert picture.mode == "RGBA"
    assert np.array_equal(seen[..., 3], alpha)
    if quality >= 60:
        assert np.abs(seen[-20:, :, :3].astype(int) - a_ramp()[-20:]).mean() <= 4


@pytest.mark.slow
def test_webp_has_room_for_the_grain_of_large_photos() -> None:
    # Its fastest method fails at 17 megapixels with a camera's noise.
    grain = np.random.default_rng(6).normal(128, 20, (1024, 1024)).clip(0, 255).astype(np.uint8)
    large = cv2.merge([np.tile(grain, (4, 4))] * 3)

    encoded = images.encode_webp(large, quality=90)

    assert encoded.quality == 90
    assert read(encoded).format == "WEBP"


@pytest.mark.parametrize(
    ("encode", "most", "words"),
    [
        (images.encode_jpeg, images.MAX_JPEG_SIDE_PX, "65501×2 pixels; JPEG holds 65500"),
        (images.encode_webp, images.MAX_WEBP_SIDE_PX, "WebP holds 16383"),
        (images.encode_avif, images.MAX_AVIF_SIDE_PX, "AVIF holds 32768"),
    ],
)
def test_longest_side_of_a_format_is_accepted_and_a_longer_one_refused(
    encode: Callable[..., EncodedFile], most: int, words: str
) -> None:
    longest, longer = (np.zeros((2, side, 3), np.uint8) for side in (most, most + 1))

    assert read(encode(longest, quality=50)).size == (most, 2)
    with pytest.raises(ImageTooLarge, match=words):
        encode(longer, quality=50)
    assert images.encode_png(longer).width == most + 1


def a_picture(width: int = 480, height: int = 360) -> Srgb8:
    random = np.random.default_rng(11)
    coarse = random.integers(0, 256, (height // 40 + 1, width // 40 + 1, 3), dtype=np.uint8)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    grain = random.normal(0, 6, (height, width, 1))
    return np.clip(smooth + grain, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("format_", ["jpg", "webp", "avif"])
@pytest.mark.parametrize("share", [0.8, 0.5])
def test_quality_is_reduced_until_the_file_fits_and_no_further(format_: str, share: float) -> None:
    manner = EncodingOptions(format_, quality=85)
    finest, coarsest = (
        len(images.encode(a_picture(), EncodingOptions(format_, quality=quality)).content)
        for quality in (85, MIN_QUALITY)
    )
    most = round(coarsest + share * (finest - coarsest))

    fitted = images.encode_to_fit(a_picture(), manner, most_bytes=most)

    assert 0.85 * most <= len(fitted.content) <= most
    assert fitted.quality is not None
    assert MIN_QUALITY <= fitted.quality < 85
    assert (fitted.width, fitted.height) == (480, 360)


@every_format
def test_picture_shrinks_evenly_when_quality_is_not_enough(format_: str) -> None:
    fitted = images.encode_to_fit(
        a_picture(), EncodingOptions(format_, dots_per_inch=300), most_bytes=3_000
    )

    assert 0.85 * 3_000 <= len(fitted.content) <= 3_000
    assert fitted.width < 480
    assert abs(fitted.width / fitted.height - 4 / 3) < 0.05
    assert fitted.quality is None or fitted.quality >= MIN_QUALITY
    mean = np.asarray(read(fitted)).mean(axis=(0, 1)) - a_picture().mean(axis=(0, 1))
    assert np.abs(mean).max() < 6
    if format_ in {"jpg", "png"}:  # a print stays as large on paper
        assert read(fitted).info["dpi"][0] / 300 == pytest.approx(fitted.width / 480, abs=0.02)


@pytest.mark.parametrize(
    ("format_", "most"), [("jpg", 400_000), ("webp", 60_000), ("png", 900_000)]
)
def test_sample_tiles_of_a_large_picture_predict_its_size(format_: str, most: int) -> None:
    fitted = images.encode_to_fit(a_picture(2500, 1800), EncodingOptions(format_), most_bytes=most)

    assert 0.8 * most <= len(fitted.content) <= most
    assert fitted.quality is None or MIN_QUALITY <= fitted.quality < 90


def test_edges_of_a_cutout_keep_their_color_when_it_shrinks() -> None:
    cutout = np.zeros((200, 200, 4), np.uint8)
    cutout[50:151, 50:151] = (220, 40, 40, 255)

    small = images.downscale(cutout, width=64, height=64)

    seen = small[..., 3] > 0
    edge = seen & (small[..., 3] < 255)
    assert edge.any()
    # 8 bits of premultiplied color leave a few levels where alpha is low.
    assert np.abs(small[seen][..., :3].astype(int) - (220, 40, 40)).max() <= 8


SIZE = {"width": 640, "height": 480}
MAKER, DATE, ARTIST, COPYRIGHT = 0x010F, 0x0132, 0x013B, 0x8298
ORIENTATION, CAMERA, PLACE = 0x0112, 0x8769, 0x8825
WIDTH, HEIGHT, VERSION, COLORS = 0xA002, 0xA003, 0x9000, 0xA001
TAKEN_AT, EXPOSURE, SENSITIVITY, MAKERS_NOTE, OWNER, SERIAL = (
    *(0x9003, 0x829A, 0x8827),
    *(0x927C, 0xA430, 0xA431),
)


def a_block(orientation: int = 6) -> bytes:
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    tags[MAKER] = "Camera & Co\0\0"  # cameras pad
    tags[DATE] = "2026:06:01 12:30:00"
    tags[ARTIST] = "Ada"
    tags[COPYRIGHT] = "© Ada"
    camera = tags.get_ifd(CAMERA)
    camera[TAKEN_AT] = "2026:06:01 12:30:00"
    camera[EXPOSURE] = IFDRational(1, 250)
    camera[SENSITIVITY] = 400
    camera[MAKERS_NOTE] = b"a note" * 100
    camera[OWNER] = "Ada Lovelace"
    camera[SERIAL] = "0123456"
    tags.get_ifd(PLACE)[2] = (48.0, 12.0, 30.0)
    return tags.tobytes()


def read_exif(content: bytes) -> Image.Exif:
    tags = Image.Exif()
    tags.load(content)
    return tags


def read_text(content: bytes) -> str:
    """Return the maker's name, in UTF-8, which Pillow reads as Latin-1."""
    return str(read_exif(content)[MAKER]).encode("latin-1").decode()


def test_texts_and_settings_are_kept_but_place_owner_serial_and_notes_are_not() -> None:
    kept = exif.filter_tags(a_block(orientation=8), **SIZE)

    tags = read_exif(kept)
    assert {tag: tags[tag] for tag in tags if tag != CAMERA} == {
        ORIENTATION: 1,
        MAKER: "Camera & Co",
        DATE: "2026:06:01 12:30:00",
        ARTIST: "Ada",
        COPYRIGHT: "? Ada",  # Pillow writes ASCII
    }
    assert tags.get_ifd(CAMERA) == {
        TAKEN_AT: "2026:06:01 12:30:00",
        EXPOSURE: 1 / 250,
        SENSITIVITY: 400,
        WIDTH: 640,
        HEIGHT: 480,
        VERSION: b"0232",
        COLORS: 1,
    }
    assert not any(word in kept for word in (b"Lovelace", b"0123456", b"a note"))


@pytest.mark.parametrize("text", ["ä" * 200, "x" + "ä" * 200, "xy" + "\N{GRINNING FACE}" * 90])
def test_long_text_is_cut_between_letters(text: str) -> None:
    content = text.encode() + b"\0"
    block = b"II*\0" + struct.pack("<IHHHIII", 8, 1, MAKER, 2, len(content), 26, 0) + content

    kept = read_text(exif.filter_tags(block, **SIZE))

    assert text.startswith(kept)
    assert 252 < len(kept.encode()) <= 256


def test_text_keeps_a_letter_whose_last_byte_is_a_space_in_latin_1() -> None:
    content = "Città ".encode() + b"\0"
    block = b"II*\0" + struct.pack("<IHHHIII", 8, 1, MAKER, 2, len(content), 26, 0) + content

    assert read_text(exif.filter_tags(block, **SIZE)) == "Città"


# The exposure, as signed fractions: −1/3.
NEGATIVE_EXPOSURE = b"II*\0" + struct.pack(
    "<IHHHIIIHHHIIIii", *(8, 1, CAMERA, 4, 1, 26, 0), *(1, EXPOSURE, 10, 1, 44, 0), *(-1, 3)
)


@pytest.mark.parametrize("block", [b"", b"no EXIF", b"II*\0\x08\0\0\0\xff\xff", NEGATIVE_EXPOSURE])
def test_empty_or_broken_block_leaves_nothing(block: bytes) -> None:
    assert exif.filter_tags(block, **SIZE) == b""


@given(place=st.integers(0, 400), replacement=st.binary(min_size=1, max_size=8))
def test_broken_block_is_rebuilt_whole_or_dropped(place: int, replacement: bytes) -> None:
    whole = a_block()
    broken = whole[:place] + replacement + whole[place + len(replacement) :]

    kept = exif.filter_tags(broken, **SIZE)

    assert len(kept) < 12_000
    if kept:
        assert read_exif(kept)[ORIENTATION] == 1


@both_efforts
@every_format
def test_exif_is_written_into_every_format_and_read_back_with_its_time(
    format_: str, *, small: bool
) -> None:
    encoded = images.encode(a_ramp(), EncodingOptions(format_, small=small, exif=a_block()))

    photo = images.decode(encoded.content)
    tags = read(encoded).getexif()
    assert (tags[ARTIST], tags.get_ifd(CAMERA)[WIDTH]) == ("Ada", 96)
    assert read_exif(exif.filter_tags(photo.exif, **SIZE))[ARTIST] == "Ada"
    assert photo.taken_at == dt.datetime(2026, 6, 1, 12, 30, tzinfo=dt.UTC)


ZONE = 0x9011


def tags(taken: str, zone: str | None = None) -> bytes:
    written = Image.Exif()
    written.get_ifd(CAMERA)[TAKEN_AT] = taken
    if zone is not None:
        written.get_ifd(CAMERA)[ZONE] = zone
    return written.tobytes()


@pytest.mark.parametrize(("zone", "hour"), [("+02:00", 5), (None, 7), ("", 7), ("somewhere", 7)])
def test_clock_without_a_zone_counts_as_utc(zone: str | None, hour: int) -> None:
    taken = exif.read_taken_at(tags("2031:05:06 07:08:09", zone))

    assert taken == dt.datetime(2031, 5, 6, hour, 8, 9, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    "text", ["0000:00:00 00:00:00", "2031:13:01 00:00:00", "yesterday", "", "0001:01:01 00:00:00"]
)
def test_malformed_time_is_unknown(text: str) -> None:
    assert exif.read_taken_at(tags(text, "+14:00")) is None


def test_block_of_thousands_of_overlapping_values_takes_little_memory() -> None:
    entries = b"".join(struct.pack("<HHII", tag, 7, 60_000, 0) for tag in range(1, 5400))
    block = b"II*\0" + struct.pack("<IH", 8, 5399) + entries + bytes(600)

    tracemalloc.start()
    taken_at, kept = exif.read_taken_at(block), exif.filter_tags(block, **SIZE)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert (taken_at, kept) == (None, b"")
    assert peak < 4_000_000
