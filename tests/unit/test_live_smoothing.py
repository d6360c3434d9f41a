"""A matte that keeps still where the picture does, and moves at once where it moves."""

import numpy as np

from smart_filter_workers.live.smoothing import Smoothing
from smart_filter_workers.results import Matte8, Srgb8

HEIGHT, WIDTH = 180, 320
STEP_SECONDS = 1 / 15


def a_figure(left: int) -> tuple[Srgb8, Matte8]:
    """Return a grey picture with something light in it, and its matte."""
    srgb = np.full((HEIGHT, WIDTH, 3), 60, np.uint8)
    srgb[40:160, left : left + 80] = 180
    return srgb, np.where(srgb[..., 0] > 100, 255, 0).astype(np.uint8)


def wavering(matte: Matte8, random: np.random.Generator) -> Matte8:
    """Return a matte as a network that is not sure sees it."""
    return np.clip(matte + random.normal(0, 50, matte.shape), 0, 255).astype(np.uint8)


def noisy(srgb: Srgb8, random: np.random.Generator) -> Srgb8:
    return np.clip(srgb + random.normal(0, 4, srgb.shape), 0, 255).astype(np.uint8)


def test_nothing_is_remembered_at_the_start_after_a_pause_or_at_another_size() -> None:
    srgb, matte = a_figure(40)

    for rows, pause_seconds in ((180, 10), (90, STEP_SECONDS)):
        smoothing = Smoothing()
        first = smoothing.smoothed(matte, srgb, seconds=0)
        other = 255 - matte[:rows]
        second = smoothing.smoothed(other, srgb[:rows], seconds=pause_seconds)

        assert (first == matte).all()
        assert (second == other).all()


def test_still_picture_keeps_its_matte_still() -> None:
    random = np.random.default_rng(1)
    srgb, matte = a_figure(40)
    smoothing, seen, shown = Smoothing(), [], []

    for _ in range(40):
        seen.append(wavering(matte, random))
        shown.append(smoothing.smoothed(seen[-1], noisy(srgb, random), seconds=STEP_SECONDS))

    before, after = (
        np.abs(np.diff(np.array(of[10:], float), axis=0)).mean() for of in (seen, shown)
    )
    assert after < before / 4


def test_moving_figure_is_shown_in_its_place() -> None:
    smoothing = Smoothing()
    for left in range(10, 200, 8):
        srgb, matte = a_figure(left)
        shown = smoothing.smoothed(matte, srgb, seconds=STEP_SECONDS)

    assert np.abs(shown.astype(float) - matte).mean() < 0.5


def test_slow_movement_adds_up() -> None:
    smoothing = Smoothing()
    far: list[float] = []
    for step in range(60):
        # A border that fades into what is beside it, half a level further each frame.
        left = 40 + step / 4
        ramp = np.clip((np.arange(WIDTH) - left) / 20, 0, 1)
        srgb = np.repeat((60 + 40 * ramp)[None, :, None], HEIGHT, axis=0).repeat(3, axis=2)
        matte = np.repeat(255 * ramp[None], HEIGHT, axis=0).astype(np.uint8)
        shown = smoothing.smoothed(matte, srgb.astype(np.uint8), seconds=STEP_SECONDS)
        far.append(float(np.abs(shown.astype(float) - matte).max()))

    assert max(far) < 50


def test_caller_may_write_to_the_result() -> None:
    smoothing = Smoothing()
    srgb, matte = a_figure(40)
    for _ in range(3):
        shown = smoothing.smoothed(matte, srgb, seconds=STEP_SECONDS)
        assert (shown == matte).all()
        shown[:] = 7
        matte = a_figure(40)[1]
