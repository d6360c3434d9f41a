import math
from collections import Counter
from typing import Any

import pytest

from smart_filter_shared.errors import VersionRefused
from smart_filter_shared.feedback import examples
from smart_filter_shared.feedback.examples import Split
from smart_filter_shared.model_registry import promotion
from smart_filter_shared.pipeline import TaskName

LIVE = "f" * 64


GOOD, FAIR = [0.8, 0.7, 0.9], [0.7, 0.6, 0.8]


@pytest.mark.parametrize(
    ("candidate", "live", "why"),
    [
        ({"macro_f1": [0.7, 0.65, 0.75]}, {"macro_f1": [0.6, 0.55, 0.65]}, None),
        (
            {"macro_f1": [0.69, 0.6, 0.8]},
            {"macro_f1": FAIR},
            "its macro_f1 is 0.69, worse than 0.7",
        ),
        # The intervals of the second metric do not overlap.
        (
            {"macro_f1": GOOD, "mae_levels": [0.3, 0.28, 0.32]},
            {"macro_f1": FAIR, "mae_levels": [0.2, 0.18, 0.22]},
            "its mae_levels is 0.3, significantly worse than 0.2",
        ),
        # They overlap.
        (
            {"macro_f1": GOOD, "accuracy": [0.89, 0.87, 0.91]},
            {"macro_f1": FAIR, "accuracy": [0.90, 0.88, 0.92]},
            None,
        ),
        (
            {"macro_f1": [10**400, 0, 1]},
            {"macro_f1": [0.5, 0, 1]},
            "metrics: 'candidate.macro_f1.0': Input should be",
        ),
    ],
    ids=["better", "worse", "surely worse by another figure", "perhaps as good", "unreadable"],
)
def test_weights_are_published_unless_they_are_worse(
    candidate: dict[str, Any], live: dict[str, Any], why: str | None
) -> None:
    worse = promotion.find_regression(
        {"against": LIVE, "candidate": candidate, "live": live}, TaskName.SMILE, LIVE
    )

    assert worse == why or (why and worse.startswith(why))


FIGURE = [0.9, 0.8, 1.0]


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"candidate": {"iou": 0.9}},
        {"candidate": {"iou": [0.9, 0.8]}},
        {"candidate": {"iou": [0.9, "0.8", 1]}},
        {"candidate": {"iou": [0.9, True, 1]}},
        {"candidate": {"iou": [math.nan, 0.8, 1]}},
        {"candidate": {"iou": [0.9, -math.inf, 1]}},
        {"candidate": {"iou": [10**400, 0.8, 1]}},
        {"candidate": {"\0": FIGURE}},
        {"candidate": {"": FIGURE}},
        {"candidate": {}, "live": 3},
        {"candidate": {"iou": FIGURE}, "live": {"mae": FIGURE}},
        {"candidate": {"mae": FIGURE}, "live": {"iou": FIGURE}},
        {"candidate": {}, "against": 3},
        {"candidate": {}, "against": "\0"},
        {"candidate": {}, "count": math.nan},
        {"candidate": {}, "count": -1},
        {"candidate": {}, "note": "\0"},
    ],
)
def test_metrics_of_another_format_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(VersionRefused, match="metrics: "):
        promotion.check_metrics(given, TaskName.SEGMENTATION)


def test_two_photos_of_ten_are_in_the_frozen_set() -> None:
    drawn = Counter(examples.choose_split(f"{number:064x}") for number in range(2000))

    # The expected number is 400; the standard deviation is 18.
    assert 340 < drawn[Split.FROZEN] < 460
