import numpy as np
import pytest

from smart_filter_workers.networks.boxes import overlaps


def test_overlap_is_shared_area_over_common_area() -> None:
    others = np.array([[0, 0, 2, 2], [1, 0, 3, 2], [5, 5, 6, 6]], np.float32)

    found = overlaps((0, 0, 2, 2), others)

    assert found == pytest.approx([1, 1 / 3, 0])


def test_empty_boxes_overlap_nothing() -> None:
    others = np.array([[1, 1, 1, 1], [2, 2, 1, 1]], np.float32)

    assert overlaps((1, 1, 1, 1), others) == pytest.approx([0, 0])
