import numpy as np
import pytest

from smart_filter_workers.networks.boxes import overlaps
from smart_filter_workers.networks.eye_patches import Cuts
from smart_filter_workers.stages.smile.models.lids import OPEN_IN_THE_DARK_ABOVE, verdict

CUTS = Cuts(shut_below=0.2, open_above=0.6)


@pytest.mark.parametrize(
    ("openness", "in_the_dark", "said"),
    [
        *((0.1, False, False), (0.2, False, None), (0.6, False, None), (0.61, False, True)),
        # Behind dark glasses an eye is never shut; in a shadow like them it may be open.
        *((0.01, True, None), (OPEN_IN_THE_DARK_ABOVE + 0.01, True, True)),
    ],
)
def test_eye_is_judged_by_its_openness(
    *, openness: float, in_the_dark: bool, said: bool | None
) -> None:
    assert verdict(openness, CUTS, in_the_dark=in_the_dark) is said


def test_overlap_is_shared_area_over_common_area() -> None:
    others = np.array([[0, 0, 2, 2], [1, 0, 3, 2], [5, 5, 6, 6]], np.float32)

    found = overlaps((0, 0, 2, 2), others)

    assert found == pytest.approx([1, 1 / 3, 0])
