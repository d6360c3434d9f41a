"""Which rings a thread may spare that goes on working itself."""

import pytest

from smart_filter_shared.ids import Capability
from smart_filter_workers.runner import without

FACE, SEGMENTATION = Capability("face.a"), Capability("segmentation.a")


@pytest.mark.parametrize(
    ("ready", "taken", "rung"),
    [
        ([FACE], [FACE], []),
        ([FACE, SEGMENTATION], [FACE], [SEGMENTATION]),
        ([FACE, FACE, FACE], [FACE], [FACE, FACE]),
        ([FACE], [SEGMENTATION], [FACE]),
        ([FACE], [], [FACE]),
        ([FACE], [FACE, FACE], []),
    ],
)
def test_row_taken_from_a_capability_spares_one_ring_of_it(
    ready: list[Capability], taken: list[Capability], rung: list[Capability]
) -> None:
    assert without(ready, taken) == rung
