"""EXIF of a photo: the time that is read from it, and the tags that are kept."""

import datetime as dt
import io
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from smart_filter_workers import images
from smart_filter_workers.images import Manner, exif, metadata, tiff

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
    tags[MAKER] = "Camera & Co"
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


def read(content: bytes) -> Image.Exif:
    tags = Image.Exif()
    tags.load(content)
    return tags


def read_text(content: bytes) -> str:
    """The maker, in UTF-8, which Pillow reads as Latin-1."""
    return str(read(content)[MAKER]).encode("latin-1").decode()


def test_words_and_settings_are_kept_and_place_owner_serial_and_notes_are_not() -> None:
    kept = metadata.kept(a_block(orientation=8), **SIZE)

    tags = read(kept)
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

    kept = read_text(metadata.kept(block, **SIZE))

    assert text.startswith(kept)
    assert 252 < len(kept.encode()) <= 256


EXPOSURE_BEYOND_THE_END = (
    b"II*\0"
    + struct.pack("<IHHHIII", 8, 1, CAMERA, 4, 1, 26, 0)
    + struct.pack("<HHHIII", 1, EXPOSURE, 5, 1, 9999, 0)
)


@pytest.mark.parametrize(
    "block",
    [
        *(b"", b"Exif\0\0II*\0", b"II*\0\x08\0\0\0\xff\xff", b"II*\0\x08\0\0\0\0\0"),
        *(b"no EXIF", EXPOSURE_BEYOND_THE_END),
    ],
    ids=["none", "cut", "missing entries", "empty", "no EXIF", "value beyond the end"],
)
def test_empty_or_broken_block_leaves_nothing(block: bytes) -> None:
    assert metadata.kept(block, **SIZE) == b""


@given(place=st.integers(0, 400), replacement=st.binary(min_size=1, max_size=8))
def test_broken_block_is_rebuilt_whole_or_dropped(place: int, replacement: bytes) -> None:
    whole = a_block()
    broken = whole[:place] + replacement + whole[place + len(replacement) :]

    kept = metadata.kept(broken, **SIZE)

    assert len(kept) < 12_000
    if kept:
        assert read(kept)[ORIENTATION] == 1


@pytest.mark.parametrize("small", [False, True])
@pytest.mark.parametrize("format_", ["jpg", "png", "webp", "avif"])
def test_every_format_carries_it(format_: str, *, small: bool) -> None:
    picture = np.full((48, 64, 3), 90, np.uint8)

    encoded = images.encode(picture, Manner(format_, small=small, exif=a_block()))

    with Image.open(io.BytesIO(encoded.content)) as opened:
        opened.load()
        tags = opened.getexif()
        assert (tags[ARTIST], tags.get_ifd(CAMERA)[WIDTH]) == ("Ada", 64)
        assert opened.size == (64, 48)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_photo_brings_its_exif_and_its_time_along(kind: str) -> None:
    file = io.BytesIO()
    Image.new("RGB", (64, 48)).save(file, kind, exif=a_block())

    photo = images.decode(file.getvalue())

    assert read(metadata.kept(photo.exif, **SIZE))[ARTIST] == "Ada"
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
    taken = exif.taken_at(tags("2031:05:06 07:08:09", zone))

    assert taken == dt.datetime(2031, 5, 6, hour, 8, 9, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    "text", ["0000:00:00 00:00:00", "2031:13:01 00:00:00", "yesterday", "", "0001:01:01 00:00:00"]
)
def test_malformed_time_is_unknown(text: str) -> None:
    assert exif.taken_at(tags(text, "+14:00")) is None


@pytest.mark.parametrize("leads_to", ["itself", "a longer one"])
def test_entries_that_lead_on_and_on_are_few(leads_to: str) -> None:
    first, others = 8, 5400
    place = first if leads_to == "itself" else first + 12
    entry = struct.pack("<HHII", CAMERA, 4, 1, place)
    block = b"II*\x00" + struct.pack("<IH", first, others) + entry * others

    assert len(tiff.Tiff(block).photo()) == tiff.MAX_ENTRIES
    assert len(tiff.Tiff(block).camera()) <= tiff.MAX_ENTRIES
    assert exif.taken_at(block) is None
