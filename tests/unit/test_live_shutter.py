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


def test_nobody_smiles_and_nothing_is_told() -> None:
    assert told([SERIOUS] * 100) == []


@pytest.mark.parametrize("width", [0.2, 0.4, 0.8])
@pytest.mark.parametrize("noise", [0.0, 0.03])
def test_each_peak_is_told_once_within_300_ms(width: float, noise: float) -> None:
    peaks = (2.0, 6.5, 11.0)
    random = np.random.default_rng(3)
    looks = [
        smiling(float(np.clip(look.smile + random.normal(0, noise), 0, 1)))
        for look in wave(*peaks, seconds=14, width=width)
    ]

    at = [one.at for one in told(looks)]

    assert len(at) == len(peaks)
    assert max(abs(one - peak) for one, peak in zip(at, peaks, strict=True)) <= 0.3


def test_peak_that_saturates_is_told_in_its_middle() -> None:
    rise = [0.1, 0.6, 0.9, *[0.99] * 9, 0.9, 0.6, *[0.1] * 10]

    (one,) = told([smiling(score) for score in rise])

    assert one.number == 7


def test_held_smile_is_told_once_while_it_lasts() -> None:
    shutter = Shutter()

    found = {
        number: taken
        for number in range(150)
        if (taken := shutter.observe(number, smiling(0.9), at=number / 15)) is not None
    }

    assert list(found) == [15]
    assert found[15].at == pytest.approx(0.5, abs=0.07)


def test_smile_that_grows_is_not_told_before_it_has_grown() -> None:
    looks = [smiling(0.5 + 0.1 * number / FRAMES_A_SECOND) for number in range(68)]
    looks += [smiling(0.95)] * 30

    (one,) = told(looks)

    assert one.at >= 68 / FRAMES_A_SECOND - 0.5


def test_frame_with_eyes_shut_is_never_told() -> None:
    looks = [smiling(0.99, eyes_open=number not in {7, 8, 9}) for number in range(17)]

    (one,) = told([*looks, *[SERIOUS] * 20])

    assert one.number not in {7, 8, 9}


def test_blink_does_not_end_a_moment() -> None:
    looks = [smiling(0.6)] * 3 + [smiling(0.6, eyes_open=False)] * 5 + [smiling(0.95)] * 4

    (one,) = told([*looks, *[SERIOUS] * 20])

    assert one.smile == 0.95


def test_eyes_that_stay_shut_are_not_waited_for() -> None:
    looks = [smiling(0.9)] * 3 + [smiling(0.9, eyes_open=False)] * 30

    (one,) = told(looks)

    assert one.number < 3


def test_smile_that_wavers_is_one_moment() -> None:
    looks = wave(2.0, 3.2, seconds=8, width=0.8)

    assert len(told(looks)) == 1


def test_slip_of_the_models_does_not_make_a_second_moment() -> None:
    looks = [smiling(0.9)] * 30 + [SERIOUS] * 2 + [smiling(0.9)] * 60

    assert len(told(looks)) == 1


def test_smile_after_a_serious_face_is_another_moment() -> None:
    looks = [smiling(0.9)] * 30 + [SERIOUS] * 10 + [smiling(0.9)] * 30

    assert len(told(looks)) == 2


def test_few_frames_a_second_do() -> None:
    looks = [SERIOUS] * 4 + [smiling(0.9)] * 3 + [SERIOUS] * 8

    (one,) = told(looks, every=0.25)

    assert one.number == 5


def test_everybody_has_to_smile() -> None:
    faces = [a_face(x=100), a_face(x=300)]
    smiles = [Smile(SmileLevel.HUGE, 0.9), Smile(SmileLevel.MILD, 0.3)]

    look = look_of(faces, smiles, [OPEN, OPEN])

    assert look == Look(smile=0.3, smiling=False, eyes_open=True)


def test_passer_by_does_not_count() -> None:
    faces = [a_face(x=100), a_face(x=300, width=70)]
    smiles = [Smile(SmileLevel.HUGE, 0.9), Smile(SmileLevel.NONE, 0.0)]

    look = look_of(faces, smiles, [OPEN, SHUT])

    assert look == Look(smile=0.9, smiling=True, eyes_open=True)


@pytest.mark.parametrize(
    ("eyes", "are_open"),
    [
        (OPEN, True),
        (SHUT, False),
        (UNKNOWN, False),
        (Eyes(None, True), True),
        (Eyes(True, False), False),
    ],
)
def test_eyes_are_open_when_one_is_and_none_is_shut(eyes: Eyes, *, are_open: bool) -> None:
    look = look_of([a_face()], [Smile(SmileLevel.HUGE, 0.9)], [eyes])

    assert look.eyes_open is are_open


def test_nobody_there_is_nobody_smiling() -> None:
    assert look_of([], [], []) == Look(smile=0.0, smiling=False, eyes_open=False)
