import io
import struct
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from smart_filter_shared.errors import PhotoTooLarge, UnsupportedMedia
from smart_filter_shared.security import photo_header
from smart_filter_shared.security.photo_header import (
    MAX_PIXELS,
    MAX_SIDE_PX,
    PhotoFormat,
    PhotoHeader,
)
from smart_filter_tests.heic import box, ispe
from smart_filter_tests.pictures import a_png, encode

SIZE = (301, 203)
RAW = "a camera's raw file; export it as JPEG or TIFF"


def encoded(format_: str, mode: str = "RGB", **options: object) -> bytes:
    return encode(Image.new(mode, SIZE), format_, **options)


def read(content: bytes) -> PhotoHeader:
    return photo_header.read_header(io.BytesIO(content))


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def frame(width: int, height: int) -> bytes:
    return segment(0xC0, struct.pack(">BHHB", 8, height, width, 3) + bytes(9))


ANIMATED = {"save_all": True, "append_images": [Image.new("RGB", SIZE, "red")]}
PHOTOS = {
    "jpeg": (PhotoFormat.JPEG, encoded("JPEG")),
    "progressive": (PhotoFormat.JPEG, encoded("JPEG", progressive=True)),
    "cmyk": (PhotoFormat.JPEG, encoded("JPEG", "CMYK")),
    "broken-exif": (PhotoFormat.JPEG, encoded("JPEG", exif=b"Exif\0\0nonsense")),
    "profile": (PhotoFormat.JPEG, encoded("JPEG", icc_profile=bytes(200_000))),
    "png": (PhotoFormat.PNG, encoded("PNG")),
    "png-16-bit": (PhotoFormat.PNG, encoded("PNG", "I;16")),
    "webp-lossy": (PhotoFormat.WEBP, encoded("WEBP")),
    "webp-lossless": (PhotoFormat.WEBP, encoded("WEBP", lossless=True)),
    "webp-alpha": (PhotoFormat.WEBP, encoded("WEBP", "RGBA", exact=True)),
    "webp-extended": (PhotoFormat.WEBP, encoded("WEBP", exif=b"Exif\0\0II*\0")),
    "webp-animated": (PhotoFormat.WEBP, encoded("WEBP", **ANIMATED)),
    "gif": (PhotoFormat.GIF, encoded("GIF")),
    "gif-animated": (PhotoFormat.GIF, encoded("GIF", **ANIMATED)),
    "bmp": (PhotoFormat.BMP, encoded("BMP")),
    "tiff": (PhotoFormat.TIFF, encoded("TIFF")),
    "tiff-lzw": (PhotoFormat.TIFF, encoded("TIFF", compression="tiff_lzw")),
    "tiff-pages": (PhotoFormat.TIFF, encoded("TIFF", **ANIMATED)),
    "avif": (PhotoFormat.AVIF, encoded("AVIF")),
    "avif-alpha": (PhotoFormat.AVIF, encoded("AVIF", "RGBA")),
    "avif-animated": (PhotoFormat.AVIF, encoded("AVIF", **ANIMATED)),
}


@pytest.mark.parametrize(("format_", "content"), PHOTOS.values(), ids=PHOTOS)
def test_format_and_size_are_read_from_the_header(format_: PhotoFormat, content: bytes) -> None:
    header = read(content)

    assert (header.format, (header.width, header.height)) == (format_, SIZE)


@given(
    photo=st.sampled_from([content for _, content in PHOTOS.values()]),
    place=st.integers(0, 400),
    replacement=st.binary(max_size=12),
    length=st.integers(0, 800),
)
@example(photo=PHOTOS["webp-lossy"][1], place=0, replacement=b"", length=24)
@example(photo=PHOTOS["webp-extended"][1], place=0, replacement=b"", length=22)
def test_broken_header_is_refused_or_read_but_never_crashes(
    photo: bytes, place: int, replacement: bytes, length: int
) -> None:
    broken = (photo[:place] + replacement + photo[place + len(replacement) :])[:length]

    try:
        header = read(broken)
    except (UnsupportedMedia, PhotoTooLarge):
        return

    assert 0 < header.width * header.height <= MAX_PIXELS


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"", "empty"),
        (b"%PDF-1.7", "a PDF; export it as PNG"),
        (b"PK\x03\x04", "a zip file; send each photo of it"),
        (b"<svg/>", "an SVG; export it as PNG"),
        (b"\xef\xbb\xbf\n <?xml ", "XML or an SVG; export it as PNG"),
        (b"\0\0\0\x20ftypisom", "a video; send a still picture of it"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000; save it as JPEG or PNG"),
        (b"\xff\x4f\xff\x51", "a JPEG 2000; save it as JPEG or PNG"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL; save it as JPEG or PNG"),
        (b"\xff\x0a\xfa", "a JPEG XL; save it as JPEG or PNG"),
        (b"\xff\xd8\xff\xf7\0\x0b", "a JPEG-LS; save it as JPEG or PNG"),
        (b"\0\0\1\0\1\0", "an ICO; save it as PNG"),
        (b"8BPS\0\1", "a Photoshop document; save it as JPEG or PNG"),
        (b"II+\0\x08\0", "a BigTIFF; save it as TIFF or PNG"),
        (b"\0\0\0\x18ftypcrx ", RAW),
        (b"FUJIFILMCCD-RAW 0201", RAW),
        (encoded("TGA")[:64], "a TGA; save it as JPEG or PNG"),
        (encoded("TGA", compression="tga_rle")[:64], "a TGA; save it as JPEG or PNG"),
        (b"\0\0\2\0\1\0\x20\x20", "a cursor; save it as PNG"),
        (encoded("PPM"), "a PNM; save it as JPEG or PNG"),
        (encoded("PPM", "L"), "a PNM; save it as JPEG or PNG"),
        (b"qoif\0\0", "a QOI; save it as JPEG or PNG"),
        (b"DDS \x7c\0", "a DDS; save it as JPEG or PNG"),
        (b"\x1a\x45\xdf\xa3\x9f", "a video; send a still picture of it"),
        (b"RIFF\0\0\0\0AVI LIST", "a video; send a still picture of it"),
        (b"\n<!DOCTYPE html>", "a web page; send the picture itself"),
        (b"<html lang=en>", "a web page; send the picture itself"),
        (b"\xef\xbb\xbf" + encoded("JPEG"), "a JPEG behind other bytes; send it without them"),
        (b"\n" + encoded("JPEG"), "a JPEG behind other bytes; send it without them"),
        (b"hello", "not a picture"),
    ],
)
def test_refusal_names_the_format_sent_and_the_accepted_ones(start: bytes, kind: str) -> None:
    with pytest.raises(UnsupportedMedia, match=f"is {kind}; {photo_header.ACCEPTED}"):
        read(start)


def a_tiff(*entries: tuple[int, int], order: str = "<") -> bytes:
    """Return a TIFF of one directory, whose values are numbers of 32 bits."""
    magic = b"II*\0" if order == "<" else b"MM\0*"
    listed = b"".join(struct.pack(order + "HHII", tag, 4, 1, value) for tag, value in entries)
    return magic + struct.pack(order + "IH", 8, len(entries)) + listed + bytes(4)


SIDES = ((256, 640), (257, 480))


@pytest.mark.parametrize("order", "<>")
def test_size_of_a_tiff_is_that_of_its_first_page(order: str) -> None:
    assert read(a_tiff(*SIDES, order=order)) == PhotoHeader(PhotoFormat.TIFF, 640, 480)


@pytest.mark.parametrize(
    "content",
    [
        a_tiff((254, 1), *SIDES, (330, 8)),
        a_tiff(*SIDES, (50706, 0x0104)),
        b"II*\0\x10\0\0\0CR\2\0" + bytes(4) + a_tiff(*SIDES)[8:],
    ],
    ids=["preview first", "DNG", "Canon"],
)
def test_raw_file_in_the_form_of_a_tiff_is_named(content: bytes) -> None:
    with pytest.raises(UnsupportedMedia, match=f"is {RAW}"):
        read(content)


@pytest.mark.parametrize(
    "content",
    [
        a_tiff(SIDES[0]),
        a_tiff(*SIDES)[:20],
        b"II*\0" + bytes(4),
        b"II*\0\xff\xff\xff\xff",
        a_tiff((256, 0), (257, 9)),
        b"GIF89a\1",
        b"BM" + bytes(12) + b"\x28\0\0\0" + b"\xff" * 4,
    ],
)
def test_cut_header_of_an_old_format_is_refused(content: bytes) -> None:
    with pytest.raises(UnsupportedMedia):
        read(content)


@pytest.mark.parametrize(
    ("layout", "length"), [("<IHH", 12), ("<Iii", 40)], ids=["OS/2", "from the top"]
)
def test_size_of_a_bitmap_is_read_from_either_header(layout: str, length: int) -> None:
    height = -203 if length == 40 else 203
    content = b"BM" + bytes(12) + struct.pack(layout, length, 301, height) + bytes(40)

    assert read(content) == PhotoHeader(PhotoFormat.BMP, *SIZE)


@pytest.mark.parametrize(
    "before",
    [
        pytest.param(segment(0xE1, b"\xff\xd8" + frame(16, 16) + b"\xff\xd9"), id="thumbnail"),
        pytest.param(b"\xff\xff\xff", id="fill-bytes"),
        pytest.param(b"\xff\0 stray", id="stray-bytes"),
        pytest.param(segment(0xC4, bytes(20)) + segment(0xCC, bytes(4)), id="tables"),
    ],
)
def test_size_of_a_jpeg_is_that_of_its_frame(before: bytes) -> None:
    header = read(b"\xff\xd8" + before + frame(640, 480))

    assert header == PhotoHeader(PhotoFormat.JPEG, 640, 480)


@pytest.mark.parametrize(
    "rest",
    [
        pytest.param(b"\xff\xd9", id="ends-at-once"),
        pytest.param(segment(0xDA, bytes(10)), id="pixels-without-a-frame"),
        pytest.param(b"\xff\xe0\x00\x01", id="impossible-length"),
        pytest.param(b"\xff" * 100_000, id="fill-bytes-without-end"),
        pytest.param(segment(0xFE, b"") * 10_000 + frame(640, 480), id="segments-without-end"),
        pytest.param(frame(640, 480)[:6], id="cut-in-the-frame"),
        pytest.param(frame(640, 0), id="no-height"),
    ],
)
def test_jpeg_without_a_usable_frame_header_is_refused(rest: bytes) -> None:
    with pytest.raises(UnsupportedMedia):
        read(b"\xff\xd8" + rest)


@pytest.mark.parametrize(
    ("marker", "bits", "words"),
    [
        (0xC1, 12, "a JPEG of 12 bits a sample; save it with 8"),
        (0xC3, 16, "a JPEG of 16 bits a sample; save it with 8"),
        (0xC5, 8, "a JPEG of a rare kind; save it as baseline or progressive"),
    ],
)
def test_jpeg_of_a_kind_without_decoder_is_refused_by_name(
    marker: int, bits: int, words: str
) -> None:
    content = struct.pack(">BHHB", bits, 480, 640, 3) + bytes(9)

    with pytest.raises(UnsupportedMedia, match=words):
        read(b"\xff\xd8" + b"\xff\xe0\0\2" + segment(marker, content))


def a_canvas_webp(width: int, height: int) -> bytes:
    sides = b"".join(struct.pack("<I", side - 1)[:3] for side in (width, height))
    return b"RIFF" + bytes(4) + b"WEBPVP8X" + struct.pack("<I4x", 10) + sides


def an_avif(
    *properties: bytes, brand: bytes = b"avif", also: bytes = b"mif1avif", before: bytes = b""
) -> bytes:
    boxes = box(b"iprp", box(b"ipco", b"".join(properties)))
    ftyp = box(b"ftyp", brand + bytes(4) + also)
    return ftyp + before + box(b"meta", bytes(4) + boxes)


@pytest.mark.parametrize(
    "photo",
    [
        pytest.param(a_png(10_001, 5_000, pixels=b""), id="png"),
        pytest.param(an_avif(ispe(10_001, 5_000)), id="avif"),
        pytest.param(an_avif(ispe(10_001, 5_000), brand=b"heic", also=b"mif1heic"), id="heic"),
    ],
)
def test_more_than_fifty_megapixels_are_refused_by_the_header(photo: bytes) -> None:
    assert read(a_png(10_000, 5_000, pixels=b"")) == PhotoHeader(PhotoFormat.PNG, 10_000, 5_000)
    with pytest.raises(PhotoTooLarge, match="at most 50 megapixels"):
        read(photo)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda side: a_png(1, side, pixels=b""), id="png-tall"),
        pytest.param(lambda side: a_png(side, 1, pixels=b""), id="png-wide"),
        pytest.param(lambda side: b"\xff\xd8" + frame(1, side), id="jpeg"),
        pytest.param(lambda side: a_canvas_webp(side, 1), id="webp"),
        pytest.param(lambda side: an_avif(ispe(side, 1)), id="avif"),
        pytest.param(
            lambda side: an_avif(ispe(1, side), brand=b"heic", also=b"mif1heic"), id="heic"
        ),
    ],
)
def test_side_above_the_limit_is_refused_by_the_header(make: Callable[[int], bytes]) -> None:
    longest = read(make(MAX_SIDE_PX))

    assert max(longest.width, longest.height) == MAX_SIDE_PX
    with pytest.raises(PhotoTooLarge, match=r"65501.* pixels; at most 65500 pixels a side"):
        read(make(MAX_SIDE_PX + 1))


def test_size_of_an_avif_is_its_largest_picture_even_behind_the_pixels() -> None:
    pixels = box(b"mdat", bytes(5000)) + struct.pack(">I4sQ", 1, b"free", 16 + 100) + bytes(100)

    photo = an_avif(ispe(512, 512), ispe(6000, 4000), ispe(160, 120), before=pixels)

    assert read(photo) == PhotoHeader(PhotoFormat.AVIF, 6000, 4000)


@pytest.mark.parametrize(
    "photo",
    [
        pytest.param(an_avif(), id="no-size"),
        pytest.param(an_avif(box(b"ispe", bytes(6))), id="size-cut"),
        pytest.param(an_avif(ispe(0, 480)), id="no-width"),
        pytest.param(an_avif(before=box(b"free", b"") * 5000), id="boxes-without-end"),
        pytest.param(
            an_avif(before=box(b"meta", bytes(4) + box(b"iprp", box(b"ipco", b""))) * 5000),
            id="headers-without-end",
        ),
        pytest.param(an_avif(ispe(640, 480))[:-20], id="cut-in-the-header"),
        pytest.param(box(b"ftyp", b"avif" + bytes(4)), id="ends-at-once"),
    ],
)
def test_avif_without_a_usable_size_is_refused(photo: bytes) -> None:
    with pytest.raises(UnsupportedMedia):
        read(photo)
