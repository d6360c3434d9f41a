import datetime as dt
import io
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from smart_filter_workers import images
from smart_filter_workers.images import exif, tiff

TAKEN, ZONE, EXPOSURE = 0x9003, 0x9011, 0x8769


def tags(taken: str, zone: str | None = None) -> bytes:
    written = Image.Exif()
    written.get_ifd(EXPOSURE)[TAKEN] = taken
    if zone is not None:
        written.get_ifd(EXPOSURE)[ZONE] = zone
    return written.tobytes()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_photo_knows_when_it_was_taken(kind: str) -> None:
    file = io.BytesIO()
    picture = Image.fromarray(np.zeros((8, 8, 3), np.uint8))
    picture.save(file, kind, exif=tags("2031:05:06 07:08:09", "+02:00"))

    photo = images.decode(file.getvalue())

    assert photo.taken_at == dt.datetime(2031, 5, 6, 5, 8, 9, tzinfo=dt.UTC)


@pytest.mark.parametrize("zone", [None, "", "somewhere"])
def test_clock_without_a_zone_counts_as_utc(zone: str | None) -> None:
    taken = exif.taken_at(tags("2031:05:06 07:08:09", zone))

    assert taken == dt.datetime(2031, 5, 6, 7, 8, 9, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    "text", ["0000:00:00 00:00:00", "2031:13:01 00:00:00", "yesterday", "", "0001:01:01 00:00:00"]
)
def test_malformed_time_is_unknown(text: str) -> None:
    assert exif.taken_at(tags(text, "+14:00")) is None


@given(rest=st.binary(max_size=200), swapped=st.booleans())
def test_broken_exif_is_passed_over(rest: bytes, *, swapped: bool) -> None:
    start = b"MM\x00*\x00\x00\x00\x08" if swapped else b"II*\x00\x08\x00\x00\x00"
    pointer = struct.pack(">HHHII" if swapped else "<HHHII", 1, EXPOSURE, 4, 1, 22)

    for content in (start + rest, start + pointer + rest, rest):
        exif.orientation(content)
        exif.taken_at(content)


@pytest.mark.parametrize("leads_to", ["itself", "a longer one"])
def test_entries_that_lead_on_and_on_are_few(leads_to: str) -> None:
    first, others = 8, 5400
    place = first if leads_to == "itself" else first + 12
    entry = struct.pack("<HHII", EXPOSURE, 4, 1, place)
    block = b"II*\x00" + struct.pack("<IH", first, others) + entry * others

    assert len(tiff.Tiff(block).photo()) == tiff.MAX_ENTRIES
    assert len(tiff.Tiff(block).camera()) <= tiff.MAX_ENTRIES
    assert exif.taken_at(block) is None


def test_directory_that_names_itself_is_read_once() -> None:
    taken = struct.pack("<HHII", TAKEN, 2, 20, 38)
    itself = struct.pack("<HHII", EXPOSURE, 4, 1, 8)
    block = b"II*\x00" + struct.pack("<IH", 8, 2) + taken + itself + bytes(4)

    assert exif.taken_at(block + b"2031:05:06 07:08:09\0") is None
