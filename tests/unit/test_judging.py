"""Which weights may take the place of others, by their figures."""

import math
from typing import Any

import pytest

from smart_filter_shared.cards import TaskName
from smart_filter_shared.errors import VersionRefused
from smart_filter_shared.ids import new_job_id
from smart_filter_shared.jobs import judging
from smart_filter_shared.jobs.published import Shadow

LIVE = "f" * 64


def metrics(own: dict[str, Any], theirs: dict[str, Any], against: str | None = LIVE) -> Any:  # noqa: ANN401 - JSON
    return {"against": against, "candidate": own, "live": theirs}


def test_better_weights_are_let_in() -> None:
    told = metrics({"macro_f1": [0.7, 0.65, 0.75]}, {"macro_f1": [0.6, 0.55, 0.65]})

    assert judging.worse(told, TaskName.SMILE, LIVE) is None


def test_weights_that_are_worse_by_the_deciding_figure_are_not() -> None:
    told = metrics({"macro_f1": [0.69, 0.6, 0.8]}, {"macro_f1": [0.7, 0.6, 0.8]})

    assert judging.worse(told, TaskName.SMILE, LIVE) == "its macro_f1 is 0.69, worse than 0.7"


def test_weights_that_are_surely_worse_by_another_figure_are_not() -> None:
    better = {"macro_f1": [0.8, 0.7, 0.9]}
    told = metrics(
        {**better, "mae_levels": [0.3, 0.28, 0.32]},
        {"macro_f1": [0.7, 0.6, 0.8], "mae_levels": [0.2, 0.18, 0.22]},
    )

    worse = judging.worse(told, TaskName.SMILE, LIVE)

    assert worse == "its mae_levels is 0.3, surely worse than 0.2"


def test_weights_that_may_be_as_good_by_another_figure_are_let_in() -> None:
    told = metrics(
        {"macro_f1": [0.8, 0.7, 0.9], "accuracy": [0.89, 0.87, 0.91]},
        {"macro_f1": [0.7, 0.6, 0.8], "accuracy": [0.90, 0.88, 0.92]},
    )

    assert judging.worse(told, TaskName.SMILE, LIVE) is None


def test_weights_that_were_compared_with_others_are_not() -> None:
    told = metrics({"iou": [0.9, 0.8, 1.0]}, {"iou": [0.8, 0.7, 0.9]}, against=None)

    worse = judging.worse(told, TaskName.SEGMENTATION, LIVE)

    assert worse == "it was compared with its own weights, and ffffffffffff is live"


FIGURE = [0.9, 0.8, 1.0]


@pytest.mark.parametrize(
    "told",
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
def test_metrics_of_another_form_are_refused(told: dict[str, Any]) -> None:
    with pytest.raises(VersionRefused, match="metrics: "):
        judging.check(told, TaskName.SEGMENTATION)


def test_metrics_of_before_that_cannot_be_read_let_nothing_in() -> None:
    told = metrics({"macro_f1": [10**400, 0, 1]}, {"macro_f1": [0.5, 0, 1]})

    worse = judging.worse(told, TaskName.SMILE, LIVE)

    assert worse is not None
    assert worse.startswith("metrics: candidate is no object")


def test_shadow_follows_its_share_of_jobs_and_always_the_same() -> None:
    jobs = [new_job_id() for _ in range(2000)]

    followed = [job for job in jobs if Shadow(LIVE, 0.2).follows(job)]

    # Of 2,000 draws 400, 18 more or less in two of three cases.
    assert 310 < len(followed) < 490
    assert followed == [job for job in jobs if Shadow(LIVE, 0.2).follows(job)]
    assert all(Shadow(LIVE, 1.0).follows(job) for job in jobs)
    assert not any(Shadow(LIVE, 0.0).follows(job) for job in jobs)
