"""Measure the processor time of shadow, outline, light wrap and harmonization.

python -m benchmarks.look
"""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from benchmarks import figures
from smart_filter_shared.recipe import Look, Shadow, ShadowKind
from smart_filter_shared.recipe.look import read_outline
from smart_filter_workers.backgrounds import library
from smart_filter_workers.results import Matte8
from smart_filter_workers.stages.composite import look
from smart_filter_workers.stages.composite.look import LookContext
from smart_filter_workers.stages.composite.models import layers
from smart_filter_workers.stages.composite.models.base import CutOut
from smart_filter_workers.system import resources

ROUNDS = 9
# Width and height, and the goal for all effects of `auto`, in milliseconds.
SIZES = (((1200, 834), 8.0), ((4000, 3000), 60.0))
DESIGN = LookContext(drawn=True, light=-0.4)
LOOKS = {
    "all of auto": Look(),
    "harmonize": replace(look.NO_LOOK, harmonize=0.5),
    "light_wrap": replace(look.NO_LOOK, light_wrap=0.15),
    "shadow=drop": replace(look.NO_LOOK, shadow=Shadow(ShadowKind.DROP)),
    "shadow=contact": replace(look.NO_LOOK, shadow=Shadow(ShadowKind.CONTACT)),
    "outline=1%": replace(look.NO_LOOK, outline=read_outline("1%")),
    "outline=2px": replace(look.NO_LOOK, outline=read_outline("2px")),
}


def measure() -> list[figures.Figure]:
    """Return the time that each effect adds to composing a portrait, and a full figure."""
    cv2.setNumThreads(1)
    resources.limit_native_threads()
    results = []
    for (width, height), goal in SIZES:
        for who, matte in (
            ("portrait", portrait(width, height)),
            ("on foot", on_foot(width, height)),
        ):
            cut = a_cut(matte)
            plain = _samples(cut, look.NO_LOOK)
            name = f"{who}, {width * height / 1e6:.0f} MP"
            results.append(figures.Figure(name=f"{name}: laid on", unit="ms", samples=plain))
            plain_median = sorted(plain)[len(plain) // 2]
            for effect, effect_look in LOOKS.items():
                added = [sample - plain_median for sample in _samples(cut, effect_look)]
                limit = goal if effect == "all of auto" else None
                results.append(
                    figures.Figure(name=f"{name}: {effect}", unit="ms", samples=added, goal=limit)
                )
    return results


def portrait(width: int, height: int) -> Matte8:
    """Return the matte of head and shoulders that fill the lower half, with soft edges."""
    return _draw_matte(width, height, lambda matte, unit: _bust(matte, unit, height))


def on_foot(width: int, height: int) -> Matte8:
    """Return the matte of a standing person, from a tenth to nine tenths of the height."""

    def draw(matte: Matte8, unit: float) -> None:
        middle, side = width // 2, round(unit / 100)
        cv2.circle(matte, (middle, 18 * side), 7 * side, 255, cv2.FILLED)
        for left, top, right, bottom in ((-11, 26, 11, 58), (-9, 58, -2, 90), (2, 58, 9, 90)):
            corners = (middle + left * side, top * side), (middle + right * side, bottom * side)
            cv2.rectangle(matte, *corners, 255, cv2.FILLED)

    return _draw_matte(width, height, draw)


def a_cut(matte: Matte8) -> CutOut:
    """Return a cutout of noisy people with a matte."""
    random = np.random.default_rng(5)
    coarse = random.integers(30, 220, (30, 40, 3), dtype=np.uint8)
    photo = np.asarray(cv2.resize(coarse, matte.shape[::-1], interpolation=cv2.INTER_CUBIC))
    small = np.asarray(cv2.resize(coarse, (400, 300)), np.float32)
    return CutOut(photo.astype(np.uint8, copy=False), matte, small, small)


def _bust(matte: Matte8, unit: float, height: int) -> None:
    middle = matte.shape[1] // 2
    head, shoulders = round(0.2 * unit), round(0.42 * unit)
    cv2.ellipse(
        matte, (middle, height), (shoulders, round(0.45 * unit)), 0, 0, 360, 255, cv2.FILLED
    )
    cv2.circle(matte, (middle, round(0.42 * unit)), head, 255, cv2.FILLED)


def _draw_matte(width: int, height: int, draw: Callable[[Matte8, float], None]) -> Matte8:
    matte = np.zeros((height, width), np.uint8)
    draw(matte, float(min(width, height)))
    # The edge of a matte is a few thousandths of the picture wide.
    return np.asarray(cv2.GaussianBlur(matte, (0, 0), max(width, height) / 700), np.uint8)


def _samples(cut: CutOut, effect_look: Look) -> list[float]:
    height, width = cut.matte.shape
    compositor = layers.load(Path("unused"))
    ground = library.draw("frost", seed=1, width=width, height=height)
    samples = []
    for _ in range(ROUNDS):
        canvas = ground.copy()
        started = time.thread_time()
        look.join_people(compositor, cut, canvas, effect_look, DESIGN)
        samples.append((time.thread_time() - started) * 1000)
    return samples


if __name__ == "__main__":
    figures.print_figures(measure())
