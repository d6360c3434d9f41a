from collections import Counter

from smart_filter_shared.jobs import data_items
from smart_filter_shared.jobs.data_items import Part


def test_two_photos_of_ten_are_frozen() -> None:
    drawn = Counter(data_items.drawn_part(f"{number:064x}") for number in range(2000))

    # 400 are to be expected, 18 more or less in two of three cases.
    assert 340 < drawn[Part.FROZEN] < 460
