import json
from collections import Counter

from benchmarks import belongs
from benchmarks.belongs import Region

REGIONS = [Region(**json.loads(line)) for line in belongs.REGIONS.read_text().splitlines()]


def test_labels_are_of_60_photos_each_with_its_regions_in_a_row() -> None:
    photos = [region.photo for region in REGIONS]

    starts = Counter(
        photo for before, photo in zip([None, *photos], photos, strict=False) if before != photo
    )
    assert len(starts) == 60
    assert set(starts.values()) == {1}
    assert {region.label for region in REGIONS} == set(belongs.LABELS)


def test_polygons_lie_in_the_photo_and_hold_pixels() -> None:
    for region in REGIONS:
        assert len(region.polygon) >= 3
        assert all(0 <= value <= belongs.UNITS for point in region.polygon for value in point)
        assert belongs.draw_regions([region], 300, 300)[0].any(), region


def test_what_belongs_is_right_when_kept_and_the_rest_when_removed() -> None:
    bag, shadow = (Region("a.jpg", label, "", ()) for label in ("held", "shadow"))

    assert [bag.is_right(kept) for kept in (0.0, 0.4, 0.6, 1.0)] == [False, False, True, True]
    assert [shadow.is_right(kept) for kept in (0.0, 0.1, 0.4, 1.0)] == [True, True, False, False]
