import numpy as np
from numpy.typing import NDArray

from smart_filter_workers import photo_regions
from smart_filter_workers.photo_regions import MAX_REGIONS, PhotoRegions

# A person on the left, a chair that the matte took for one in the middle, a wall elsewhere.
HEIGHT, WIDTH = 240, 320
PERSON, CHAIR = np.s_[40:, 20:120], np.s_[180:, 120:220]


def a_photo() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    srgb = np.full((HEIGHT, WIDTH, 3), 200, np.uint8)
    srgb[PERSON], srgb[CHAIR] = (180, 90, 60), (30, 50, 160)
    noise = np.random.default_rng(4).integers(-5, 6, srgb.shape)
    matte = np.zeros((HEIGHT, WIDTH), np.uint8)
    matte[PERSON] = matte[CHAIR] = 255
    return (srgb + noise).astype(np.uint8), matte


def parts(regions: PhotoRegions) -> NDArray[np.int32]:
    return regions.part_of[regions.small]


def test_part_ends_at_an_edge_of_the_photo_and_holds_what_looks_alike() -> None:
    part_numbers = parts(photo_regions.find_regions(*a_photo()))

    chair = part_numbers == part_numbers[210, 170]
    assert chair[CHAIR].mean() > 0.95
    assert chair[PERSON].mean() < 0.02


def test_region_lies_on_one_side_of_the_matte() -> None:
    srgb, matte = a_photo()

    regions = photo_regions.find_regions(np.full_like(srgb, 128), matte)

    assert not set(regions.small[matte > 0]) & set(regions.small[matte == 0])
    assert not set(parts(regions)[matte > 0]) & set(parts(regions)[matte == 0])


def test_leftover_that_shows_by_half_is_a_part_of_its_own_and_a_soft_rim_is_none() -> None:
    srgb, matte = a_photo()
    matte[CHAIR] = 0
    matte[60:120, 120:200] = 90
    matte[40:, 119:121] = 90

    regions = photo_regions.find_regions(np.full_like(srgb, 128), matte)

    part_numbers = parts(regions)
    half = part_numbers[62:118, 123:198]
    assert len(set(half.ravel())) == 1
    assert (part_numbers == half[0, 0]).sum() < 1.2 * half.size
    assert regions.small[180, 120] == regions.small[180, 122]


def test_island_of_the_matte_is_one_part_whatever_its_colors() -> None:
    srgb, matte = a_photo()
    matte[CHAIR] = 0
    matte[20:100, 240:280] = 255
    srgb[20:60, 240:280], srgb[60:100, 240:280] = (250, 220, 30), (10, 120, 20)

    part_numbers = parts(photo_regions.find_regions(srgb, matte))

    assert len(set(part_numbers[20:100, 240:280].ravel())) == 1


def test_pixels_number_the_regions_of_a_large_photo_too() -> None:
    srgb, matte = (np.repeat(np.repeat(plane, 4, 0), 4, 1) for plane in a_photo())

    regions = photo_regions.find_regions(srgb, matte)

    assert regions.small.shape == (384, 512)
    assert set(regions.small.ravel()) == set(range(len(regions.part_of)))
    point = np.array([[170 / WIDTH, 180 / HEIGHT], [1.0, 1.0]])
    assert regions.numbers_at(point).tolist() == [regions.small[288, 272], regions.small[-1, -1]]


def test_noise_and_tiny_photos_have_regions_within_the_limit() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (512, 512), dtype=np.uint8)

    many = photo_regions.find_regions(np.dstack([noise] * 3), noise)
    few = photo_regions.find_regions(np.zeros((1, 30, 3), np.uint8), np.zeros((1, 30), np.uint8))

    assert len(many.part_of) == MAX_REGIONS
    assert set(few.part_of) == {0}
