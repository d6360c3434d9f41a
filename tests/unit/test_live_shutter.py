"""Live video: its smile shutter, the people that are searched for, and a matte that keeps still."""

import math
from collections.abc import Iterable

import numpy as np
import pytest

from smart_filter_shared.rating import SmileLevel
from smart_filter_tests.portraits import a_face
from smart_filter_workers.live import missing
from smart_filter_workers.live.missing import Floats
from smart_filter_workers.live.shutter import Look, Shutter, Taken, look_of
from smart_filter_workers.live.smoothing import Smoothing
from smart_filter_workers.results import Eyes, Matte8, Smile, Srgb8

SERIOUS = Look(smile=0.1, smiling=False, eyes_open=True)
FRAMES_A_SECOND = 15
OPEN, SHUT, UNKNOWN = Eyes(True, True), Eyes(False, False), Eyes(None, None)


def smiling(score: float, *, eyes_open: bool = True) -> Look:
    return Look(smile=score, smiling=score >= 0.5, eyes_open=eyes_open)


def told(looks: Iterable[Look]) -> list[Taken]:
    """Return what a shutter tells of looks that come in even steps."""
    shutter = Shutter()
    seen = [
        shutter.observe(number, look, at=number / FRAMES_A_SECOND)
        for number, look in enumerate(looks)
    ]
    return [one for one in seen if one is not None]


def wave(*peaks: float, seconds: float, height: float = 0.98, width: float = 0.5) -> list[Look]:
    """Return looks that smile most at each of some times, in seconds."""
    times = np.arange(0, seconds, 1 / FRAMES_A_SECOND)
    scores = [max(height * math.exp(-(((t - p) / width) ** 2)) for p in peaks) for t in times]
    return [smiling(score) for score in scores]


def taken(looks: Iterable[Look]) -> Taken:
    """Return the only moment of these looks."""
    (one,) = told(looks)
    return one


@pytest.mark.parametrize("width", [0.2, 0.4, 0.8])
@pytest.mark.parametrize("noise", [0.0, 0.03])
def test_each_peak_is_taken_once_within_300_ms(width: float, noise: float) -> None:
    peaks = (2.0, 6.5, 11.0)
    random = np.random.default_rng(3)
    looks = [
        smiling(float(np.clip(look.smile + random.normal(0, noise), 0, 1)))
        for look in wave(*peaks, seconds=14, width=width)
    ]

    at = [one.at for one in told(looks)]

    assert len(at) == len(peaks)
    assert max(abs(one - peak) for one, peak in zip(at, peaks, strict=True)) <= 0.3


def test_held_smile_is_taken_once_while_it_lasts() -> None:
    shutter = Shutter()

    found = [
        (number, moment)
        for number in range(150)
        if (moment := shutter.observe(number, smiling(0.9), at=number / FRAMES_A_SECOND))
    ]

    ((number, moment),) = found
    assert number == 15
    assert moment.at == pytest.approx(0.5, abs=0.07)


def test_frame_with_closed_eyes_is_never_taken() -> None:
    looks = [smiling(0.99, eyes_open=number not in {7, 8, 9}) for number in range(17)]

    assert taken([*looks, *[SERIOUS] * 20]).number not in {7, 8, 9}


@pytest.mark.parametrize(
    ("looks", "moments"),
    [
        ([SERIOUS] * 100, 0),
        (wave(2.0, 3.2, seconds=8, width=0.8), 1),
        ([smiling(0.9)] * 30 + [SERIOUS] * 2 + [smiling(0.9)] * 60, 1),
        ([smiling(0.9)] * 30 + [SERIOUS] * 10 + [smiling(0.9)] * 30, 2),
    ],
    ids=["serious", "wavering smile", "slip of the models", "serious in between"],
)
def test_moment_ends_with_a_serious_face(looks: list[Look], moments: int) -> None:
    assert len(told(looks)) == moments


HUGE, MILD, NONE = (
    *(Smile(SmileLevel.HUGE, 0.9), Smile(SmileLevel.MILD, 0.3)),
    Smile(SmileLevel.NONE, 0.0),
)


@pytest.mark.parametrize(
    ("widths", "smiles", "eyes", "look"),
    [
        ((), [], [], Look(smile=0.0, smiling=False, eyes_open=False)),
        # Everyone has to smile, except a passer-by.
        ((160, 160), [HUGE, MILD], [OPEN, OPEN], Look(smile=0.3, smiling=False, eyes_open=True)),
        ((160, 70), [HUGE, NONE], [OPEN, SHUT], smiling(0.9)),
        # Eyes are open when one is and none is shut.
        ((160,), [HUGE], [OPEN], smiling(0.9)),
        ((160,), [HUGE], [Eyes(None, True)], smiling(0.9)),
        ((160,), [HUGE], [SHUT], smiling(0.9, eyes_open=False)),
        ((160,), [HUGE], [UNKNOWN], smiling(0.9, eyes_open=False)),
        ((160,), [HUGE], [Eyes(True, False)], smiling(0.9, eyes_open=False)),
    ],
)
def test_look_is_that_of_everyone_who_poses(
    widths: tuple[int, ...], smiles: list[Smile], eyes: list[Eyes], look: Look
) -> None:
    faces = [a_face(x=100 + 200 * place, width=width) for place, width in enumerate(widths)]

    assert look_of(faces, smiles, eyes) == look


def seen(*boxes: tuple[int, int, int, int]) -> Floats:
    """Return a coverage of 180 × 320 with people in some boxes."""
    coverage = np.zeros((180, 320), np.float32)
    for left, top, right, bottom in boxes:
        coverage[top:bottom, left:right] = 1
    return coverage


def test_missed_person_is_searched_for_around_the_face() -> None:
    face = a_face(x=200, y=100, width=60)

    assert list(missing.regions(seen((80, 30, 150, 180)), [face], scale=2)) == []
    (around,) = missing.regions(seen(), [face], scale=2)

    rows, columns = around.small
    left, top, width, height = (round(side / 2) for side in face.box)
    assert columns.start < left < left + width < columns.stop
    assert rows.start < top < top + 3 * height < rows.stop
    assert (around.large[0].start, around.large[1].stop) == (2 * rows.start, 2 * columns.stop)


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
