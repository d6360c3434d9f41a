import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from smart_filter_shared.albums import ALIKE_WITHIN_BITS
from smart_filter_tests.portraits import a_face, a_portrait
from smart_filter_workers.results import Srgb8
from smart_filter_workers.stages.prepare.fingerprint import fingerprint_of


def a_scene(seed: int) -> Srgb8:
    """Light and shadow such as a photo has: strong where it is long, and finer on top."""
    chance = np.random.default_rng(seed)
    scene = np.full((240, 320, 3), 128.0)
    for cells, strength in ((3, 50), (6, 25), (24, 8)):
        coarse = chance.normal(0, strength, (cells, cells, 3)).astype(np.float32)
        scene += cv2.resize(coarse, (320, 240), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(scene, 0, 255), dtype=np.uint8)


def apart(one: Srgb8, other: NDArray[np.generic]) -> int:
    return (fingerprint_of(one) ^ fingerprint_of(other.astype(np.uint8))).bit_count()


@pytest.mark.parametrize("seed", range(4))
def test_what_is_shrunk_cropped_or_lit_otherwise_is_alike(seed: int) -> None:
    scene = a_scene(seed)
    half = np.asarray(cv2.resize(scene, (160, 120), interpolation=cv2.INTER_AREA))
    noisy = np.clip(scene + np.random.default_rng(9).normal(0, 6, scene.shape), 0, 255)

    assert apart(scene, half) <= 2
    assert apart(scene, scene[6:, 8:]) <= ALIKE_WITHIN_BITS
    assert apart(scene, scene * 0.85) <= 4
    assert apart(scene, noisy) <= 4


def test_other_scenes_differ_in_about_half_of_the_bits() -> None:
    differing = [apart(a_scene(seed), a_scene(seed + 1)) for seed in range(20)]

    assert 28 <= np.mean(differing) <= 36
    assert min(differing) > ALIKE_WITHIN_BITS


def test_the_same_pixels_have_the_same_fingerprint_of_64_bits() -> None:
    portrait, _ = a_portrait(a_face())

    fingerprint = fingerprint_of(portrait)

    assert 0 < fingerprint < 2**64
    assert fingerprint_of(portrait.copy()) == fingerprint


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (1024, 2)])
def test_the_narrowest_photo_has_one(size: tuple[int, int]) -> None:
    assert 0 <= fingerprint_of(np.full((*size, 3), 7, np.uint8)) < 2**64
