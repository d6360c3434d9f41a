"""Colors described by numbers, against the equations of their standards."""

import struct
import zlib

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from smart_filter_tests.described_colors import a_png, an_avif, cicp
from smart_filter_tests.heic import (
    QUARTERS,
    SIZE,
    TEN_BITS,
    a_heic,
    box,
    coded_item,
    crop_box,
    grid,
)
from smart_filter_tests.pictures import encode
from smart_filter_workers import images
from smart_filter_workers.results import Srgb8
from unit.profiles import a_linear_profile, with_tag

# Source: CSS Color Module Level 4, 18 (sample code): linear light to XYZ, and XYZ to linear sRGB.
P3_TO_XYZ = np.array(
    [
        [608311 / 1250200, 189793 / 714400, 198249 / 1000160],
        [35783 / 156275, 247089 / 357200, 198249 / 2500400],
        [0, 32229 / 714400, 5220557 / 5000800],
    ]
)
BT2020_TO_XYZ = np.array(
    [
        [63426534 / 99577255, 20160776 / 139408157, 47086771 / 278816314],
        [26158966 / 99577255, 472592308 / 697040785, 8267143 / 139408157],
        [0, 19567812 / 697040785, 295819943 / 278816314],
    ]
)
XYZ_TO_SRGB = np.array(
    [
        [12831 / 3959, -329 / 214, -1974 / 3959],
        [-851781 / 878810, 1648619 / 878810, 36519 / 878810],
        [705 / 12673, -2585 / 12673, 705 / 667],
    ]
)
PQ, HLG, SRGB, LINEAR = 16, 18, 13, 8
BT709, BT2020, P3 = 1, 9, 12
Light = NDArray[np.float64]


def to_srgb(light: Light, to_xyz: NDArray[np.float64]) -> Srgb8:
    return levels_of(np.clip(light @ (XYZ_TO_SRGB @ to_xyz).T, 0, 1))


def levels_of(light: Light) -> Srgb8:
    encoded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.round(255 * encoded).astype(np.uint8)


def srgb_to_light(signal: Light) -> Light:
    return np.where(signal <= 0.04045, signal / 12.92, ((signal + 0.055) / 1.055) ** 2.4)


def pq_signal(nits: Light) -> Light:
    """Return the signal of SMPTE ST 2084, 5.2."""
    y = (nits / 10_000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * y) / (1 + 18.6875 * y)) ** 78.84375


def nits_of(signal: Light) -> Light:
    """Return the light of SMPTE ST 2084, 5.1."""
    root = signal ** (1 / 78.84375)
    return 10_000 * (np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (
        1 / 0.1593017578125
    )


def mapped_to_203(nits: Light, peak: float) -> Light:
    """Return the light that BT.2390, 5.4.1 gives for the largest channel, and its share for all."""
    largest = nits.max(axis=-1, keepdims=True)
    e1 = np.minimum(pq_signal(largest) / pq_signal(np.array(peak)), 1)
    most = pq_signal(np.array(203.0)) / pq_signal(np.array(peak))
    knee = 1.5 * most - 0.5
    t = (e1 - knee) / (1 - knee)
    curve = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee)
    curve += (-2 * t**3 + 3 * t**2) * most
    target = nits_of(np.where(e1 < knee, e1, curve) * pq_signal(np.array(peak)))
    return nits * target / np.maximum(largest, 1e-9) / 203


def a_scene() -> Light:
    """Return (48, 64, 3) smooth light in [0, 1], of all hues, black and white."""
    y, x = np.mgrid[0:48, 0:64]
    hue = np.stack([np.cos(x / 10 + at) * 0.5 + 0.5 for at in (0, 2.1, 4.2)], axis=-1)
    return np.clip(hue * (y[..., None] / 47) ** 2, 0, 1)


# --- files -------------------------------------------------------------------------------


def gamma(value: float) -> tuple[bytes, bytes]:
    return b"gAMA", struct.pack(">I", round(value * 100_000))


P3_POINTS = (b"cHRM", struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000))


def nclx(primaries: int, transfer: int) -> bytes:
    return box(b"colr", b"nclx" + struct.pack(">HHHB", primaries, transfer, 6, 0x80))


def sampled(signal: Light, bits: int) -> NDArray[np.unsignedinteger]:
    return np.round(signal * ((1 << bits) - 1)).astype(np.uint8 if bits == 8 else np.uint16)


def difference(content: bytes, expected: Srgb8) -> float:
    return float(np.abs(images.decode(content).srgb.astype(int) - expected).mean())


# --- wide gamut --------------------------------------------------------------------------

SIGNAL = np.clip(a_scene() ** 0.45, 0, 1)
OF_P3 = to_srgb(srgb_to_light(SIGNAL), P3_TO_XYZ)
EIGHT, SIXTEEN = sampled(SIGNAL, 8), sampled(SIGNAL, 16)
WIDE = {
    "PNG of 8 bits": a_png(EIGHT, cicp(P3, SRGB)),
    "PNG of 16 bits": a_png(SIXTEEN, cicp(P3, SRGB)),
    "PNG with another profile": a_png(
        EIGHT, cicp(P3, SRGB), (b"iCCP", b"x\0\0" + zlib.compress(a_linear_profile()))
    ),
    "AVIF of 8 bits": an_avif(EIGHT, 8, P3, SRGB),
    "AVIF of 10 bits": an_avif(sampled(SIGNAL, 10), 10, P3, SRGB),
    "AVIF of 12 bits": an_avif(sampled(SIGNAL, 12), 12, P3, SRGB),
}


@pytest.mark.parametrize("kind", WIDE)
def test_display_p3_without_profile_becomes_srgb(kind: str) -> None:
    assert np.abs(OF_P3.astype(int) - EIGHT).mean() > 4

    assert difference(WIDE[kind], OF_P3) <= 2


def test_color_of_a_grid_is_that_of_its_tiles_when_it_has_none() -> None:
    tile = coded_item(QUARTERS, nclx(P3, SRGB))
    whole = coded_item(QUARTERS, crop_box(64, 64), nclx(P3, SRGB))

    seen = images.decode(a_heic(grid(1, 1, [2], (64, 64)), tile)).srgb

    assert np.array_equal(seen, images.decode(a_heic(whole)).srgb)


LINEAR_EIGHT = levels_of(EIGHT / 255)
GRAY = SIXTEEN[..., 0]
PNG_CHUNKS = {
    "linear": (EIGHT, [gamma(1)], LINEAR_EIGHT),
    "linear of 16 bits": (SIXTEEN, [gamma(1)], levels_of(SIXTEEN / 65535)),
    "linear gray of 16 bits": (GRAY, [gamma(1)], levels_of(GRAY / 65535)[..., None].repeat(3, 2)),
    "the gamma of sRGB": (EIGHT, [gamma(1 / 2.2)], EIGHT),
    "P3 with gamma": (EIGHT, [gamma(0.5), P3_POINTS], to_srgb((EIGHT / 255) ** 2, P3_TO_XYZ)),
    "P3 without gamma": (EIGHT, [P3_POINTS], OF_P3),
    "sRGB precedes gamma": (EIGHT, [gamma(1), (b"sRGB", b"\0")], EIGHT),
    "numbers precede gamma": (EIGHT, [gamma(0.6), cicp(BT709, LINEAR)], LINEAR_EIGHT),
    "profile precedes gamma": (
        EIGHT,
        [(b"iCCP", b"x\0\0" + zlib.compress(a_linear_profile())), gamma(0.3)],
        LINEAR_EIGHT,
    ),
    "no gamma at all": (EIGHT, [gamma(0)], EIGHT),
    "colors that do not exist": (EIGHT, [(b"cHRM", bytes(32))], EIGHT),
    "colors on a line": (EIGHT, [(b"cHRM", struct.pack(">8I", *[30_000] * 8))], EIGHT),
    "numbers of television range": (EIGHT, [(b"cICP", bytes((P3, SRGB, 0, 0)))], EIGHT),
    "numbers cut": (EIGHT, [(b"cICP", bytes((P3, SRGB)))], EIGHT),
    "unknown numbers": (EIGHT, [cicp(200, 200)], EIGHT),
}


@pytest.mark.parametrize("kind", PNG_CHUNKS)
def test_chunks_of_a_png_say_what_its_samples_mean(kind: str) -> None:
    samples, chunks, expected = PNG_CHUNKS[kind]

    assert difference(a_png(samples, *chunks), expected) <= 1


# --- high dynamic range ------------------------------------------------------------------


def in_hlg(nits: Light) -> Light:
    """Return the signal of BT.2100, table 5, for light on a display of 1,000 cd/m²."""
    shown = nits / 1000
    luminance = (shown @ [0.2627, 0.6780, 0.0593])[..., None]
    scene = shown * np.maximum(luminance, 1e-12) ** (1 / 1.2 - 1)
    low = np.sqrt(3 * scene)
    high = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    return np.clip(np.where(scene <= 1 / 12, low, high), 0, 1)


CURVES = {PQ: pq_signal, HLG: in_hlg}


def hdr_files(nits: Light, transfer: int) -> dict[str, bytes]:
    signal = CURVES[transfer](nits)
    profile = with_tag(
        a_linear_profile(), b"cicp", b"cicp" + bytes(4) + bytes((BT2020, transfer, 0, 1))
    )
    return {
        "PNG": a_png(sampled(signal, 16), cicp(BT2020, transfer)),
        "PNG with a profile": a_png(
            sampled(signal, 16), (b"iCCP", b"x\0\0" + zlib.compress(profile))
        ),
        "AVIF": an_avif(sampled(signal, 10), 10, BT2020, transfer),
        "JPEG with a profile": encode(
            Image.fromarray(sampled(signal, 8)),
            "JPEG", quality=100, subsampling=0, icc_profile=profile,
        ),
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["PNG", "PNG with a profile", "AVIF", "JPEG with a profile"])
@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_hdr_without_highlights_is_shown_as_it_is(transfer: int, kind: str) -> None:
    scene = a_scene()

    content = hdr_files(scene * 203, transfer)[kind]

    # 10 bits, and 8 of the JPEG, are coarse in dark parts.
    assert difference(content, to_srgb(scene, BT2020_TO_XYZ)) <= 2.5


@pytest.mark.parametrize("kind", ["PNG", "AVIF"])
@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_hdr_highlights_are_mapped_by_bt_2390(transfer: int, kind: str) -> None:
    nits = a_scene() * 900
    peak = float(np.percentile(nits.max(axis=-1), 99.9))

    content = hdr_files(nits, transfer)[kind]

    assert difference(content, to_srgb(mapped_to_203(nits, peak), BT2020_TO_XYZ)) <= 2


def test_hdr_heic_is_mapped_in_all_of_its_bits() -> None:
    # Gray of 257 of 1,023: 7 cd/m² in PQ, below the knee.
    gray = float(nits_of(np.array(257 / 1023))) / 203

    content = a_heic(coded_item(TEN_BITS, crop_box(*SIZE), nclx(BT2020, PQ)))

    assert difference(content, levels_of(np.full((48, 64, 3), gray))) <= 1


def test_alpha_of_an_hdr_picture_is_kept_over_white() -> None:
    signal = pq_signal(np.full((8, 8, 3), 100.0))
    rgba = np.dstack([sampled(signal, 16), np.full((8, 8), 0x8080, np.uint16)])
    ok, plain = cv2.imencode(".png", rgba)
    assert ok
    chunk = a_png(np.zeros((1, 1), np.uint8), cicp(BT2020, PQ))[33:49]

    photo = images.decode(plain.tobytes()[:33] + chunk + plain.tobytes()[33:])

    color = levels_of(np.array(100 / 203)) * (128 / 255) + 255 * (127 / 255)
    assert np.abs(photo.srgb.astype(int) - color).max() <= 2
    assert photo.alpha is not None
    assert set(photo.alpha.ravel()) == {128}
