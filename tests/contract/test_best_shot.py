"""The best shot of generated bursts: one good photo, and degraded copies of it."""

from pathlib import Path

import numpy as np
import pytest
from benchmarks import best_shot as bursts

from smart_filter_shared import best_shot
from smart_filter_workers import images

DATA = Path(__file__).parent.parent / "data"


@pytest.fixture(scope="module")
def reader(weights_folder: Path) -> bursts.Reader:
    return bursts.Reader(weights_folder)


@pytest.mark.parametrize("name", ["astronaut.png", "grace_hopper.jpg"])
def test_good_shot_wins_over_seven_degraded_ones(reader: bursts.Reader, name: str) -> None:
    srgb = images.decode((DATA / name).read_bytes()).srgb
    portrait = bursts.read_portrait(reader, srgb)
    assert portrait is not None
    degraded = bursts.degrade(portrait, np.random.default_rng(53))

    shots = [bursts.build_photo(reader, kind, picture) for kind, picture in degraded]
    shots.append(bursts.build_photo(reader, bursts.GOOD, portrait.srgb))

    assert len(shots) == 8
    assert best_shot.order_scene(shots)[0].id == bursts.GOOD


def test_eyes_behind_dark_glasses_are_unknown(reader: bursts.Reader) -> None:
    srgb = images.decode((DATA / "astronaut.png").read_bytes()).srgb
    portrait = bursts.read_portrait(reader, srgb)
    assert portrait is not None

    _, _, smiles = reader.read(bursts.draw_glasses(portrait))

    assert [(eyes.left_open, eyes.right_open) for eyes in smiles.eyes] == [(None, None)]
