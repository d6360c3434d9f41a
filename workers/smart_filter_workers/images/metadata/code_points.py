"""Convert colors that a file describes by numbers instead of a profile, HDR included.

PNG, AVIF and HEIC name primaries and transfer curve by code points (cICP, nclx), PNG also by gamma
and chromaticities.
Source: ITU-T H.273, 8.1 and 8.2 (code points); third edition of PNG, 11.3.2.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from smart_filter_workers.opencv import cv2
from smart_filter_workers.results import Doubles, Srgb8
from smart_filter_workers.srgb import decode_curve, encode_curve

# (H, W) of gray, or (H, W, 3).
Samples: TypeAlias = NDArray[np.uint8] | NDArray[np.uint16]
_Light: TypeAlias = NDArray[np.float32]
# x and y of red, green, blue and white.
Chromaticities: TypeAlias = tuple[float, float, float, float, float, float, float, float]

_D65: Final = (0.3127, 0.3290)
_SRGB: Final[Chromaticities] = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, *_D65)
# Source: H.273, table 2. Unspecified and unknown numbers count as sRGB.
_PRIMARIES: Final[dict[int, Chromaticities]] = {
    4: (0.67, 0.33, 0.21, 0.71, 0.14, 0.08, 0.310, 0.316),
    5: (0.64, 0.33, 0.29, 0.60, 0.15, 0.06, *_D65),
    6: (0.630, 0.340, 0.310, 0.595, 0.155, 0.070, *_D65),
    7: (0.630, 0.340, 0.310, 0.595, 0.155, 0.070, *_D65),
    9: (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, *_D65),
    11: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.314, 0.351),
    12: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, *_D65),
    22: (0.630, 0.340, 0.295, 0.605, 0.155, 0.077, *_D65),
}
# Source: H.273, table 3. The curves of television (1, 6, 14, 15) count as that of sRGB, as other
# programs show such pictures.
_GAMMAS: Final = {4: 2.2, 5: 2.8, 8: 1.0}
_PQ, _HLG = 16, 18
# Source: Bradford; ICC.1:2022, annex E.3.
_BRADFORD: Final = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
# Source: Report ITU-R BT.2408, 2.1: cd/m² of white in HDR, which becomes white in sRGB.
_WHITE_NITS: Final = 203.0
# Source: Recommendation ITU-R BT.2100, table 5, note 5e and 5f: HLG on the display of reference.
_HLG_PEAK_NITS, _HLG_SYSTEM_GAMMA = 1000.0, 1.2
_LUMINANCE_2020: Final = np.array([0.2627, 0.6780, 0.0593], np.float32)
# Highlights that count: brighter ones, such as the sun, become white.
_MAX_PEAK_NITS, _PEAK_PERCENTILE = 1000.0, 99.9
_PEAK_SAMPLES: Final = 1_000_000
# Steps of the square root of light, up to white: an eighth of a level.
_STEPS_AT_WHITE: Final = 2000
# Pixels that are converted at a time: their light fits into a processor's cache, which is seven
# times as fast as a million.
_BLOCK_PX: Final = 65_536
_SRGB_GAMMA, _SRGB_GAMMA_TOLERANCE = 1 / 2.2, 0.01
_PLAUSIBLE_GAMMAS: Final = (0.1, 5.0)
_CHROMATICITY_TOLERANCE: Final = 0.002


@dataclass(frozen=True, slots=True)
class ColorDescription:
    """How a picture's samples are to be read.

    transfer: a number of H.273, table 3.  gamma: instead of it, the power that decodes samples.
    """

    chromaticities: Chromaticities
    transfer: int = 13
    gamma: float | None = None

    @property
    def is_hdr(self) -> bool:
        """Whether white is darker than the brightest sample."""
        return self.transfer in {_PQ, _HLG}

    @property
    def is_srgb(self) -> bool:
        """Whether the samples are sRGB as they are."""
        near = np.allclose(self.chromaticities, _SRGB, rtol=0, atol=_CHROMATICITY_TOLERANCE)
        return near and self.gamma is None and not self.is_hdr and self.transfer not in _GAMMAS


def from_code_points(primaries: int, transfer: int) -> ColorDescription:
    """Return the description for numbers of H.273, tables 2 and 3."""
    return ColorDescription(_PRIMARIES.get(primaries, _SRGB), transfer, gamma=_GAMMAS.get(transfer))


def from_profile(icc: bytes) -> ColorDescription | None:
    """Return the description in an HDR profile, whose curves LittleCMS cannot map to sRGB.

    Source: ICC.1:2022, 7.3 (tag table), 9.2.17 and 10.3 (cicpTag).
    """
    count = int.from_bytes(icc[128:132])
    for at in range(132, min(132 + 12 * count, len(icc)), 12):
        if icc[at : at + 4] == b"cicp":
            start = int.from_bytes(icc[at + 4 : at + 8])
            described = icc[start + 8 : start + 10]
            if len(described) == 2:  # noqa: PLR2004 - primaries and transfer
                description = from_code_points(*described)
                return description if description.is_hdr else None
    return None


def from_gamma(gamma: float | None, chromaticities: object) -> ColorDescription | None:
    """Return the description of a PNG's chunks gAMA and cHRM; None if they say sRGB, or nonsense.

    gamma: the power that encodes light.  chromaticities: x and y of white, red, green, blue.
    """
    colors = _SRGB
    if isinstance(chromaticities, tuple):
        colors = (*chromaticities[2:], *chromaticities[:2])
    try:
        with np.errstate(all="raise"):
            _to_srgb_matrix(colors)
    except (np.linalg.LinAlgError, ArithmeticError):
        colors = _SRGB  # not of colors that exist
    if gamma is None or not _PLAUSIBLE_GAMMAS[0] <= gamma <= _PLAUSIBLE_GAMMAS[1]:
        power = None
    else:
        power = 1 / gamma
    is_usual = power is None or abs(1 / power - _SRGB_GAMMA) <= _SRGB_GAMMA_TOLERANCE
    described = ColorDescription(colors, gamma=None if is_usual else power)
    return None if described.is_srgb else described


def make_conversion(description: ColorDescription, samples: Samples) -> Callable[[Samples], Srgb8]:
    """Return the function that converts strips of a picture, in all of their bits, to sRGB.

    samples: the whole picture, from which its brightest parts are taken.  The function takes strips
    of it, and returns (h, w, 3) uint8.
    """
    matrix = _to_srgb_matrix(description.chromaticities).astype(np.float32)
    decode = _decoder(description, bits=8 * samples.dtype.itemsize)
    factors = None
    if description.is_hdr:
        step = int(np.ceil(np.sqrt(samples.shape[0] * samples.shape[1] / _PEAK_SAMPLES)))
        brightest = decode(samples[::step, ::step]).max(axis=-1)
        peak = float(np.percentile(brightest, _PEAK_PERCENTILE)) * _WHITE_NITS
        factors = _tone_factors(min(peak, _MAX_PEAK_NITS))
    levels = _srgb_levels()

    def convert_block(block: Samples) -> Srgb8:
        light = decode(block)
        if factors is not None:
            steps = np.sqrt(light.max(axis=-1)) * np.float32(_STEPS_AT_WHITE)
            light *= np.take(factors, steps.astype(np.uint16), mode="clip")[..., None]
        light = np.clip(cv2.transform(light, matrix), 0, 1)
        light *= len(levels) - 1
        return np.take(levels, (light + np.float32(0.5)).astype(np.uint16))

    def convert(strip: Samples) -> Srgb8:
        rows = max(1, _BLOCK_PX // strip.shape[1])
        blocks = [convert_block(strip[top : top + rows]) for top in range(0, len(strip), rows)]
        return np.concatenate(blocks)

    return convert


def _decoder(description: ColorDescription, *, bits: int) -> Callable[[Samples], _Light]:
    """Return the function that turns samples into light, (h, w, 3), 1 for white."""
    most = (1 << bits) - 1
    curve = _light_of(np.arange(most + 1) / most, description).astype(np.float32)

    def decode(samples: Samples) -> _Light:
        if samples.ndim == 2:  # noqa: PLR2004 - gray
            light = np.take(curve, samples)[..., None].repeat(3, axis=-1)
        else:
            light = np.take(curve, samples)
        if description.transfer == _HLG:
            # BT.2100, table 5: the display makes bright scenes brighter.
            luminance = cv2.transform(light, _LUMINANCE_2020[None])[..., None]
            light *= luminance ** np.float32(_HLG_SYSTEM_GAMMA - 1)
            light *= np.float32(_HLG_PEAK_NITS / _WHITE_NITS)
        return light

    return decode


def _light_of(signal: Doubles, description: ColorDescription) -> Doubles:
    """Return linear light, 1 for white; for HLG, the light of the scene, 1 for its brightest."""
    if description.gamma is not None:
        return signal**description.gamma
    if description.transfer == _PQ:
        return _pq_to_nits(signal) / _WHITE_NITS
    if description.transfer == _HLG:
        # BT.2100, table 5: the inverse of the OETF.
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        return np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)  # noqa: PLR2004 - the standard's
    return decode_curve(signal)


# BT.2100, table 4.
_M1, _M2, _C1, _C2, _C3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128


def _pq_to_nits(signal: Doubles) -> Doubles:
    powered = signal ** (1 / _M2)
    return 10_000 * (np.maximum(powered - _C1, 0) / (_C2 - _C3 * powered)) ** (1 / _M1)


def _nits_to_pq(nits: Doubles) -> Doubles:
    powered = (nits / 10_000) ** _M1
    return ((_C1 + _C2 * powered) / (1 + _C3 * powered)) ** _M2


def _tone_factors(peak_nits: float) -> _Light:
    """Return the factor that brings light to at most white, for each step of its square root.

    It is that of the brightest channel, for all three, so that hues stay. Light up to a knee is
    unchanged, and all of it without anything brighter than white.
    Source: Report ITU-R BT.2390-11, 5.4.1 (EETF), with black at 0.
    """
    most_steps = math.ceil(_STEPS_AT_WHITE * math.sqrt(10_000 / _WHITE_NITS))
    nits = _WHITE_NITS * ((np.arange(most_steps) + 0.5) / _STEPS_AT_WHITE) ** 2
    if peak_nits <= _WHITE_NITS:
        return np.ones(most_steps, np.float32)
    peak, white = _nits_to_pq(np.array([peak_nits, _WHITE_NITS]))
    signal, most = np.minimum(_nits_to_pq(nits) / peak, 1), white / peak
    knee = 1.5 * most - 0.5
    t = np.maximum(signal - knee, 0) / (1 - knee)
    spline = (
        (2 * t**3 - 3 * t**2 + 1) * knee
        + (t**3 - 2 * t**2 + t) * (1 - knee)
        + (-2 * t**3 + 3 * t**2) * most
    )
    mapped = _pq_to_nits(np.where(signal < knee, signal, spline) * peak)
    return (mapped / nits).astype(np.float32)


def _srgb_levels() -> Srgb8:
    """Return the level for each of 65,536 steps of light."""
    return np.round(255 * encode_curve(np.linspace(0, 1, 65536))).astype(np.uint8)


def _to_srgb_matrix(chromaticities: Chromaticities) -> Doubles:
    """Return the matrix from light of these primaries to light of sRGB, white to white."""
    source, target = _to_xyz_matrix(chromaticities), _to_xyz_matrix(_SRGB)
    cones = _BRADFORD @ target.sum(axis=1) / (_BRADFORD @ source.sum(axis=1))
    adapted = np.linalg.solve(_BRADFORD, cones[:, None] * (_BRADFORD @ source))
    return np.asarray(np.linalg.solve(target, adapted), dtype=np.float64)


def _to_xyz_matrix(chromaticities: Chromaticities) -> Doubles:
    """Return the matrix to XYZ, Y 1 for white. Source: SMPTE RP 177, 3.3."""
    points = [
        (x / y, 1, (1 - x - y) / y)
        for x, y in zip(chromaticities[::2], chromaticities[1::2], strict=True)
    ]
    primaries, white = np.array(points[:3]).T, np.array(points[3])
    scales = np.linalg.solve(primaries, white).astype(np.float64)
    return primaries * scales
