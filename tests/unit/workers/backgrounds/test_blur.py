"""Where a blurred photo stays in focus, and how the blur grows."""

import math

import numpy as np

from smart_filter_workers.backgrounds import blur

HEIGHT, WIDTH = 200, 300


def one_person() -> np.ndarray:
    evidence = np.zeros((HEIGHT, WIDTH), np.uint8)
    evidence[40:160, 140:160] = 255
    return evidence


NO_MATTE = np.zeros((HEIGHT, WIDTH), np.uint8)


def test_blur_reaches_up_to_a_sure_outline() -> None:
    # Small networks see a person a little larger than the outline.
    person = one_person()
    evidence = person.copy()
    evidence[38:162, 138:162] = np.maximum(person[38:162, 138:162], 127)

    assert blur.find_softness(evidence, person, eyes=math.nan, soles=math.nan).min() == 1


def test_sure_evidence_next_to_an_outline_is_in_focus_without_a_margin() -> None:
    person = one_person()
    evidence = person.copy()
    # 60 %, as of curls and straps that the outline lacks.
    evidence[37:40, 140:160] = 153

    softness = blur.find_softness(evidence, person, eyes=math.nan, soles=math.nan)

    assert not softness[37:40, 140:160].any()
    assert softness.sum() == softness.size - 3 * 20


def test_margin_around_evidence_is_in_focus_and_the_blur_grows_beyond() -> None:
    softness = blur.find_softness(one_person(), NO_MATTE, eyes=math.nan, soles=math.nan)

    row = softness[100, 160:]
    margin_px = int(blur.MARGIN_SHARE * (HEIGHT * WIDTH) ** 0.5)
    assert margin_px > 2
    assert not row[:margin_px].any()
    assert (np.diff(row) >= 0).all()
    assert np.diff(row).max() < 0.1
    assert row[-1] == 1


def test_ground_at_the_feet_is_in_focus_and_recedes_to_the_horizon() -> None:
    softness = blur.find_softness(one_person(), NO_MATTE, eyes=0.3, soles=0.8)

    away_from_person = softness[:, 0]
    assert away_from_person[160] < 0.02
    np.testing.assert_allclose(np.diff(away_from_person[70:155]), -1 / 100, atol=1e-4)
    assert away_from_person[50] == 1
    # The ground in front of the feet is nearer, and blurred by the same law.
    np.testing.assert_allclose(np.diff(away_from_person[165:]), 1 / 100, atol=1e-4)
