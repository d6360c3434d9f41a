"""Printability: photos of one face, blurred, shaken, enlarged, lit and made noisy as is known.

python -m benchmarks.printability WEIGHTS PHOTO…: the folder of weights, and the photos.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from smart_filter_shared.printability import FacePrint, Verdict
from smart_filter_workers import images
from smart_filter_workers.results import Face, Frame, Prepared, Srgb8
from smart_filter_workers.stages.composite.printability import verdicts
from smart_filter_workers.stages.composite.printability.face_figures import Figures, measure
from smart_filter_workers.stages.composite.printability.resolution import Region, detail_of
from smart_filter_workers.stages.face import stage as face_stage
from smart_filter_workers.stages.face.models import centerface
from smart_filter_workers.stages.prepare.stage import proxy_of

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
    chance = np.random.default_rng(8)
    sharp = _figures(portraits, lambda srgb: srgb)
    blurs = [figures.blur_px or 0 for figures in sharp]
    for sigma in (0, 0.5, 1, 1.5, 2, 3, 4):
        found = _figures(portraits, partial(_blurred, amount=sigma))
        expected = np.hypot(blurs, sigma)
        _tell(f"blur {sigma} (expected {np.median(expected):.2f})", found, _blur, _sharpness)
    for length in (3, 5, 7, 9, 13):
        found = _figures(portraits, partial(_blurred, amount=length, shaken=True))
        _tell(f"shake {length}", found, _blur, _sharpness)
    for sigma in (0, 2, 4, 6, 8, 10, 15, 20):
        found = _figures(portraits, partial(_noisy, sigma=sigma, chance=chance))
        _tell(f"noise {sigma}", found, lambda figures: figures.noise or 0, _noise)
        _tell(f"noise {sigma}: blur", found, _blur, _sharpness)
    for stops in (-4, -3, -2, -1, 0, 0.5, 1, 1.5, 2, 3):
        found = _figures(portraits, partial(_exposed, stops=stops))
        _tell(f"light {stops:+} stops", found, lambda figures: figures.levels.brightest, _exposure)
    for factor in (1, 1.3, 1.6, 2.2, 3):
        found = _figures(portraits, partial(_brightened, factor=factor))
        _tell(f"levels × {factor}", found, lambda figures: figures.levels.clipped, _exposure)
    for factor in (0.5, 1, 2, 3, 4, 6):
        _tell_enlarged(portraits, factor)


def _portraits(weights: Path, photos: Iterable[Path]) -> Iterable[Portrait]:
    detect = centerface.load(weights)
    for path in photos:
        photo = images.decode(path.read_bytes())
        height, width = photo.srgb.shape[:2]
        prepared = Prepared(width, height, photo.format, proxy_of(photo.srgb), ())
        (found,) = face_stage.run({"face": detect}, [face_stage.Inputs(prepared)])
        large = [face for face in found.faces if face.box[2] >= LEAST_FACE_PX]
        if len(large) == 1:
            yield Portrait(photo.srgb, large[0])


def _figures(portraits: Sequence[Portrait], change: Callable[[Srgb8], Srgb8]) -> list[Figures]:
    changed = [(change(portrait.srgb), portrait.face) for portrait in portraits]
    found = [measure(srgb, srgb, face) for srgb, face in changed]
    return [figures for figures in found if figures is not None]


def _tell(
    what: str,
    found: Sequence[Figures],
    figure: Callable[[Figures], float],
    verdict: Callable[[Figures], Verdict],
) -> None:
    counted = Counter(verdict(figures) for figures in found)
    shares = ", ".join(f"{one} {counted[one] / len(found):.0%}" for one in Verdict)
    print(f"{what}: median {np.median([figure(figures) for figures in found]):.2f}, {shares}")


def _tell_enlarged(portraits: Sequence[Portrait], factor: float) -> None:
    """Print what detail is seen in enlarged photos, and which of what was there before."""
    seen = []
    for portrait in portraits:
        how = cv2.INTER_CUBIC if factor > 1 else cv2.INTER_AREA
        resized = cv2.resize(portrait.srgb, None, fx=factor, fy=factor, interpolation=how)
        srgb = np.asarray(resized, np.uint8)
        srgb = images.decode(images.encode_jpeg(srgb, quality=85).content).srgb
        height, width = srgb.shape[:2]
        grey = np.asarray(cv2.cvtColor(proxy_of(srgb), cv2.COLOR_RGB2GRAY), np.uint8)
        whole = Region(Frame(width=width, height=height, scale=1, left=0, top=0), None)
        seen.append(detail_of(srgb, grey, whole))
    tenth, median, most = np.quantile(seen, [0.1, 0.5, 0.9])
    print(f"enlarged × {factor}: detail {tenth:.2f} {median:.2f} {most:.2f} (tenth, median, nine)")


def _blur(figures: Figures) -> float:
    return figures.blur_px or 0


def _sharpness(figures: Figures) -> Verdict:
    face = FacePrint(1, figures.blur_px, 0, 0, None, False, False, True)
    judged = verdicts.sharpness([face])
    return Verdict.GOOD if judged is None else judged.verdict


def _noise(figures: Figures) -> Verdict:
    return verdicts.noise(figures.noise or 0).verdict


def _exposure(figures: Figures) -> Verdict:
    return verdicts.exposure({1: figures.levels}, photo=figures.levels).verdict


def _blurred(srgb: Srgb8, *, amount: float, shaken: bool = False) -> Srgb8:
    if not amount:
        return srgb
    if shaken:
        return np.asarray(cv2.blur(srgb, (int(amount), 1)), np.uint8)
    return np.asarray(cv2.GaussianBlur(srgb, (0, 0), amount), np.uint8)


def _noisy(srgb: Srgb8, *, sigma: float, chance: np.random.Generator) -> Srgb8:
    """Add noise that is alike in red, green and blue, as luma has it."""
    noise = chance.normal(0, sigma, srgb.shape[:2])[..., np.newaxis]
    return np.asarray(np.clip(np.round(srgb + noise), 0, 255), np.uint8)


def _brightened(srgb: Srgb8, *, factor: float) -> Srgb8:
    """Multiply levels, as an editor does: what is above white is cut off."""
    return np.asarray(np.minimum(255, np.round(np.arange(256) * factor)), np.uint8)[srgb]


def _exposed(srgb: Srgb8, *, stops: float) -> Srgb8:
    """Multiply linear light."""
    coded = np.arange(256) / 255
    linear = np.where(coded <= CODED_KNEE, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
    lit = np.clip(linear * 2**stops, 0, 1)
    recoded = np.where(lit <= LINEAR_KNEE, 12.92 * lit, 1.055 * lit ** (1 / 2.4) - 0.055)
    return np.asarray(np.round(255 * recoded), np.uint8)[srgb]


if __name__ == "__main__":
    main(Path(sys.argv[1]), map(Path, sys.argv[2:]))
