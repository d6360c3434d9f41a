"""Where a blurred photo stays in focus, and how the blur grows."""

import math

import numpy as np

from smart_filter_workers.backgrounds import blur

HEIGHT, WIDTH = 200, 300


def one_person() -> np.ndarray:
    evidence = np.zeros((HEIGHT, WIDTH), np.uint8)
    evidence[40:160, 140:160] = 255
    return evidence


def test_margin_around_evidence_is_in_focus_and_the_blur_grows_beyond() -> None:
    softness = blur.find_softness(one_person(), eyes=math.nan, soles=math.nan)

    row = softness[100, 160:]
    margin_px = int(blur.MARGIN_SHARE * (HEIGHT * WIDTH) ** 0.5)
    assert margin_px > 2
    assert not row[:margin_px].any()
    assert (np.diff(row) >= 0).all()
    assert np.diff(row).max() < 0.05
    assert row[-1] == 1


def test_faint_evidence_counts_as_much_as_a_certain_person() -> None:
    faint = np.where(one_person() > 0, blur.SEEN_FROM, 0).astype(np.uint8)

    softness = blur.find_softness(faint, eyes=math.nan, soles=math.nan)

    expected = blur.find_softness(one_person(), eyes=math.nan, soles=math.nan)
    np.testing.assert_array_equal(softness, expected)


def test_ground_at_the_feet_is_in_focus_and_recedes_to_the_horizon() -> None:
    softness = blur.find_softness(one_person(), eyes=0.3, soles=0.8)

    away_from_person = softness[:, 0]
    assert away_from_person[160] < 0.02
    np.testing.assert_allclose(np.diff(away_from_person[70:155]), -1 / 100, atol=1e-4)
    assert away_from_person[50] == 1
    # The ground in front of the feet is nearer, and blurred by the same law.
    np.testing.assert_allclose(np.diff(away_from_person[165:]), 1 / 100, atol=1e-4)


def test_photo_without_evidence_is_blurred_everywhere() -> None:
    empty = np.zeros((HEIGHT, WIDTH), np.uint8)

    assert blur.find_softness(empty, eyes=math.nan, soles=math.nan).min() == 1
