import base64
import io

import numpy as np
import pytest
from PIL import Image

from smart_filter_shared.errors import ImageUnreadable
from smart_filter_shared.security import photo_header
from smart_filter_tests.pictures import encode, noise
from smart_filter_workers import images
from unit.four_colors import (
    BLUE,
    GREEN,
    JPEG_LEVELS,
    RED,
    WHITE,
    corners,
    near,
    quarters,
)


def with_camera_slip(content: bytes) -> bytes:
    """Return a JPEG with a fault in the header of its scan that some cameras write."""
    spectral_end = content.index(b"\xff\xda") + 12
    assert content[spectral_end] == 63
    return content[:spectral_end] + b"\0" + content[spectral_end + 1 :]


JPEG = encode(quarters(), "JPEG", quality=95)
FILM = b"\x00\x00\x00\x18ftypmp42" + b"\xff\xda\x00\x08" * 5000


@pytest.mark.parametrize("content", [with_camera_slip(JPEG), JPEG + FILM], ids=["slip", "film"])
def test_camera_specific_faults_are_not_corruption(content: bytes) -> None:
    assert near(corners(content), [RED, GREEN, BLUE, WHITE], 3 * JPEG_LEVELS)


def at_marker(content: bytes, marker: bytes, stray: bytes, *, last: bool = False) -> bytes:
    """Return a JPEG with stray bytes before its first or last marker of a kind."""
    at = content.rindex(marker) if last else content.index(marker)
    return content[:at] + stray + content[at:]


PROGRESSIVE = encode(quarters(), "JPEG", quality=95, progressive=True)
PHONE_TRAILER = b"SEFT" + bytes(40) + b"Samsung" * 9
# Drawn by `quarters`, coded with arithmetic coding by cjpeg of libjpeg-turbo 2.1.5.
ARITHMETIC = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAMCAgMCAgMDAwMEAwMEBQgFBQQEBQoHBwYIDAoMDAsKCwsNDhIQDQ4R"
    "DgsLEBYQERMUFRUVDA8XGBYUGBIUFRT/2wBDAQMEBAUEBQkFBQkUDQsNFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU"
    "FBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBT/yQARCAAwAEADAREAAhEBAxEB/8wACgAQEAUBEBEF/9oADAMBAAIR"
    "AxEAPwD/AMglTdWWDRlMNtbA+YRI2pr7nrF3Ux8trtNPAJL+1H8pigyksXrwB/D/AJ2DQbTI1Vi3sIHW/wAFi1MC"
    "s1Mxc5+ZxsDtvf8AZP/Z"
)
SLOPPY = {
    **{
        f"{name} {kind}": change(content)
        for kind, content in (("baseline", JPEG), ("progressive", PROGRESSIVE))
        for name, change in {
            "without end": lambda content: content[:-2],
            "without last byte": lambda content: content[:-1],
            "without end, with trailer": lambda content: content[:-2] + PHONE_TRAILER,
            "with trailer": lambda content: content + PHONE_TRAILER,
            "7 zeros before end": lambda content: at_marker(content, b"\xff\xd9", bytes(7)),
            "99 zeros before end": lambda content: at_marker(content, b"\xff\xd9", bytes(99)),
            "zeros before tables": lambda content: at_marker(content, b"\xff\xdb", bytes(4)),
            "bytes before tables": lambda content: at_marker(content, b"\xff\xc4", b"stray"),
            "bytes before scan": lambda content: at_marker(content, b"\xff\xda", b"ab"),
            "bytes before last scan": lambda content: at_marker(
                content, b"\xff\xda", b"ab", last=True
            ),
            "broken profile": lambda content: at_marker(
                content, b"\xff\xda", b"\xff\xe2\0\x10ICC_PROFILE\0\2\0"
            ),
            "broken EXIF first": lambda content: at_marker(
                content, b"\xff\xe0", b"\xff\xe1\0\x0aExif\0\0II"
            ),
        }.items()
    },
    "bytes between scans": at_marker(PROGRESSIVE, b"\xff\xc4", bytes(50), last=True),
    "arithmetic": ARITHMETIC,
}


@pytest.mark.parametrize("kind", SLOPPY)
def test_jpeg_with_all_of_its_pixels_is_decoded_whatever_else_is_wrong(kind: str) -> None:
    photo_header.read_header(io.BytesIO(SLOPPY[kind]))

    assert near(corners(SLOPPY[kind]), [RED, GREEN, BLUE, WHITE], JPEG_LEVELS)


TALL = encode(Image.fromarray(noise(480, 64)), "JPEG", quality=90)
TALL_IN_SCANS = encode(Image.fromarray(noise(480, 64)), "JPEG", quality=90, progressive=True)


@pytest.mark.parametrize("content", [TALL, TALL_IN_SCANS], ids=["baseline", "progressive"])
@pytest.mark.parametrize(
    "marker", [b"\x01", b"\xc0", b"\xc4", b"\xd0", b"\xd8", b"\xda", b"\xdb", b"\xe1", b"\xfe"]
)
def test_trailer_of_a_jpeg_without_end_may_hold_any_marker(content: bytes, marker: bytes) -> None:
    trailer = b"SEFT\xff" + marker + b"\0\x08\1\2\3\4\5\6\xff\xda\0\3rest"

    seen = images.decode(content[:-2] + trailer).srgb

    assert np.array_equal(seen, images.decode(content).srgb)


def test_jpeg_cut_within_its_last_row_of_blocks_keeps_the_other_rows() -> None:
    whole = images.decode(TALL).srgb

    cut = images.decode(TALL[:-200]).srgb

    # The colors of a block are interpolated with those of the next one.
    assert np.array_equal(cut[:463], whole[:463])


@pytest.mark.parametrize(
    "content",
    [
        TALL[:-4000],
        TALL_IN_SCANS[:-200],
        TALL_IN_SCANS[: TALL_IN_SCANS.rindex(b"\xff\xc4")],
        TALL_IN_SCANS[:-2].replace(b"\xff\xda\0\x0c", b"\xff\xda\0\3", 1),
        TALL[:-2] + TALL[-4002:-2] + TALL[-2:],
    ],
    ids=["cut", "cut in a scan", "cut between scans", "cut header of a scan", "out of step"],
)
def test_jpeg_that_lacks_pixels_is_refused(content: bytes) -> None:
    with pytest.raises(ImageUnreadable):
        images.decode(content)
