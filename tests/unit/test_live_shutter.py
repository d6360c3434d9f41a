"""The smile shutter: one frame of each moment in which everybody smiles with open eyes."""

import math
from collections.abc import Iterable

import numpy as np
import pytest

from smart_filter_shared.rating import SmileLevel
from smart_filter_tests.portraits import a_face
from smart_filter_workers.live.shutter import Look, Shutter, Taken, look_of
from smart_filter_workers.results import Eyes, Smile

SERIOUS = Look(smile=0.1, smiling=False, eyes_open=True)
FRAMES_A_SECOND = 15
OPEN, SHUT, UNKNOWN = Eyes(True, True), Eyes(False, False), Eyes(None, None)


def smiling(score: float, *, eyes_open: bool = True) -> Look:
    return Look(smile=score, smiling=score >= 0.5, eyes_open=eyes_open)


def told(looks: Iterable[Look], *, every: float = 1 / FRAMES_A_SECOND) -> list[Taken]:
    """Return what a shutter tells of looks that come in even steps."""
    shutter = Shutter()
    seen = [shutter.observe(number, look, at=number * every) for number, look in enumerate(looks)]
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


def test_blink_does_not_end_a_moment() -> None:
    looks = [smiling(0.6)] * 3 + [smiling(0.6, eyes_open=False)] * 5 + [smiling(0.95)] * 4

    assert taken([*looks, *[SERIOUS] * 20]).smile == 0.95


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
