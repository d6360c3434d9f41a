import struct
import zlib
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from smart_filter_shared.errors import ImageTooLarge, ImageUnreadable
from smart_filter_tests.heic import HALF, QUARTERS, SIZE, a_heic, box, coded_item, crop_box
from smart_filter_tests.pictures import a_png, encode, noise
from smart_filter_workers import images
from unit.four_colors import (
    BLUE,
    GREEN,
    JPEG_LEVELS,
    RED,
    WHITE,
    corners,
    exif,
    near,
    quarters,
)


def resized_jpeg(width: int, height: int) -> bytes:
    jpeg = bytearray(encode(quarters(), "JPEG"))
    frame = jpeg.index(b"\xff\xc0")
    jpeg[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    return bytes(jpeg)


UNDO = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize(
    ("kind", "options", "levels"),
    [
        ("JPEG", {"subsampling": 0}, JPEG_LEVELS),
        ("JPEG", {"subsampling": 0, "progressive": True}, JPEG_LEVELS),
        ("PNG", {}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("AVIF", {"subsampling": "4:4:4"}, JPEG_LEVELS),
    ],
    ids=["JPEG", "progressive JPEG", "PNG", "WebP", "AVIF"],
)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_each_format_keeps_size_and_colors_and_is_decoded_upright(
    orientation: int, kind: str, options: dict[str, object], levels: int
) -> None:
    stored = quarters().transpose(UNDO[orientation]) if orientation > 1 else quarters()

    content = encode(stored, kind, exif=exif(orientation), quality=95, **options)

    photo = images.decode(content)
    assert photo.srgb.shape == (48, 64, 3)
    assert photo.format == {"JPEG": "jpg"}.get(kind, kind.lower())
    assert near(corners(content), [RED, GREEN, BLUE, WHITE], levels)


@pytest.mark.parametrize(
    "broken",
    [
        b"Exif\x00\x00" + bytes(3),
        b"Exif\x00\x00II*\x00\xff\xff\xff\xff",
        b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\xff\xff",
        exif(6)[:16],
        exif(77),
    ],
)
def test_broken_exif_is_ignored(broken: bytes) -> None:
    content = encode(quarters(), "JPEG", quality=95, exif=broken)

    assert images.decode(content).srgb.shape == (48, 64, 3)


def test_alpha_is_turned_upright_with_its_colors() -> None:
    picture = Image.new("RGBA", (30, 20), (200, 0, 0, 255))
    picture.putpixel((0, 0), (0, 0, 0, 0))
    tags = Image.Exif()
    tags[ExifTags.Base.Orientation] = 6

    photo = images.decode(encode(picture, "PNG", exif=tags))

    assert photo.alpha is not None
    assert photo.alpha.shape == photo.srgb.shape[:2] == (30, 20)
    assert np.argwhere(photo.alpha == 0).tolist() == [[0, 19]]


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK"])
def test_every_row_of_a_tall_picture_is_converted(mode: str) -> None:
    noise = np.random.default_rng(7).integers(0, 256, (400, 12, 3), dtype=np.uint8)
    picture = Image.fromarray(noise).convert(mode)
    if mode == "RGBA":
        picture.putalpha(Image.fromarray(noise[..., 0]))
    content = encode(picture, "JPEG" if mode == "CMYK" else "PNG", quality=95)

    seen = images.decode(content).srgb

    flat = Image.new("RGB", picture.size, "white")
    flat.paste(picture.convert("RGB"), mask=picture.getchannel("A") if mode == "RGBA" else None)
    difference = np.abs(seen.astype(int) - np.asarray(flat))
    # JPEG of noise: no pixel is exact, but none is far outside its neighbors.
    assert difference.max() == 0 if mode != "CMYK" else difference.mean(axis=1).max() < 30


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "AVIF"])
def test_first_frame_of_an_animation_is_taken(kind: str) -> None:
    frames = [Image.new("RGB", (16, 16), color) for color in (RED, GREEN)]

    content = encode(
        frames[0], kind, save_all=True, append_images=frames[1:], duration=100, lossless=True
    )

    assert near(corners(content), [RED] * 4, JPEG_LEVELS if kind == "AVIF" else 0)


NOISE = {
    kind: encode(Image.fromarray(noise(64, 64)), kind)
    for kind in ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF")
}


def resized_gif(width: int, height: int) -> bytes:
    content = encode(quarters(), "GIF")
    return content[:6] + struct.pack("<HH", width, height) + content[10:]


def with_hole(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes(64) + content[middle + 64 :]


@pytest.mark.parametrize(
    "content",
    [
        *(
            pytest.param(content[: int(len(content) * part)], id=f"{part} of a {kind}")
            for kind, content in NOISE.items()
            for part in (0.02, 0.3, 0.6, 0.95)
        ),
        *(
            pytest.param(with_hole(NOISE[kind]), id=f"{kind} with a hole")
            for kind in ("JPEG", "PNG")
        ),
        *(b"", b"hello", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%PDF-1.7", b"PK\x03\x04"),
        *(b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\x04\x00\x00\x00WEBP"),
        b"\0\0\0\x18ftypavif\0\0\0\0avifmif1",
        *(pytest.param(encode(quarters(), kind), id=kind) for kind in ("ICO", "PPM", "JPEG2000")),
    ],
)
def test_broken_content_and_other_formats_are_unreadable(content: bytes) -> None:
    with pytest.raises(ImageUnreadable):
        images.decode(content)


JPEG = encode(quarters(), "JPEG", quality=95)
NOTHING = zlib.compress(b"")
SIZES = [(8000, 6251), (30000, 30000), (60000, 60000), (1, 65_501), (65_501, 1)]
# A marker without a length leads a reader that expects one past the frame, to another frame.
HIDDEN_FRAME = (
    JPEG[:2] + b"\xff\x01" + resized_jpeg(60000, 60000)[2:].ljust(0xFFE0, b"\0") + JPEG[2:]
)


@pytest.mark.parametrize(
    "content",
    [
        *(pytest.param(a_png(*size, pixels=NOTHING), id=f"PNG of {size}") for size in SIZES),
        *(pytest.param(resized_jpeg(*size), id=f"JPEG of {size}") for size in SIZES),
        pytest.param(resized_gif(60_000, 60_000), id="GIF"),
        pytest.param(HIDDEN_FRAME, id="hidden frame"),
    ],
)
def test_picture_that_is_too_large_is_refused_by_its_header(content: bytes) -> None:
    with pytest.raises(ImageTooLarge):
        images.decode(content)


@pytest.mark.parametrize("part", ["pixels", "text"])
def test_png_larger_than_its_header_says_is_too_large(part: str) -> None:
    swelling = zlib.compress(bytes(64_000_000))
    pixels, text = (swelling, b"") if part == "pixels" else (NOTHING, b"note\x00\x00" + swelling)

    with pytest.raises(ImageTooLarge):
        images.decode(a_png(16, 16, pixels=pixels, extra=(b"zTXt", text)))


@pytest.mark.parametrize("kind", [b"tEXt", b"IDAT", b"prVt"])
@pytest.mark.parametrize("decode", [images.decode, images.decode_mask])
def test_png_of_too_many_chunks_is_refused_before_a_library_reads_it(
    kind: bytes, decode: Callable[[bytes], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[object] = []
    monkeypatch.setattr(Image, "open", opened.append)
    monkeypatch.setattr(cv2, "imdecode", opened.append)
    content = encode(quarters(), "PNG")
    end_of_header = 8 + 25
    chunk = b"\0\0\0\0" + kind + zlib.crc32(kind).to_bytes(4)
    content = content[:end_of_header] + chunk * 20_000 + content[end_of_header:]

    with pytest.raises(ImageUnreadable, match="more than 20000 chunks"):
        decode(content)

    assert opened == []


def with_broken_checksum(content: bytes, kind: bytes) -> bytes:
    at = content.index(kind)
    end = at + 4 + int.from_bytes(content[at - 4 : at])
    return content[:end] + bytes(byte ^ 1 for byte in content[end : end + 4]) + content[end + 4 :]


@pytest.mark.parametrize("kind", [b"gAMA", b"iCCP", b"sRGB"])
def test_png_without_its_broken_notes_is_decoded(kind: bytes) -> None:
    plain = encode(quarters(), "PNG")
    note = struct.pack(">I4s", 4, kind) + bytes((0, 1, 2, 3)) + struct.pack(">I", 1)

    seen = images.decode(plain[:33] + note + note + plain[33:]).srgb

    assert np.array_equal(seen, images.decode(plain).srgb)


@pytest.mark.parametrize("kind", [b"IHDR", b"PLTE"])
def test_png_whose_pixels_need_a_broken_chunk_is_refused(kind: bytes) -> None:
    plain = encode(quarters().quantize(8), "PNG")

    with pytest.raises(ImageUnreadable):
        images.decode(with_broken_checksum(plain, kind))


def test_png_with_anything_after_its_end_is_decoded() -> None:
    content = encode(quarters(), "PNG") + bytes(12) * 30_000

    assert images.decode(content).srgb.shape[2] == 3


@pytest.mark.parametrize(
    ("length", "between", "times"),
    [
        (12, b"", 1000),
        *((14, between, 101) for between in (b"\xff", b"\0\0", b"\xff\xd0", b"\xff\0")),
    ],
)
def test_jpeg_with_too_many_scans_is_refused(length: int, between: bytes, times: int) -> None:
    content = encode(quarters(), "JPEG", progressive=True)
    scan = content.index(b"\xff\xda")
    scans = (content[scan : scan + length] + between) * times

    with pytest.raises(ImageUnreadable, match="scans"):
        images.decode(content[:-2] + scans + content[-2:])


def test_large_jpeg_may_have_fewer_scans() -> None:
    content = encode(quarters(), "JPEG", progressive=True)
    scan = content.index(b"\xff\xda")
    more = content[:-2] + content[scan : scan + 14] * (21 - content.count(b"\xff\xda"))
    height_at = content.index(b"\xff\xc2") + 5
    large = more[:height_at] + struct.pack(">HH", 7000, 7000) + more[height_at + 4 :]

    with pytest.raises(ImageUnreadable, match="more than 20 scans"):
        images.decode(large + content[-2:])


def test_bmp_of_many_run_lengths_is_refused() -> None:
    plain = encode(quarters().quantize(8), "BMP")
    packed = plain[:30] + bytes((1, 0, 0, 0)) + plain[34:] + b"\1a" * 4_000_000

    with pytest.raises(ImageUnreadable, match="compressed BMP"):
        images.decode(packed)


def test_jpeg_of_a_million_segments_is_refused() -> None:
    content = encode(quarters(), "JPEG")

    with pytest.raises(ImageUnreadable, match="segments"):
        images.decode(content[:2] + b"\xff\xfe\x00\x02" * 1_000_000 + content[2:])


XMP = b"<x:xmpmeta><rdf:Description %s/></x:xmpmeta>"
SIX = XMP % b'tiff:Orientation="6"'


def typed_orientation(kind: int, layout: str) -> bytes:
    """Return EXIF with orientation 6 in a type of integers, big-endian."""
    entry = struct.pack(">HHI", 0x0112, kind, 1) + struct.pack(f">{layout}", 6).ljust(4, b"\0")
    return b"Exif\0\0MM\0*" + struct.pack(">IH", 8, 1) + entry + bytes(4)


# Turned by orientation 6: clockwise by a quarter.
TURNED = [WHITE, RED, GREEN, BLUE]
RAW = "\nexif\n%8d\n%s\n"


def raw_profile(tags: bytes, name: str = "exif", *, compressed: bool = False) -> PngInfo:
    """Return the text that ImageMagick writes instead of the chunk eXIf."""
    chunks = PngInfo()
    lines = "\n".join(tags.hex()[at : at + 72] for at in range(0, 2 * len(tags), 72))
    chunks.add_text(f"Raw profile type {name}", RAW % (len(tags), lines), zip=compressed)
    return chunks


def xmp_of_png(packet: bytes) -> PngInfo:
    chunks = PngInfo()
    chunks.add_itxt("XML:com.adobe.xmp", packet.decode())
    return chunks


TURNING = {
    "raw profile": (encode(quarters(), "PNG", pnginfo=raw_profile(exif(6))), TURNED),
    "compressed raw profile": (
        encode(quarters(), "PNG", pnginfo=raw_profile(exif(6), "APP1", compressed=True)),
        TURNED,
    ),
    "broken raw profile": (
        encode(quarters(), "PNG", pnginfo=raw_profile(b"nonsense")),
        [RED, GREEN, BLUE, WHITE],
    ),
    "XMP of a JPEG": (encode(quarters(), "JPEG", quality=95, xmp=SIX), TURNED),
    "XMP of a PNG": (encode(quarters(), "PNG", pnginfo=xmp_of_png(SIX)), TURNED),
    "XMP of a WebP": (encode(quarters(), "WEBP", lossless=True, xmp=SIX), TURNED),
    "XMP as an element": (
        encode(quarters(), "JPEG", quality=95, xmp=b"<tiff:Orientation>6</tiff:Orientation>"),
        TURNED,
    ),
    "XMP against EXIF": (
        encode(quarters(), "JPEG", quality=95, exif=exif(1), xmp=SIX),
        [RED, GREEN, BLUE, WHITE],
    ),
    "XMP with EXIF that has none": (
        encode(quarters(), "JPEG", quality=95, exif=exif(0), xmp=SIX),
        TURNED,
    ),
    **{
        f"EXIF in type {kind}": (
            encode(quarters(), "JPEG", quality=95, exif=typed_orientation(kind, layout)),
            TURNED,
        )
        for kind, layout in {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i"}.items()
    },
    "XMP without meaning": (
        encode(quarters(), "JPEG", quality=95, xmp=XMP % b'tiff:Orientation="9"'),
        [RED, GREEN, BLUE, WHITE],
    ),
}


@pytest.mark.parametrize("kind", TURNING)
def test_orientation_is_read_from_every_place_where_programs_write_it(kind: str) -> None:
    content, expected = TURNING[kind]

    assert near(corners(content), expected, JPEG_LEVELS)


def with_gain_map(base: bytes, gain: bytes) -> bytes:
    """Return a JPEG with a second one behind it, as Ultra HDR and MPO have them."""
    xmp = b"http://ns.adobe.com/xap/1.0/\0" + XMP % b'hdrgm:Version="1.0"'
    segment = b"\xff\xe1" + (len(xmp) + 2).to_bytes(2) + xmp
    return base[:2] + segment + base[2:] + gain


GAIN = encode(Image.new("L", (64, 48), 200), "JPEG")
APPLE_GAIN = box(b"auxC", bytes(4) + b"urn:com:apple:photo:2020:aux:hdrgainmap\0")


@pytest.mark.parametrize(
    "content",
    [
        with_gain_map(JPEG, GAIN),
        with_gain_map(JPEG, GAIN[:-2]),
        encode(quarters(), "MPO", quality=95, save_all=True, append_images=[quarters()]),
        a_heic(
            coded_item(QUARTERS, crop_box(*SIZE)),
            coded_item(HALF, APPLE_GAIN, references=((b"auxl", (1,)),)),
        ),
    ],
    ids=["Ultra HDR", "Ultra HDR cut in its map", "MPO", "HEIC of Apple"],
)
def test_gain_map_is_neither_a_frame_nor_alpha_and_the_base_is_the_photo(content: bytes) -> None:
    photo = images.decode(content)

    assert photo.alpha is None
    assert near(corners(photo.srgb), [RED, GREEN, BLUE, WHITE], JPEG_LEVELS)
