import datetime as dt

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from smart_filter_shared.albums import MAX_HAMMING_BITS
from smart_filter_shared.results import Face
from smart_filter_tests.pictures import a_photo, noise
from smart_filter_workers.results import Photo, Srgb8
from smart_filter_workers.stages.prepare import stage
from smart_filter_workers.stages.prepare.stage import Inputs, compute_perceptual_hash, make_proxy
from unit.drawn_portrait import a_face, a_portrait


def models(faces: list[tuple[Face, ...]], *, turns: int = 0) -> stage.Models:
    """Return models that find these faces and ask for `turns` quarter turns."""
    return {"prepare": lambda _: faces, "orientation": lambda pictures, _: [turns] * len(pictures)}


@pytest.mark.parametrize(
    ("photo", "proxy"),
    [
        ((4001, 2999), (1024, 768)),
        ((1025, 1025), (1024, 1024)),
        ((10, 9000), (1, 1024)),
    ],
)
def test_proxy_has_no_side_above_1024_px(photo: tuple[int, int], proxy: tuple[int, int]) -> None:
    assert make_proxy(np.zeros((*photo, 3), np.uint8)).shape == (*proxy, 3)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_photo_is_rotated_by_the_orientation_model(turns: int) -> None:
    photo = noise(30, 20)

    (prepared,) = stage.run(models([()], turns=turns), [Inputs(a_photo(photo))])

    assert prepared.quarter_turns == turns
    assert (prepared.height, prepared.width) == ((20, 30) if turns % 2 else (30, 20))
    assert np.array_equal(prepared.proxy_srgb, np.rot90(photo, turns))
    assert prepared.preview is not None
    assert (prepared.preview.width, prepared.preview.height) == (prepared.width, prepared.height)


def test_fingerprint_is_of_the_upright_photo_and_keeps_the_time() -> None:
    taken = dt.datetime(2031, 5, 6, tzinfo=dt.UTC)
    upright, _ = a_portrait(a_face())
    lying = np.ascontiguousarray(np.rot90(upright, -1))

    (prepared,) = stage.run(models([()], turns=1), [Inputs(Photo(lying, "jpg", taken))])

    assert prepared.fingerprint == compute_perceptual_hash(upright)
    assert prepared.taken_at == taken


def a_scene(seed: int) -> Srgb8:
    """Make light and shadow like a photo's: strong at low frequencies, weak at high ones."""
    chance = np.random.default_rng(seed)
    scene = np.full((240, 320, 3), 128.0)
    for cells, strength in ((3, 50), (6, 25), (24, 8)):
        coarse = chance.normal(0, strength, (cells, cells, 3)).astype(np.float32)
        scene += cv2.resize(coarse, (320, 240), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(scene, 0, 255), dtype=np.uint8)


def apart(picture: Srgb8, other: NDArray[np.generic]) -> int:
    return (
        compute_perceptual_hash(picture) ^ compute_perceptual_hash(other.astype(np.uint8))
    ).bit_count()


@pytest.mark.parametrize("seed", range(4))
def test_shrunk_cropped_or_darker_photo_has_a_similar_fingerprint(seed: int) -> None:
    scene = a_scene(seed)
    half = np.asarray(cv2.resize(scene, (160, 120), interpolation=cv2.INTER_AREA))
    noisy = np.clip(scene + np.random.default_rng(9).normal(0, 6, scene.shape), 0, 255)

    assert apart(scene, half) <= 2
    assert apart(scene, scene[6:, 8:]) <= MAX_HAMMING_BITS
    assert apart(scene, scene * 0.85) <= 4
    assert apart(scene, noisy) <= 4
