"""Measure printability on photos with known blur, shake, scale, light and noise.

python -m benchmarks.printability WEIGHTS PHOTO…: the folder of weights, and photos with one face.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from smart_filter_shared.results import Face, Frame
from smart_filter_wire.printability import FacePrint, Verdict
from smart_filter_workers import images
from smart_filter_workers.measurements import FaceMeasurements, measure_face
from smart_filter_workers.results import PreparedPhoto, Srgb8
from smart_filter_workers.stages.composite.printability import verdicts
from smart_filter_workers.stages.composite.printability.assess import Region, measure_detail
from smart_filter_workers.stages.face import stage as face_stage
from smart_filter_workers.stages.face.models import centerface
from smart_filter_workers.stages.prepare.stage import make_proxy

LEAST_FACE_PX = 70
# Source: IEC 61966-2-1, the transfer curve of sRGB.
CODED_KNEE, LINEAR_KNEE = 0.04045, 0.0031308


@dataclass(frozen=True, slots=True)
class Portrait:
    """A photo, (H, W, 3) uint8 sRGB, and its only face."""

    srgb: Srgb8
    face: Face


def main(weights: Path, photos: Iterable[Path]) -> None:
    """Print, for each change and amount, the median figure and the share of each verdict."""
    portraits = list(_portraits(weights, photos))
    print(f"{len(portraits)} faces")
    rng = np.random.default_rng(8)
    sharp = _figures(portraits, lambda srgb: srgb)
    blurs = [figures.blur_px or 0 for figures in sharp]
    for sigma in (0, 0.5, 1, 1.5, 2, 3, 4):
        measured = _figures(portraits, partial(_blur_photo, amount=sigma))
        expected = np.hypot(blurs, sigma)
        _print_shares(
            f"blur {sigma} (expected {np.median(expected):.2f})", measured, _blur, _sharpness
        )
    for length in (3, 5, 7, 9, 13):
        measured = _figures(portraits, partial(_blur_photo, amount=length, shaken=True))
        _print_shares(f"shake {length}", measured, _blur, _sharpness)
    for sigma in (0, 2, 4, 6, 8, 10, 15, 20):
        measured = _figures(portraits, partial(_add_noise, sigma=sigma, rng=rng))
        _print_shares(f"noise {sigma}", measured, lambda figures: figures.noise or 0, _noise)
        _print_shares(f"noise {sigma}: blur", measured, _blur, _sharpness)
    for stops in (-4, -3, -2, -1, 0, 0.5, 1, 1.5, 2, 3):
        measured = _figures(portraits, partial(_expose, stops=stops))
        _print_shares(
            f"light {stops:+} stops", measured, lambda figures: figures.levels.brightest, _exposure
        )
    for factor in (1, 1.3, 1.6, 2.2, 3):
        measured = _figures(portraits, partial(_brighten, factor=factor))
        _print_shares(
            f"levels × {factor}", measured, lambda figures: figures.levels.clipped, _exposure
        )
    for factor in (0.5, 1, 2, 3, 4, 6):
        _print_scaled(portraits, factor)


def _portraits(weights: Path, photos: Iterable[Path]) -> Iterable[Portrait]:
    detect = centerface.load(weights)
    for path in photos:
        photo = images.decode(path.read_bytes())
        height, width = photo.srgb.shape[:2]
        prepared = PreparedPhoto(
            width, height, photo.format, proxy_srgb=make_proxy(photo.srgb), proposals=()
        )
        (seen,) = face_stage.run({"face": detect}, [face_stage.Inputs(prepared)])
        large = [face for face in seen.faces if face.box[2] >= LEAST_FACE_PX]
        if len(large) == 1:
            yield Portrait(photo.srgb, large[0])


def _figures(
    portraits: Sequence[Portrait], change: Callable[[Srgb8], Srgb8]
) -> list[FaceMeasurements]:
    changed = [(change(portrait.srgb), portrait.face) for portrait in portraits]
    measured = [measure_face(srgb, srgb, face) for srgb, face in changed]
    return [figures for figures in measured if figures is not None]


def _print_shares(
    what: str,
    faces: Sequence[FaceMeasurements],
    figure: Callable[[FaceMeasurements], float],
    verdict: Callable[[FaceMeasurements], Verdict],
) -> None:
    counted = Counter(verdict(figures) for figures in faces)
    shares = ", ".join(f"{name} {counted[name] / len(faces):.0%}" for name in Verdict)
    print(f"{what}: median {np.median([figure(figures) for figures in faces]):.2f}, {shares}")


def _print_scaled(portraits: Sequence[Portrait], factor: float) -> None:
    """Print the detail measured in photos scaled by a factor: tenth, median, nine tenths."""
    details = []
    for portrait in portraits:
        resampling = cv2.INTER_CUBIC if factor > 1 else cv2.INTER_AREA
        resized = cv2.resize(portrait.srgb, None, fx=factor, fy=factor, interpolation=resampling)
        srgb = np.asarray(resized, np.uint8)
        srgb = images.decode(images.encode_jpeg(srgb, quality=85).content).srgb
        height, width = srgb.shape[:2]
        gray = np.asarray(cv2.cvtColor(make_proxy(srgb), cv2.COLOR_RGB2GRAY), np.uint8)
        whole = Region(Frame(width=width, height=height, scale=1, left=0, top=0), None)
        details.append(measure_detail(srgb, gray, whole))
    tenth, median, most = np.quantile(details, [0.1, 0.5, 0.9])
    print(f"enlarged × {factor}: detail {tenth:.2f} {median:.2f} {most:.2f} (tenth, median, nine)")


def _blur(figures: FaceMeasurements) -> float:
    return figures.blur_px or 0


def _sharpness(figures: FaceMeasurements) -> Verdict:
    face = FacePrint(1, figures.blur_px, 0, 0, None, False, False, True)
    check = verdicts.judge_sharpness([face], paper=None)
    return Verdict.GOOD if check is None else check.verdict


def _noise(figures: FaceMeasurements) -> Verdict:
    return verdicts.judge_noise(figures.noise or 0).verdict


def _exposure(figures: FaceMeasurements) -> Verdict:
    return verdicts.judge_exposure({1: figures.levels}, photo=figures.levels).verdict


def _blur_photo(srgb: Srgb8, *, amount: float, shaken: bool = False) -> Srgb8:
    if not amount:
        return srgb
    if shaken:
        return np.asarray(cv2.blur(srgb, (int(amount), 1)), np.uint8)
    return np.asarray(cv2.GaussianBlur(srgb, (0, 0), amount), np.uint8)


def _add_noise(srgb: Srgb8, *, sigma: float, rng: np.random.Generator) -> Srgb8:
    """Add the same noise to red, green and blue, as noise of luma."""
    noise = rng.normal(0, sigma, srgb.shape[:2])[..., np.newaxis]
    return np.asarray(np.clip(np.round(srgb + noise), 0, 255), np.uint8)


def _brighten(srgb: Srgb8, *, factor: float) -> Srgb8:
    """Multiply levels, as an editor does, and clip at white."""
    return np.asarray(np.minimum(255, np.round(np.arange(256) * factor)), np.uint8)[srgb]


def _expose(srgb: Srgb8, *, stops: float) -> Srgb8:
    """Multiply linear light."""
    coded = np.arange(256) / 255
    linear = np.where(coded <= CODED_KNEE, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
    lit = np.clip(linear * 2**stops, 0, 1)
    recoded = np.where(lit <= LINEAR_KNEE, 12.92 * lit, 1.055 * lit ** (1 / 2.4) - 0.055)
    return np.asarray(np.round(255 * recoded), np.uint8)[srgb]


if __name__ == "__main__":
    main(Path(sys.argv[1]), map(Path, sys.argv[2:]))
