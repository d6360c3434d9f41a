from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from smart_filter_shared.errors import SetupFailed
from smart_filter_tests import drawn_people
from smart_filter_training import trainable_models
from smart_filter_training.models.refiner import batches, composites, faults
from smart_filter_training.models.refiner import train as refiner
from smart_filter_training.models.refiner.batches import Batches, Example
from smart_filter_training.models.refiner.faults import Sample

Change = Callable[[np.random.Generator, Sample], Sample]


def a_sample(seed: int = 0) -> Sample:
    srgb, mask = drawn_people.draw_person(np.random.default_rng(seed))
    return Sample(srgb, mask, mask, np.ones(mask.shape, np.bool_))


def differs(sample: Sample, other: Sample) -> bool:
    return batches.to_inputs([sample]).tobytes() != batches.to_inputs([other]).tobytes()


@pytest.mark.parametrize("change", [faults.cast_shadow, faults.add_faults, batches.distort])
def test_faults_depend_only_on_the_seed_and_leave_the_target(change: Change) -> None:
    sample = a_sample()

    for seed in range(20):
        first, again = (change(np.random.default_rng(seed), sample) for _ in range(2))
        assert not differs(first, again)
        assert np.count_nonzero(first.target) == np.count_nonzero(sample.target)
    changed = {change(np.random.default_rng(seed), sample).people.tobytes() for seed in range(20)}
    assert len(changed) > 5


def test_regions_are_added_outside_people_or_lost_inside() -> None:
    sample = a_sample()
    inside = sample.target == 255

    changed = [faults.change_regions(np.random.default_rng(seed), sample) for seed in range(40)]

    added = [np.count_nonzero(each > sample.people) for each in changed]
    lost = [np.count_nonzero(each < sample.people) for each in changed]
    assert sum(map(bool, added)) > 10
    assert sum(map(bool, lost)) > 5
    # A network could not tell whom a matte means that lacks nearly all of them.
    assert np.mean(added) < 0.25 * np.count_nonzero(~inside)
    assert np.mean(lost) < 0.4 * np.count_nonzero(inside)


def test_composite_has_the_people_without_a_rim_of_their_old_background() -> None:
    target = np.zeros((80, 80), np.uint8)
    target[:, 20:60] = 255
    target = cv2.blur(target, (5, 5))
    alpha = (target / 255)[..., np.newaxis]
    people, old, new = ((200, 60, 60), (0, 255, 0), (90, 90, 200))
    srgb = np.rint(alpha * people + (1 - alpha) * old).astype(np.uint8)

    composed = composites.compose(srgb, target, np.full((80, 80, 3), new, np.uint8))

    expected = alpha * people + (1 - alpha) * new
    assert np.abs(composed - expected).max() <= 4  # rounding twice, and the mean of a blur


@pytest.mark.parametrize("count", [0, 3])
def test_backgrounds_have_the_size_of_the_photo(count: int) -> None:
    sample = a_sample()
    others = [np.full((30, 50, 3), level, np.uint8) for level in range(count)]

    drawn = [
        composites.draw_background(np.random.default_rng(seed), sample.srgb, sample.target, others)
        for seed in range(12)
    ]

    assert all(each.shape == sample.srgb.shape for each in drawn)
    assert len({each.tobytes() for each in drawn}) > 5


def test_crops_of_a_batch_have_one_shape_and_depend_on_its_number() -> None:
    examples = [
        Example(sample, sample.target, "drawn") for sample in (a_sample(seed) for seed in range(4))
    ]
    crops = Batches(examples, [1] * 4, size=3, sides_px=(64, 96), seed=0)

    first, again, other = (crops.make_batch(number) for number in (0, 0, 1))

    (shape,) = {sample.people.shape for sample in first}
    assert all(side % 32 == 0 for side in shape)
    assert not any(differs(a, b) for a, b in zip(first, again, strict=True))
    assert first[0].srgb.tobytes() != other[0].srgb.tobytes()
    assert batches.to_inputs(first).shape == (3, 4, *shape)


def test_example_without_weight_is_never_drawn() -> None:
    sample = a_sample()
    empty = replace(sample, target=np.zeros_like(sample.target))
    examples = [Example(sample, sample.target, "") for sample in (empty, sample)]

    batch = Batches(examples, [0, 1], size=8, sides_px=(64, 64), seed=0).make_batch(0)

    assert all(sample.target.any() for sample in batch)


def test_only_counted_pixels_count_in_a_stretched_sample() -> None:
    sample = a_sample()
    sample.counted[10, 10] = False

    stretched = sample.stretch(width=36, height=48)

    assert not stretched.counted[5, 5]
    assert np.count_nonzero(~stretched.counted) < 5


def test_pairs_are_split_as_for_portraits(tmp_path: Path) -> None:
    folder = drawn_people.folder(tmp_path, 20)

    data = refiner.read_folder(folder, refiner.Configuration())

    assert len(data.train) + len(data.checked) == 20
    assert not set(data.train) & set(data.checked)


def test_gap_between_people_is_background_in_the_target_though_modnet_fills_it() -> None:
    mask, portrait = (np.zeros((100, 100), np.uint8) for _ in range(2))
    mask[20:80, 20:80] = 255
    mask[40:50, 45:55] = 0
    portrait[22:80, 20:80] = 255

    target = batches.draw_target(mask, portrait)

    assert not target[43:47, 48:52].any()
    assert target[20, 30:70].max() < 255


def test_left_out_source_only_validates(tmp_path: Path) -> None:
    folder = drawn_people.folder(tmp_path, 20)
    usual = refiner.read_folder(folder, refiner.Configuration())

    data = refiner.read_folder(folder, refiner.Configuration(left_out="drawn"))

    assert not data.train
    assert set(data.checked) == {*usual.train, *usual.checked}


def test_sources_have_weights() -> None:
    configuration = refiner.Configuration(source_weights="a=2")

    assert [configuration.weigh_source(name) for name in ("a", "b")] == [2, 1]


@pytest.mark.parametrize("setting", ["source_weights=a", "smallest_px=300", "smallest_px=20"])
def test_setting_that_cannot_train_is_refused(setting: str) -> None:
    with pytest.raises(SetupFailed, match=setting.partition("=")[0]):
        trainable_models.find_model("refiner").configure([setting])
