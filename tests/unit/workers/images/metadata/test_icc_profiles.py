"""Every pair of mode, bit depth, profile, alpha and format against a conversion by formula."""

import io
import itertools
import struct
import zlib
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from smart_filter_tests.heic import (
    HALF,
    QUARTERS,
    SIZE,
    TEN_BITS,
    a_heic,
    alpha_of,
    coded_item,
    crop_box,
    profile,
)
from smart_filter_tests.pictures import chunk, encode
from smart_filter_workers import images
from smart_filter_workers.results import Bytes, Srgb8
from unit.profiles import a_cmyk_profile, a_gray_profile, a_linear_profile

WIDTH, HEIGHT = 16, 12
PROFILES = {
    "none": b"",
    "broken": b"not a profile at all",
    "cut": a_linear_profile()[:200],
    "gray": a_gray_profile(),
    "RGB": a_linear_profile(),
    "CMYK": a_cmyk_profile(),
}
# Levels: rounding of one conversion, and of lossy coding at the best quality.
EXACT, LOSSY = 1, 4
# A profile is applied to 8 of the 16 bits of a color: the darkest of a linear one are coarse.
EIGHT_OF_SIXTEEN = 5


def levels_of(bits: int, channels: int) -> NDArray[np.uint16]:
    """Return (HEIGHT, WIDTH, channels) of every channel's own ramp, in the scale of `bits`."""
    most = (1 << bits) - 1
    ramp = np.linspace(0, most, WIDTH * HEIGHT).astype(np.uint16).reshape(HEIGHT, WIDTH)
    shapes = [ramp, ramp[::-1], np.roll(ramp, WIDTH // 2, axis=1), ramp[:, ::-1]]
    return np.stack(shapes[:channels], axis=-1)


def reference(samples: NDArray[np.uint16], bits: int, name: str, alpha: Bytes | None) -> Srgb8:
    """Return the samples as sRGB on white; the profiles of the right color space are linear.

    Source: IEC 61966-2-1.
    """
    light = samples.astype(float) / ((1 << bits) - 1)
    if name == {1: "gray", 3: "RGB"}[samples.shape[2]]:
        light = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    srgb = np.broadcast_to(light * 255, (*samples.shape[:2], 3))
    if alpha is not None:
        share = alpha[..., None] / 255
        srgb = srgb * share + 255 * (1 - share)
    return np.round(srgb).astype(np.uint8)


# --- PNG ---------------------------------------------------------------------------------

GRAY, COLOR, INDEXED, GRAY_ALPHA, COLOR_ALPHA = 0, 2, 3, 4, 6
PNG_DEPTHS = {GRAY: (1, 2, 4, 8, 16), COLOR: (8, 16), INDEXED: (1, 2, 4, 8)}


def a_png(
    color_type: int, bits: int, samples: NDArray[np.uint16], *chunks: tuple[bytes, bytes]
) -> bytes:
    """Write a PNG of any kind. Source: third edition of PNG, 7.2 and 11.2."""
    rows = b"".join(b"\0" + pack(row.ravel(), bits) for row in samples)
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, bits, color_type, 0, 0, 0)
    every = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*described) for described in every)


def pack(row: NDArray[np.uint16], bits: int) -> bytes:
    if bits == 16:
        return row.astype(">u2").tobytes()
    text = "".join(f"{value:0{bits}b}" for value in row)
    text += "0" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8)


def png_cases() -> Iterator[object]:
    for (color_type, depths), name in itertools.product(PNG_DEPTHS.items(), PROFILES):
        for bits, with_alpha in itertools.product(depths, ("opaque", "alpha", "tRNS")):
            if with_alpha == "alpha" and (bits < 8 or color_type == INDEXED):
                continue  # PNG has no such kind
            content, expected, alpha = a_png_case(color_type, bits, name, with_alpha)
            kind = {GRAY: "gray", COLOR: "color", INDEXED: "palette"}[color_type]
            coarse = (color_type, bits, name) == (COLOR, 16, "RGB")
            levels = EIGHT_OF_SIXTEEN if coarse else EXACT
            case = f"PNG-{kind}{bits}-{name}-{with_alpha}"
            yield pytest.param(content, expected, alpha, levels, id=case)


def a_png_case(
    color_type: int, bits: int, name: str, with_alpha: str
) -> tuple[bytes, Srgb8, Bytes | None]:
    channels = 3 if color_type == COLOR else 1
    samples = levels_of(bits, channels)
    alpha = None
    stored, chunks = samples, []
    if PROFILES[name]:
        chunks.append((b"iCCP", b"x\0\0" + zlib.compress(PROFILES[name])))
    if color_type == INDEXED:
        # Each entry has its own color; the profile applies to those.
        palette = np.stack([np.linspace(0, 255, 1 << bits)] * 3, axis=-1).astype(np.uint16)
        palette[:, 1] = palette[::-1, 1]
        chunks.append((b"PLTE", palette.astype(np.uint8).tobytes()))
        samples = palette[stored[..., 0]]
    if with_alpha == "tRNS":
        picked = stored[3, 5]
        if color_type == INDEXED:
            shares = np.full(1 << bits, 255, np.uint8)
            shares[picked[0]] = 77
            chunks.append((b"tRNS", shares.tobytes()))
            alpha = shares[stored[..., 0]]
        else:
            chunks.append((b"tRNS", picked.astype(">u2").tobytes()))
            alpha = np.where((stored == picked).all(axis=-1), 0, 255).astype(np.uint8)
    if with_alpha == "alpha":
        color_type += 4
        shares = levels_of(bits, 4)[..., 3:]
        stored = np.concatenate([samples, shares], axis=-1)
        alpha = (shares[..., 0] >> (bits - 8)).astype(np.uint8)
    depth = 8 if color_type == INDEXED else bits
    expected = reference(samples, depth, name, alpha)
    return a_png(color_type, bits, stored, *chunks), expected, alpha


# --- JPEG, WebP, AVIF, HEIC --------------------------------------------------------------


def smooth(channels: int) -> Bytes:
    """Return a slow ramp, which lossy coding keeps."""
    ramp = np.linspace(20, 235, WIDTH, dtype=np.uint8)[None, :].repeat(HEIGHT, axis=0)
    return np.stack([ramp, ramp[:, ::-1], ramp, ramp][:channels], axis=-1)


def lossy_cases() -> Iterator[object]:
    lossless = {"lossless": True, "exact": True}
    best = {"quality": 100, "subsampling": "4:4:4"}
    for name, icc in PROFILES.items():
        for mode, channels in (("L", 1), ("RGB", 3)):
            samples = smooth(channels)
            picture = Image.fromarray(samples if channels == 3 else samples[..., 0])
            shares = smooth(1)[..., 0]
            with_alpha = picture.copy()
            with_alpha.putalpha(Image.fromarray(shares))
            opaque = reference(samples, 8, name, None)
            jpeg = encode(picture, "JPEG", quality=100, subsampling=0, icc_profile=icc)
            yield pytest.param(jpeg, opaque, None, LOSSY, id=f"JPEG-{mode}-{name}")
            if name == "RGB":  # the formats below have colors, even of gray
                samples = samples.repeat(3 // channels, axis=2)
            opaque = reference(samples, 8, name, None)
            seen_through = reference(samples, 8, name, shares)
            for kind, options in (("WEBP", lossless), ("AVIF", best)):
                content = encode(picture, kind, icc_profile=icc, **options)
                yield pytest.param(content, opaque, None, LOSSY, id=f"{kind}-{mode}-{name}-opaque")
                content = encode(with_alpha, kind, icc_profile=icc, **options)
                yield pytest.param(
                    content, seen_through, shares, LOSSY, id=f"{kind}-{mode}-{name}-alpha"
                )
        ink = smooth(4)
        jpeg = encode(
            Image.frombytes("CMYK", (WIDTH, HEIGHT), ink.tobytes()),
            "JPEG", quality=100, subsampling=0, icc_profile=icc,
        )  # fmt: skip
        yield pytest.param(jpeg, cmyk_reference(ink, name), None, LOSSY, id=f"JPEG-CMYK-{name}")


CODED = {"8-bit": QUARTERS, "10-bit": TEN_BITS, "mono": HALF}


def heic_cases() -> Iterator[object]:
    for (kind, coded), name, transparent in itertools.product(
        CODED.items(), PROFILES, (False, True)
    ):
        samples = QUARTERS_LEVELS if coded is QUARTERS else np.full((48, 64, 3), GRAYS[kind])
        if name == "gray" and coded is not QUARTERS:
            samples = samples[..., :1]
        alpha = np.full((48, 64), 128, np.uint8) if transparent else None
        main = coded_item(
            coded, crop_box(*SIZE), *([profile(PROFILES[name])] if PROFILES[name] else [])
        )
        content = a_heic(main, *([alpha_of(1)] if transparent else []))
        expected = reference(samples.astype(np.uint16), 8, name, alpha)
        case = f"HEIC-{kind}-{name}-{'alpha' if transparent else 'opaque'}"
        yield pytest.param(content, expected, alpha, LOSSY, id=case)


GRAYS = {"10-bit": 64, "mono": 128}
QUARTERS_LEVELS = np.full((48, 64, 3), 255)
QUARTERS_LEVELS[:24, :32], QUARTERS_LEVELS[:24, 32:] = (200, 30, 30), (30, 160, 40)
QUARTERS_LEVELS[24:, 32:] = (30, 40, 190)


def cmyk_reference(ink: Bytes, name: str) -> Srgb8:
    """Return ink as sRGB: by LittleCMS with the profile for it, else by the share of white left."""
    if name != "CMYK":
        share = 1 - ink.astype(float) / 255
        return np.round(255 * share[..., :3] * share[..., 3:]).astype(np.uint8)
    picture = Image.frombytes("CMYK", (WIDTH, HEIGHT), ink.tobytes())
    source = ImageCms.ImageCmsProfile(io.BytesIO(PROFILES[name]))
    sheet = ImageCms.profileToProfile(
        picture, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    return np.asarray(sheet)


@pytest.mark.parametrize(
    ("content", "expected", "alpha", "levels"), [*png_cases(), *lossy_cases(), *heic_cases()]
)
def test_colors_and_alpha_are_those_of_the_formula(
    content: bytes, expected: Srgb8, alpha: Bytes | None, levels: int
) -> None:
    photo = images.decode(content)

    difference = np.abs(photo.srgb.astype(int) - expected)
    assert difference.max() <= levels
    assert (photo.alpha is None) == (alpha is None)
    assert alpha is None or np.abs(photo.alpha.astype(int) - alpha).max() <= 1
